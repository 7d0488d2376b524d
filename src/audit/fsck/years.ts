import { createHash } from 'node:crypto';
import { yearOf } from '../../domain/clock.js';
import { isAppError } from '../../domain/errors.js';
import type { RecordType } from '../../domain/record-type.js';
import { parseDigestRow, type Digested } from '../../storage/digest-row.js';
import type { PartitionRef } from '../../storage/directory.js';
import { BLOB_CONTAINERS, partitionKey, prefixRange } from '../../storage/keys.js';
import { partsPartition } from '../../storage/part-rows.js';
import { isFault, type BlobStore, type Row } from '../../storage/ports.js';
import { timeOfId } from '../../storage/record-location.js';
import { digestKey } from '../../storage/series-rows.js';
import {
  parseYearRow,
  yearKey,
  yearPartition,
  type YearFile,
  type YearRow,
} from '../../storage/year-rows.js';
import type { Found, Suspicions } from './findings.js';
import { lookSettled } from './look-settled.js';
import { rowAt, type Reads } from './tools.js';

const CONTAINER = BLOB_CONTAINERS.records;
/** Records whose series are looked at in one piece. */
const RECORDS = 20;
/** Bytes of a file that are held. */
const WINDOW = 4 * 1024 * 1024;

/** A series, and the table of what it is made of. */
interface Series {
  readonly tenant: string;
  readonly id: string;
  readonly table: string;
}

/** The years of series of a partition of records after a row key. Resolves to the last row of a page, undefined at the end. */
export async function checkYears(reads: Reads, type: RecordType, ref: PartitionRef, after: string | undefined, suspicions: Suspicions): Promise<string | undefined> {
  const page = await reads.pageAfter(ref, prefixRange('r:'), after, RECORDS);
  for (const record of page.rows) {
    // What stands where a record is not any more is listed nowhere.
    if (record.properties['index_keys'] === undefined) continue;
    suspicions.add(await lookSettled(reads, ref, record, (row, found) => checkSeries(reads, type, ref, row, found)));
  }
  return page.more ? page.rows.at(-1)?.rowKey : undefined;
} // prettier-ignore

async function checkSeries(
  reads: Reads,
  type: RecordType,
  { tenant }: PartitionRef,
  record: Row,
  found: Found,
): Promise<void> {
  const { parts } = type;
  const id = String(record.properties['id']);
  if (parts?.series === undefined) return;
  const come = await progressOf(reads, partitionKey(tenant, partsPartition(timeOfId(type, id), id)), parts.table, id); // prettier-ignore
  if (come?.bounds === undefined || come.filedThrough === undefined) return;
  const series = { tenant, id, table: parts.series.table };
  for (let year = yearOf(come.bounds[0]); year <= come.filedThrough; year += 1)
    await checkYear(reads, series, year, found);
}

/** That the row is altered is said where rows are walked. */
async function progressOf(reads: Reads, key: string, table: string, id: string): Promise<Digested | undefined> {
  const row = await reads.row(table, key, digestKey(id));
  return row === undefined ? undefined : unlessAltered(() => parseDigestRow(row));
} // prettier-ignore

/** The files that the row of a year names are there, and what it says. */
async function checkYear(reads: Reads, series: Series, year: number, found: Found): Promise<void> {
  const { tenant, id, table } = series;
  const key = partitionKey(tenant, yearPartition(id, year));
  const row = await reads.row(table, key, yearKey(year));
  if (row === undefined) return;
  const since = { sinceMs: row.timestampMs };
  const now: YearRow | undefined = unlessAltered(() => parseYearRow(row, id));
  if (now === undefined) {
    found('row.altered', rowAt(table, key, row.rowKey), 'it is not what was written', since);
    return;
  }
  for (const file of now.files) {
    const verdict = await verdictOn(reads, file);
    const where = `${CONTAINER}/${file.blob}`;
    if (verdict === 'archived')
      found('year.archived', where, 'it is in the archive tier; it was not read', since); // prettier-ignore
    else if (verdict !== 'sound') found('year.content', where, verdict, since);
  }
}

function unlessAltered<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (isAppError(error, 'integrity-failure')) return undefined;
    throw error;
  }
}

async function verdictOn(reads: Reads, { blob, bytes, sha256 }: YearFile): Promise<string> {
  const { blobs } = reads.tools.ports;
  const state = await reads.budget().retry(() => blobs.blockState(CONTAINER, blob));
  if (state === undefined) return 'it is not there';
  if (state.length !== bytes) return `it has ${String(state.length)} bytes instead of ${String(bytes)}`;
  try {
    return (await hashOf(reads, blobs, blob, bytes)) === sha256 ? 'sound' : 'it has another hash';
  } catch (error) {
    if (isFault(error, 'archived')) return 'archived';
    throw error;
  }
}

async function hashOf(reads: Reads, blobs: BlobStore, blob: string, bytes: number): Promise<string> {
  const hash = createHash('sha256');
  for (let offset = 0; offset < bytes; offset += WINDOW) {
    const range = { offset, length: Math.min(WINDOW, bytes - offset) };
    const content = await reads.budget().retry(() => blobs.find(CONTAINER, blob, range));
    hash.update(content?.bytes ?? new Uint8Array());
  }
  return hash.digest('hex');
}
