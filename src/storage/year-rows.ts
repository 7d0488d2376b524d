import type { Tier } from '../domain/envelope.js';
import type { PartsDeclaration } from '../domain/parts.js';
import type { RecordType } from '../domain/record-type.js';
import type { Totals } from '../domain/series.js';
import type { PartitionRef } from './directory.js';
import type { Properties, Row } from './ports.js';
import { broken } from './record-row.js';
import { recordBlobs } from './record-location.js';
import { rowIntact, withRowChecksum } from './row-checksum.js';
import { textColumns, textOf } from './text-columns.js';

/** Values that are compressed together: bytes they take, time and place of the first of them, CRC-32 of their lines. */
export type YearMember = readonly [length: number, ms: number, seq: number, at: number, crc: number];

/** A file with values of a year, in their order. */
export interface YearFile {
  readonly blob: string;
  readonly tier: Tier;
  readonly bytes: number;
  /** hex SHA-256 of the blob. */
  readonly sha256: string;
  /** Bytes before the first member: what gzip begins with, and the header. */
  readonly head: number;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly totals: Totals;
  readonly members: readonly YearMember[];
}

/**
 * The row `y:<yyyy>` beside the rollups of a year: which files have its values. They are read from these and from sample
 * rows alike, and a value that is in both is one: rows are deleted when a file has them.
 */
export interface YearRow {
  readonly year: number;
  /** Every value of an entry up to this one is in the files. */
  readonly upTo: number;
  readonly files: readonly YearFile[];
  readonly etag: string | undefined;
}

export const yearKey = (year: number): string => `y:${String(year)}`;

/** The partition with the rollups of a year, after the tenant. */
export const yearPartition = (id: string, year: number): string => `${id}.${String(year).padStart(4, '0')}`;

/** `values/2025-<uuid>.csv.gz` below what is called after the record, so that it goes with the record. */
export function yearBlobName(
  type: RecordType,
  { path }: PartsDeclaration,
  record: PartitionRef,
  id: string,
  year: number,
  uuid: string,
): string {
  return `${recordBlobs(type, record, id)}${path}/${String(year)}-${uuid}.csv.gz`;
}

const NAME = /\/(\d{4})-([0-9a-f-]{36})\.csv\.gz$/;

/** The year and the UUID in the name of such a file; undefined for any other blob. */
export function yearBlobOf(blob: string): { readonly year: number; readonly uuid: string } | undefined {
  const match = NAME.exec(blob);
  return match === null ? undefined : { year: Number(match[1]), uuid: String(match[2]) };
}

/** Columns of the row, with its checksum. */
export function yearRow(
  partitionKey: string,
  { year, upTo, files }: Omit<YearRow, 'etag'>,
): { readonly rowKey: string; readonly properties: Properties } {
  const rowKey = yearKey(year);
  const columns = { schema_version: '1.0', up_to: upTo, ...textColumns('files', JSON.stringify(files)) };
  return { rowKey, properties: withRowChecksum(partitionKey, rowKey, columns) };
}

/** Reads the row. Throws `integrity-failure` when it is not what was written. */
export function parseYearRow(row: Row, id: string): YearRow {
  if (!rowIntact(row)) throw broken(id, 0, 'year row');
  return {
    year: Number(row.rowKey.slice(yearKey(0).length - 1)),
    upTo: Number(row.properties['up_to']),
    files: JSON.parse(textOf('files', row.properties)) as readonly YearFile[],
    etag: row.etag,
  };
}
