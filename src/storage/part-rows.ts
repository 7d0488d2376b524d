import { checksumOf, sha256Hex, type Json } from '../domain/canonical-json.js';
import type { SealedSecrets } from '../domain/commitment.js';
import type { Totals } from '../domain/parts.js';
import type { RecordData } from '../domain/record-type.js';
import { keyValue, lastDigitOf, monthOf } from './keys.js';
import type { Properties, Row } from './ports.js';
import { broken } from './record-row.js';
import { disposedOf } from './tombstone-row.js';
import { rowIntact, withRowChecksum } from './row-checksum.js';
import { textColumns, textOf } from './text-columns.js';

/** Version of the shape of part rows. */
const SCHEMA_VERSION = '1.0';

/** The partition of a record's parts, after the tenant: few enough for the directory, enough to share the load. */
export function partsPartition(ms: number, id: string): string {
  return `${monthOf(ms)}.${lastDigitOf(id)}`;
}

export const partsHeadKey = (id: string): string => `h:${id}`;
export const partNameKey = (id: string, name: string): string => `n:${id}:${keyValue(name)}`;

/** Entries are numbered from 1 in the order they were added. */
export function partKey(id: string, seq: number): string {
  return `p:${id}:${String(seq).padStart(10, '0')}`;
}

/** What a record's parts come to. */
export interface PartsHead {
  /** How many entries there are. */
  readonly seq: number;
  readonly totals: Totals;
  /** Of the latest entry's event, milliseconds. */
  readonly addedMs: number;
  /** The latest time that entries have had, where the type finds them by time. */
  readonly latest?: string | undefined;
  /** The last entry that is in the archive tier; undefined where none is. */
  readonly archivedUpTo?: number | undefined;
  /** Undefined before the first entry. */
  readonly etag: string | undefined;
}

/** An entry as it is stored: its committed form. */
export interface StoredPart {
  readonly seq: number;
  /** Number of the entry of the same name that this one stands for. */
  readonly replaces: number | undefined;
  readonly entry: RecordData;
  /** Its sensitive values, encrypted; absent where it has none. */
  readonly sealed?: SealedSecrets | undefined;
  /** SHA-256 of the canonical JSON of `entry`. */
  readonly checksum: string;
  readonly eventId: string;
  readonly addedAt: string;
  /** The latest time that this entry and those before it have, where the type finds them by time. */
  readonly latest?: string | undefined;
}

/** Where the line of an entry is. Bytes. */
export interface LinePlace {
  readonly blob: string;
  readonly offset: number;
  readonly length: number;
}

/** What the row of an entry says, with the entry itself or where it has moved. */
export interface PartRow extends Omit<StoredPart, 'entry' | 'sealed'> {
  readonly etag: string;
  /** Bytes of the entry as JSON, and of what is sealed of it. */
  readonly size: number;
  /** SHA-256 of what is sealed of it, as JSON; absent where that is nothing. */
  readonly sealedChecksum?: string | undefined;
  readonly held: Pick<StoredPart, 'entry' | 'sealed'> | { readonly line: LinePlace };
}

/** SHA-256 of what is sealed of an entry; it is held against the row wherever the entry is. */
export function sealedChecksumOf({ sealed }: Pick<StoredPart, 'sealed'>): string | undefined {
  return sealed === undefined ? undefined : sha256Hex(JSON.stringify(sealed));
}

/** Bytes of an entry as JSON, and of what is sealed of it. */
export function sizeOfPart({ entry, sealed }: Pick<StoredPart, 'entry' | 'sealed'>): number {
  const bytes = Buffer.byteLength(JSON.stringify(entry));
  return sealed === undefined ? bytes : bytes + Buffer.byteLength(JSON.stringify(sealed));
}

export function headRow(
  partition: string,
  id: string,
  head: Omit<PartsHead, 'etag'>,
): { rowKey: string; properties: Properties } {
  // prettier-ignore
  const rowKey = partsHeadKey(id);
  const latest = head.latest === undefined ? {} : { latest: head.latest };
  const archived = head.archivedUpTo === undefined ? {} : { archived_up_to: head.archivedUpTo };
  const columns = { schema_version: SCHEMA_VERSION, seq: head.seq, added_ms: head.addedMs, totals: JSON.stringify(head.totals), ...latest, ...archived }; // prettier-ignore
  return { rowKey, properties: withRowChecksum(partition, rowKey, columns) };
}

/** Stands for ever where the head of a record was that was disposed of: no addition can be committed any more. */
export function disposedHeadRow(
  partition: string,
  id: string,
): { readonly rowKey: string; readonly properties: Properties } {
  const rowKey = partsHeadKey(id);
  const columns = { tombstone: true, schema_version: SCHEMA_VERSION, seq: 0 };
  return { rowKey, properties: withRowChecksum(partition, rowKey, columns) };
}

