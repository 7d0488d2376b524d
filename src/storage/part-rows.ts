import { checksumOf, type Json } from '../domain/canonical-json.js';
import type { Totals } from '../domain/parts.js';
import type { RecordData } from '../domain/record-type.js';
import { keyValue, lastDigitOf, monthOf } from './keys.js';
import type { Properties, Row } from './ports.js';
import { broken } from './record-row.js';
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
  /** Undefined before the first entry. */
  readonly etag: string | undefined;
}

/** An entry as it is stored. */
export interface StoredPart {
  readonly seq: number;
  /** Number of the entry of the same name that this one stands for. */
  readonly replaces: number | undefined;
  readonly entry: RecordData;
  readonly checksum: string;
  readonly eventId: string;
  readonly addedAt: string;
}

export function headRow(
  partition: string,
  id: string,
  head: Omit<PartsHead, 'etag'>,
): { rowKey: string; properties: Properties } {
  // prettier-ignore
  const rowKey = partsHeadKey(id);
  const columns = { schema_version: SCHEMA_VERSION, seq: head.seq, added_ms: head.addedMs, totals: JSON.stringify(head.totals) }; // prettier-ignore
  return { rowKey, properties: withRowChecksum(partition, rowKey, columns) };
}

/** Throws `integrity-failure` for a row that is not what was written. */
export function parseHead(row: Row | undefined, id: string, initial: Totals): PartsHead {
  if (row === undefined) return { seq: 0, totals: initial, addedMs: 0, etag: undefined };
  if (!rowIntact(row)) throw broken(id, 0, 'parts row');
  return {
    seq: Number(row.properties['seq']),
    totals: JSON.parse(String(row.properties['totals'])) as Totals,
    addedMs: Number(row.properties['added_ms']),
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
  const columns: Properties = {
    schema_version: SCHEMA_VERSION,
    event_id: part.eventId,
    added_at: part.addedAt,
    checksum: part.checksum,
    ...(part.replaces === undefined ? {} : { replaces: part.replaces }),
    ...textColumns('entry', JSON.stringify(part.entry)),
  };
  return { rowKey, properties: withRowChecksum(partition, rowKey, columns) };
}

/** Throws `integrity-failure` for a row that is not what was written. */
export function parsePart(row: Row, id: string): StoredPart {
  const { properties } = row;
  const seq = Number(row.rowKey.slice(row.rowKey.lastIndexOf(':') + 1));
  if (!rowIntact(row)) throw broken(id, seq, 'part row');
  const entry = JSON.parse(textOf('entry', properties)) as RecordData;
  if (checksumOf(entry as Json) !== properties['checksum']) throw broken(id, seq, 'part');
  return {
    seq,
    replaces: properties['replaces'] === undefined ? undefined : Number(properties['replaces']),
    entry,
    checksum: properties['checksum'],
    eventId: String(properties['event_id']),
    addedAt: String(properties['added_at']),
  };
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
