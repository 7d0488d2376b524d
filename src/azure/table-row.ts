import type { Properties, Property, Row } from '../storage/ports.js';

/**
 * Rows to and from the JSON of Table Storage. A number comes back as exactly the number it was: an integer that fits
 * is Int32, a larger one up to 2^53 is Int64 (as text, with its type), anything else Double (with its type). Only the
 * sign of -0 is lost.
 */
const INT32_MAX = 2 ** 31 - 1;
const INT32_MIN = -(2 ** 31);
const INT64_MAX = 2 ** 53;

/** The members of a row as they travel, keys included. */
export function encodeRow(
  partitionKey: string,
  rowKey: string,
  properties: Properties,
): Record<string, Property> {
  const encoded: Record<string, Property> = { PartitionKey: partitionKey, RowKey: rowKey };
  for (const [name, value] of Object.entries(properties)) {
    const type = typeof value === 'number' ? numberType(value) : undefined;
    encoded[name] = type === 'Edm.Int64' ? String(value) : value;
    if (type !== undefined) encoded[`${name}@odata.type`] = type;
  }
  return encoded;
}

function numberType(value: number): 'Edm.Int64' | 'Edm.Double' | undefined {
  if (!Number.isInteger(value) || Math.abs(value) > INT64_MAX) return 'Edm.Double';
  return value >= INT32_MIN && value <= INT32_MAX ? undefined : 'Edm.Int64';
}

/** A row as the SDK returns it. */
export interface SdkEntity {
  readonly etag?: string;
  readonly partitionKey?: string;
  readonly rowKey?: string;
  readonly timestamp?: string | Date;
  readonly [name: string]: unknown;
}

/** Members of an entity that are no properties of the row. */
const SYSTEM_MEMBERS: ReadonlySet<string> = new Set(['etag', 'partitionKey', 'rowKey', 'timestamp']);

/** The row of an entity read through the SDK. A page has a thousand of them: nothing is copied twice. */
export function decodeRow(entity: SdkEntity): Row {
  const { etag, partitionKey, rowKey, timestamp } = entity;
  if (etag === undefined || partitionKey === undefined || rowKey === undefined || timestamp === undefined)
    throw new Error('a row came without its key, version or time');
  const properties: Record<string, Property> = {};
  for (const name of Object.keys(entity)) {
    if (SYSTEM_MEMBERS.has(name) || name.startsWith('odata.')) continue;
    const decoded = decode(entity[name]);
    if (decoded !== undefined) properties[name] = decoded;
  }
  return { partitionKey, rowKey, etag, timestampMs: Date.parse(String(timestamp)), properties };
}

/** Undefined for types this platform never writes. */
function decode(value: unknown): Property | undefined {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number') return value;
  return undefined;
}
