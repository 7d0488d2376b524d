import type { Tier } from '../domain/envelope.js';
import type { Properties, Row } from './ports.js';
import { broken } from './record-row.js';
import { rowIntact, withRowChecksum } from './row-checksum.js';
import { digestKey } from './series-rows.js';
import { textColumns, textOf } from './text-columns.js';

/** An append blob of entries that was copied, byte for byte, into a pack; the append blob is gone, or about to be. */
export interface StreamPiece {
  /** Of the append blob, which the rows of its entries go on to name. */
  readonly file: number;
  /** The last entry in it. */
  readonly upTo: number;
  readonly blob: string;
  /** Where in the pack it begins, and how long it is. Bytes. */
  readonly offset: number;
  readonly length: number;
  readonly tier: Exclude<Tier, 'hot'>;
}

/** The row `w:<id>` of a type with streams: how far the entries of a record have moved, and where they have gone since. */
export interface StreamRow {
  /** Entries up to this one are in blobs. */
  readonly upTo: number;
  /** The blob that is appended to, from 1; how many of its bytes are lines that rows name; and in how many blocks. */
  readonly file: number;
  readonly offset: number;
  readonly blocks: number;
  /** The files that were archived, from the first on and without a gap. */
  readonly pieces: readonly StreamPiece[];
  /** Undefined before the first entry has moved. */
  readonly etag: string | undefined;
}

const NO_STREAM: StreamRow = { upTo: 0, file: 1, offset: 0, blocks: 0, pieces: [], etag: undefined };

/** Columns of the row, with its checksum. */
export function streamRow(
  partitionKey: string,
  id: string,
  { upTo, file, offset, blocks, pieces }: Omit<StreamRow, 'etag'>,
): { readonly rowKey: string; readonly properties: Properties } {
  const rowKey = digestKey(id);
  const archived = pieces.length === 0 ? {} : textColumns('archived', JSON.stringify(pieces));
  const columns = { schema_version: '1.0', up_to: upTo, file, offset, blocks, ...archived };
  return { rowKey, properties: withRowChecksum(partitionKey, rowKey, columns) };
}

/** Reads the row. Throws `integrity-failure` when it is not what was written. */
export function parseStreamRow(row: Row | undefined, id: string): StreamRow {
  if (row === undefined) return NO_STREAM;
  if (!rowIntact(row)) throw broken(id, 0, 'stream row');
  const { up_to: upTo, file, offset, blocks } = row.properties;
  const text = textOf('archived', row.properties);
  return {
    upTo: Number(upTo),
    file: Number(file),
    offset: Number(offset),
    blocks: Number(blocks),
    pieces: text === '' ? [] : (JSON.parse(text) as readonly StreamPiece[]),
    etag: row.etag,
  };
}

/** The first file that was not archived, and the first entry in it. */
export function nextFileOf({ pieces }: StreamRow): { readonly file: number; readonly first: number } {
  const last = pieces.at(-1);
  return { file: (last?.file ?? 0) + 1, first: (last?.upTo ?? 0) + 1 };
}