export const isDisposedHead = (row: Row): boolean => rowIntact(row) && row.properties['tombstone'] === true;

/** Throws `integrity-failure` for a row that is not what was written, `record-erased` where the record was disposed of. */
export function parseHead(row: Row | undefined, id: string, initial: Totals): PartsHead {
  if (row === undefined) return { seq: 0, totals: initial, addedMs: 0, etag: undefined };
  if (!rowIntact(row)) throw broken(id, 0, 'parts row');
  if (isDisposedHead(row)) throw disposedOf();
  return {
    seq: Number(row.properties['seq']),
    totals: JSON.parse(String(row.properties['totals'])) as Totals,
    addedMs: Number(row.properties['added_ms']),
    latest: textIn(row, 'latest'),
    archivedUpTo: numberIn(row, 'archived_up_to'),
    etag: row.etag,
  };
}

export function partRow(
  partition: string,
  id: string,
  part: StoredPart,
): { rowKey: string; properties: Properties } {
  // prettier-ignore
  const rowKey = partKey(id, part.seq);
  const secrets = part.sealed === undefined ? {} : textColumns('sealed', JSON.stringify(part.sealed));
  const head = headColumns({ ...part, sealedChecksum: sealedChecksumOf(part) });
  const columns = { ...head, ...textColumns('entry', JSON.stringify(part.entry)), ...secrets };
  return { rowKey, properties: withRowChecksum(partition, rowKey, columns) };
}

/** The row of an entry that has moved into a blob: the same but for the entry. */
export function movedPartRow(
  partition: string,
  id: string,
  part: Omit<PartRow, 'held' | 'etag'>,
  line: LinePlace,
): { rowKey: string; properties: Properties } {
  const rowKey = partKey(id, part.seq);
  const columns = { ...headColumns(part), blob: line.blob, offset: line.offset, length: line.length, size: part.size }; // prettier-ignore
  return { rowKey, properties: withRowChecksum(partition, rowKey, columns) };
}

function headColumns(part: Omit<PartRow, 'held' | 'etag' | 'size'>): Properties {
  return {
    schema_version: SCHEMA_VERSION,
    event_id: part.eventId,
    added_at: part.addedAt,
    checksum: part.checksum,
    ...(part.replaces === undefined ? {} : { replaces: part.replaces }),
    ...(part.latest === undefined ? {} : { latest: part.latest }),
    ...(part.sealedChecksum === undefined ? {} : { sealed_checksum: part.sealedChecksum }),
  };
}

/** Throws `integrity-failure` for a row that is not what was written. */
export function parsePartRow(row: Row, id: string): PartRow {
  const { properties } = row;
  const seq = Number(row.rowKey.slice(row.rowKey.lastIndexOf(':') + 1));
  if (!rowIntact(row)) throw broken(id, seq, 'part row');
  const head = {
    seq,
    replaces: properties['replaces'] === undefined ? undefined : Number(properties['replaces']),
    checksum: String(properties['checksum']),
    eventId: String(properties['event_id']),
    addedAt: String(properties['added_at']),
    latest: textIn(row, 'latest'),
    sealedChecksum: textIn(row, 'sealed_checksum'),
    etag: row.etag,
  };
  const blob = textIn(row, 'blob');
  if (blob !== undefined) {
    const line = { blob, offset: Number(properties['offset']), length: Number(properties['length']) };
    return { ...head, size: Number(properties['size']), held: { line } };
  }
  const text = textOf('entry', properties);
  const entry = JSON.parse(text) as RecordData;
  if (checksumOf(entry as Json) !== head.checksum) throw broken(id, seq, 'part');
  const secrets = textOf('sealed', properties);
  const held = secrets === '' ? { entry } : { entry, sealed: JSON.parse(secrets) as SealedSecrets };
  if (sealedChecksumOf(held) !== head.sealedChecksum) throw broken(id, seq, 'part');
  return { ...head, size: sizeOfPart(held), held };
}

function numberIn(row: Row, name: string): number | undefined {
  const value = row.properties[name];
  return typeof value === 'number' ? value : undefined;
}

function textIn(row: Row, name: string): string | undefined {
  const value = row.properties[name];
  return typeof value === 'string' ? value : undefined;
}

export function nameRow(
  partition: string,
  id: string,
  name: string,
  seq: number,
): { rowKey: string; properties: Properties } {
  // prettier-ignore
  const rowKey = partNameKey(id, name);
  return { rowKey, properties: withRowChecksum(partition, rowKey, { schema_version: SCHEMA_VERSION, seq }) };
}
