import { createHash } from 'node:crypto';
import { LIMITS } from '../domain/limits.js';

/**
 * Row and partition keys (architecture.md, storage layout): a contract, checked from outside. Every function is pure
 * and total; a key never holds a character Table Storage refuses.
 */
const INVERTED_FROM = 9_999_999_999_999;
const TENANT = /^[a-z0-9-]{1,63}$/;
const PLAIN = /^[A-Za-z0-9._-]*$/;

/** The tenant of rows that belong to no tenant: the directory, dirty rows, unreadable messages. */
export const SYSTEM_TENANT = '_system';

export function isTenant(text: string): boolean {
  return TENANT.test(text);
}

/** ASCII letters, digits, `.`, `_`, `-` as they are, anything else `=XX` per UTF-8 byte; long values cut and hashed. */
export function keyValue(value: string): string {
  if (value.length <= LIMITS.keyValueChars && PLAIN.test(value)) return value;
  let encoded = '';
  for (const byte of Buffer.from(value, 'utf8')) {
    const char = String.fromCharCode(byte);
    encoded += PLAIN.test(char) ? char : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  if (encoded.length <= LIMITS.keyValueChars) return encoded;
  const hash = createHash('sha256').update(encoded).digest('hex').slice(0, 32);
  return `${encoded.slice(0, 64)}=${hash}`;
}

/** The value that an encoded one stands for; undefined when it was cut, or is no encoding of anything. */
export function valueOfKey(encoded: string): string | undefined {
  const bytes = encoded.replaceAll(/%/g, '%25').replaceAll('=', '%');
  try {
    const value = decodeURIComponent(bytes);
    return keyValue(value) === encoded ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Several values as one key segment: each encoded by itself, joined by an encoded NUL. */
export function compoundKeyValue(values: readonly string[]): string {
  return values.map(keyValue).join('=00');
}

export function partitionKey(tenant: string, partition: string): string {
  return `${tenant}:${keyValue(partition)}`;
}

/** `YYYY-MM` in UTC. */
export function monthOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 7);
}

/** `YYYY-MM-DD` in UTC. */
export function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** The last hex digit of an id: random. */
export function lastDigitOf(id: string): string {
  return id.slice(-1);
}

/** 13 digits that sort newest first; times outside 1970 to 2286 count as the nearest one inside. */
export function invertedTime(ms: number): string {
  return String(INVERTED_FROM - Math.min(Math.max(ms, 0), INVERTED_FROM)).padStart(13, '0');
}

export const recordKey = (id: string): string => `r:${id}`;
/** The row that says which record has a name in its partition. */
export const nameKey = (name: string): string => `u:${keyValue(name)}`;
/** The row that says which revision of a record is listed, where its index rows are not beside it. */
export const listedKey = (id: string): string => `s:${id}`;
/** The row of a pack of archived revisions, by the UUID in its name. */
export const packKey = (uuid: string): string => `a:${uuid}`;
/** The row that says what of an archived record was brought back. */
export const rehydrationKey = (id: string): string => `y:${id}`;
export const pendingEventKey = (eventId: string): string => `o:${eventId}`;
export const idempotencyKey = (hash: string): string => `k:${hash}`;

export function revisionKey(id: string, revision: number): string {
  return `v:${id}:${String(revision).padStart(10, '0')}`;
}

/** Index row: `i:<index>:<value>:<inverted time>:<id>`. `value` is encoded already. */
export function indexKey(index: string, value: string, ms: number, id: string): string {
  return `i:${index}:${value}:${invertedTime(ms)}:${id}`;
}

/** The key range of an index for times in [fromMs, toMs); an open end is undefined. */
export function indexRange(
  index: string,
  value: string,
  fromMs: number | undefined,
  toMs: number | undefined,
): { from: string; to: string } {
  const prefix = `i:${index}:${value}:`;
  // Nothing is older than 1970.
  if (toMs !== undefined && toMs <= 0) return { from: `${prefix};`, to: `${prefix};` };
  return {
    // Newest first: the exclusive end of time is where the key range begins.
    from: toMs === undefined ? prefix : `${prefix}${invertedTime(toMs - 1)}`,
    // ';' is the character after ':', so `<time>;` follows every `<time>:<id>`.
    to: fromMs === undefined ? `${prefix};` : `${prefix}${invertedTime(fromMs)};`,
  };
}

/** The key range of everything that begins with `prefix`, which must end in ':'. */
export function prefixRange(prefix: string): { from: string; to: string } {
  return { from: prefix, to: `${prefix.slice(0, -1)};` };
}

export const BLOB_CONTAINERS = { records: 'records', audit: 'audit', ledger: 'ledger' } as const;

/** Queues, and where messages go that can never succeed. */
export const QUEUES = {
  inbox: 'records-inbox',
  inboxPoison: 'records-inbox-poison',
  seal: 'seal-work',
  sealPoison: 'seal-work-poison',
  lifecycle: 'lifecycle-work',
  lifecyclePoison: 'lifecycle-work-poison',
} as const;
