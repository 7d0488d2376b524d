import { sha256Hex } from '../domain/canonical-json.js';
import type { Properties, Property, Row } from './ports.js';

const MEMBER = 'row_checksum';

/**
 * The first 32 digits of SHA-256 over the RFC 8785 form of the row: its other properties, and its keys as `/pk` and `/rk`,
 * which no property can be named. A row is flat, and the name of a property begins with a letter or `_`
 * (`row-limits.ts`), so JSON with its members in order is that form; it takes a third of the time that canonicalizing
 * any JSON takes, and every row that is written or listed passes here.
 */
function digest(partitionKey: string, rowKey: string, properties: Properties): string {
  const members: Record<string, Property | undefined> = { '/pk': partitionKey, '/rk': rowKey };
  for (const name of Object.keys(properties).sort()) if (name !== MEMBER) members[name] = properties[name];
  return sha256Hex(JSON.stringify(members)).slice(0, 32);
}

/** Adds a checksum over keys and properties, so that a flipped byte in a row is noticed like one in a blob. */
export function withRowChecksum(partitionKey: string, rowKey: string, properties: Properties): Properties {
  return { ...properties, [MEMBER]: digest(partitionKey, rowKey, properties) };
}

/** True when the row's properties are the ones that were written. */
export function rowIntact(row: Row): boolean {
  return row.properties[MEMBER] === digest(row.partitionKey, row.rowKey, row.properties);
}
