import type { Properties, Property, Row } from '../storage/ports.js';

/**
 * Rows to and from the JSON of Table Storage. A number comes back as exactly the number it was: an integer that fits
 * is Int32, a larger one up to 2^53 is Int64 (as text, with its type), anything else Double (with its type). Only the
 * sign of -0 is lost.
 */
const INT32_MAX = 2 ** 31 - 1;
const INT32_MIN = -(2 ** 31);
const INT64_MAX = 2 ** 53;

/** Where a row is, below the endpoint. */
export function rowPath(table: string, partitionKey: string, rowKey: string): string {
  const key = (text: string): string => encodeURIComponent(text.replaceAll("'", "''"));
  return `${table}(PartitionKey='${key(partitionKey)}',RowKey='${key(rowKey)}')`;
}

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

/** A row as the service sends it: what JSON cannot say is a string beside its type. */
export type WireRow = Readonly<Record<string, unknown>>;

const TYPE = '@odata.type';
/** Members of a row that are no properties of it. */
const SYSTEM_MEMBERS: ReadonlySet<string> = new Set([
  'PartitionKey',
  'RowKey',
  'Timestamp',
  'odata.etag',
  'odata.metadata',
]);

/** The row that was sent. A page has a thousand of them: nothing is copied twice. */
export function decodeRow(sent: WireRow): Row {
  const { PartitionKey: partitionKey, RowKey: rowKey, Timestamp: timestamp, 'odata.etag': etag } = sent;
  if (typeof partitionKey !== 'string' || typeof rowKey !== 'string' || typeof etag !== 'string')
    throw new Error('a row came without its key or version');
  if (typeof timestamp !== 'string') throw new Error('a row came without its time');
  const names = Object.keys(sent);
  const typed = names.some((name) => name.endsWith(TYPE));
  const properties: Record<string, Property> = {};
  for (const name of names) {
    if (SYSTEM_MEMBERS.has(name) || name.includes('@') || name.startsWith('odata.')) continue;
    const decoded = decode(sent[name], typed ? sent[name + TYPE] : undefined);
    if (decoded !== undefined) properties[name] = decoded;
  }
  return { partitionKey, rowKey, etag, timestampMs: Date.parse(timestamp), properties };
}

/** Undefined for types this platform never writes. */
function decode(value: unknown, type: unknown): Property | undefined {
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  if (typeof value !== 'string') return undefined;
  if (type === 'Edm.Int64') return Number(value);
  return type === undefined || type === 'Edm.String' || type === 'Edm.Double' ? value : undefined;
}
