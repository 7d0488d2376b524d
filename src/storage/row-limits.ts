import { LIMITS } from '../domain/limits.js';
import { StorageFault, type Properties, type Property, type RangeQuery, type RowOperation } from './ports.js';

/**
 * The bounds of Azure Table Storage, checked before anything is sent: the emulator does not check all of them, and a
 * refusal by the service says less. Pure; used by every implementation of `RecordTable`.
 */
const RESERVED_NAMES = new Set(['partitionkey', 'rowkey', 'timestamp', 'etag']);
const PROPERTY_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,254}$/;
/** 255 of the service less its three system properties. */
const MAX_PROPERTIES = 252;
/** `/ \ # ?` and control characters (Table Storage), and half of a surrogate pair (no UTF-8 for it). */
// eslint-disable-next-line no-control-regex -- the service forbids just these
const FORBIDDEN_IN_KEY = /[/\\#?\u0000-\u001f\u007f-\u009f\p{Surrogate}]/u;
/** Multipart boundary, request line and headers of one operation of a transaction, generously. */
const OPERATION_OVERHEAD_BYTES = 1024;
/** Two bytes of a key, as `entityBytes` counts them, are at most 9 characters of a URL, and are sent twice. */
const MOST_BYTES_OF_ONE_COUNTED = 9;

const tooLarge = (message: string): StorageFault => new StorageFault('too-large', message);
const refused = (message: string): StorageFault => new StorageFault('refused', message);

/** Throws `too-large` unless `key` can be a partition or row key. */
export function checkKey(what: 'partition key' | 'row key', key: string): void {
  if (key.length > LIMITS.keyChars) throw tooLarge(`the ${what} has more than ${LIMITS.keyChars} characters`);
  if (FORBIDDEN_IN_KEY.test(key)) throw tooLarge(`the ${what} holds a character that keys cannot hold`);
}

/** Throws `too-large` (or `refused`, for input no limit explains) unless the transaction can be sent. */
export function checkTransaction(partitionKey: string, operations: readonly RowOperation[]): void {
  if (operations.length === 0) throw refused('a transaction has at least one operation');
  if (operations.length > LIMITS.transactionRows)
    throw tooLarge(`a transaction has at most ${LIMITS.transactionRows} rows, not ${operations.length}`);
  checkKey('partition key', partitionKey);
  const seen = new Set<string>();
  let counted = 0;
  for (const operation of operations) {
    const { rowKey } = operation;
    checkKey('row key', rowKey);
    if (seen.has(rowKey)) throw tooLarge('a transaction names a row only once');
    seen.add(rowKey);
    // Without If-Match a replace would silently become an upsert.
    if ('etag' in operation && operation.etag === '') throw refused('an ETag is not empty');
    counted += checkProperties(partitionKey, rowKey, operation.kind === 'delete' ? {} : operation.properties);
  }
  // Counted bytes are cheap to know, and what is far from the limit by them need not be written down to be measured.
  const most = operations.length * OPERATION_OVERHEAD_BYTES + counted * MOST_BYTES_OF_ONE_COUNTED;
  if (most > LIMITS.transactionBytes && sentBytes(partitionKey, operations) > LIMITS.transactionBytes)
    throw tooLarge(`the transaction is larger than ${LIMITS.transactionBytes} bytes`);
}

/** About what a transaction takes on the wire. */
function sentBytes(partitionKey: string, operations: readonly RowOperation[]): number {
  return operations.reduce((bytes, operation) => {
    const keyBytes = encodeURIComponent(partitionKey + operation.rowKey).length * 2;
    const properties = operation.kind === 'delete' ? '' : JSON.stringify(operation.properties);
    return bytes + OPERATION_OVERHEAD_BYTES + keyBytes + Buffer.byteLength(properties);
  }, 0);
}

/** Throws `refused` unless a page of 1 to 1,000 rows is asked for. */
export function checkRange(query: RangeQuery): void {
  if (!Number.isInteger(query.limit) || query.limit < 1 || query.limit > LIMITS.rangeRows)
    throw refused(`a range read asks for 1 to ${LIMITS.rangeRows} rows`);
}

/** The size of the row as the service counts it. */
function checkProperties(partitionKey: string, rowKey: string, properties: Properties): number {
  const entries = Object.entries(properties);
  if (entries.length > MAX_PROPERTIES) throw tooLarge(`a row has at most ${MAX_PROPERTIES} properties`);
  for (const [name, value] of entries) checkProperty(name, value);
  const bytes = entityBytes(partitionKey, rowKey, properties);
  if (bytes > LIMITS.entityBytes) throw tooLarge(`a row has at most ${LIMITS.entityBytes} bytes`);
  return bytes;
}

function checkProperty(name: string, value: Property): void {
  if (!PROPERTY_NAME.test(name) || RESERVED_NAMES.has(name.toLowerCase()))
    throw refused(`a property cannot be named "${name.slice(0, 64)}"`);
  if (typeof value === 'number' && !Number.isFinite(value)) throw refused(`${name} is not a finite number`);
  if (typeof value !== 'string') return;
  if (value.length * 2 > LIMITS.propertyBytes)
    throw tooLarge(`${name} has more than ${LIMITS.propertyBytes} bytes`);
  if (!value.isWellFormed()) throw refused(`${name} is not well-formed Unicode`);
}

/** Size of a row as Table Storage counts it: UTF-16 keys, names and strings, and a few bytes for each property. */
export function entityBytes(partitionKey: string, rowKey: string, properties: Properties): number {
  let bytes = 4 + (partitionKey.length + rowKey.length) * 2;
  for (const [name, value] of Object.entries(properties)) {
    bytes += 8 + name.length * 2;
    if (typeof value === 'string') bytes += value.length * 2 + 4;
    else bytes += typeof value === 'boolean' ? 1 : 8;
  }
  return bytes;
}
