import { canonicalJson, sha256Hex } from '../domain/canonical-json.js';
import type { Properties, Row } from './ports.js';

const MEMBER = 'row_checksum';

function digest(partitionKey: string, rowKey: string, properties: Properties): string {
  return sha256Hex(canonicalJson({ ...properties, '/pk': partitionKey, '/rk': rowKey })).slice(0, 32);
}

/** Adds a checksum over keys and properties, so that a flipped byte in a row is noticed like one in a blob. */
export function withRowChecksum(partitionKey: string, rowKey: string, properties: Properties): Properties {
  return { ...properties, [MEMBER]: digest(partitionKey, rowKey, properties) };
}

/** True when the row's properties are the ones that were written. */
export function rowIntact(row: Row): boolean {
  const { [MEMBER]: stored, ...properties } = row.properties;
  return stored === digest(row.partitionKey, row.rowKey, properties);
}
