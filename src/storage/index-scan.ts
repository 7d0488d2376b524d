import { LIMITS } from '../domain/limits.js';
import type { Budget } from './backoff.js';
import type { Position } from './cursor.js';
import type { Directory } from './directory.js';
import { dayOf, indexRange, monthOf, partitionKey } from './keys.js';
import type { RecordTable, Row } from './ports.js';
import { keyAfter } from './range.js';

/** A page of an index over time partitions, newest first. */
export interface IndexScan {
  readonly tenant: string;
  readonly table: string;
  readonly index: string;
  /** Encoded key value (`keys.ts`). */
  readonly value: string;
  readonly fromMs: number | undefined;
  readonly toMs: number | undefined;
  /** What one partition spans; partition names sort as their times do. */
  readonly granularity: 'month' | 'day';
  readonly limit: number;
  readonly after: Position | undefined;
  /** Residual filter; undefined when the index answers the whole query. */
  readonly accept: ((row: Row) => boolean) | undefined;
}

export interface IndexPage {
  readonly rows: readonly Row[];
  /** Where the next page begins; undefined when there is nothing more. */
  readonly next: Position | undefined;
}

export interface ScanTools {
  readonly tables: RecordTable;
  readonly directory: Directory;
  readonly budget: Budget;
}

/**
 * One range read per partition touched, at most 12; partitions that never held anything are skipped through the
 * directory, which costs one read more on a first page and whenever a page crosses into the next partition. A page may
 * be short: only `next` tells whether the list has ended.
 *
 * A first page needs both the directory and the newest partition, and asks for both at once: where the newest was
 * before it nearly always still is. What was read in vain because there is a newer one is thrown away.
 */
export async function scanIndex(tools: ScanTools, scan: IndexScan): Promise<IndexPage> {
  const range = indexRange(scan.index, scan.value, scan.fromMs, scan.toMs);
  const ahead = readAhead(tools, scan, range);
  const rows: Row[] = [];
  let position = scan.after;
  let reads = 0;
  for await (const { partition, from } of partitionsToRead(tools, scan, range)) {
    if (rows.length >= scan.limit || reads >= LIMITS.pageRangeReads) return { rows, next: position };
    const wanted = scan.limit - rows.length;
    const read = await (reads === 0 && ahead?.partition === partition
      ? ahead.read
      : readPartition(tools, scan, partition, { from, to: range.to }, wanted));
    reads += 1;
    rows.push(...read.rows);
    if (read.more) return { rows, next: { partition, rowKey: read.last ?? from } };
    // Read to its end: the next page does not look at it again.
    position = { partition, rowKey: range.to };
  }
  return { rows, next: undefined };
}

/** Begins the read that a first page will most likely begin with. */
function readAhead(
  tools: ScanTools,
  scan: IndexScan,
  range: { readonly from: string; readonly to: string },
): { readonly partition: string; readonly read: Promise<PartitionRead> } | undefined {
  const partition =
    scan.after === undefined ? tools.directory.newestSeen(scan.tenant, scan.table) : undefined;
  if (partition === undefined || !touches(scan, partition)) return undefined;
  const read = readPartition(tools, scan, partition, range, scan.limit);
  // Whoever wants it sees how it failed; nobody may want it.
  read.catch(() => undefined);
  return { partition, read };
}

/** The partitions a scan has yet to read, newest first; the directory is asked only when somebody wants the second. */
async function* partitionsToRead(
  tools: ScanTools,
  scan: IndexScan,
  range: { from: string; to: string },
): AsyncGenerator<{ partition: string; from: string }> {
  const { after } = scan;
  if (after !== undefined && after.rowKey < range.to) {
    yield { partition: after.partition, from: keyAfter(after.rowKey) };
  }
  for (const partition of await olderPartitions(tools, scan, after?.partition))
    yield { partition, from: range.from };
}

interface PartitionRead {
  readonly rows: readonly Row[];
  /** The last row looked at and decided on. */
  readonly last: string | undefined;
  /** Rows of this partition are left after `last`. */
  readonly more: boolean;
}

async function readPartition(
  tools: ScanTools,
  scan: IndexScan,
  partition: string,
  range: { from: string; to: string },
  wanted: number,
): Promise<PartitionRead> {
  // One row beyond the page tells whether there is another, without a read that finds nothing.
  const limit = scan.accept === undefined ? Math.min(wanted + 1, LIMITS.rangeRows) : LIMITS.rangeRows;
  const key = partitionKey(scan.tenant, partition);
  const page = await tools.budget.retry(() => tools.tables.range(scan.table, key, { ...range, limit }));
  const rows: Row[] = [];
  let last: string | undefined;
  for (const row of page.rows) {
    const fits = scan.accept === undefined || scan.accept(row);
    if (fits && rows.length === wanted) return { rows, last, more: true };
    if (fits) rows.push(row);
    last = row.rowKey;
  }
  return { rows, last, more: page.more };
}

/** Partitions of the scan's time range that are older than `than`, newest first. */
async function olderPartitions(
  tools: ScanTools,
  scan: IndexScan,
  than: string | undefined,
): Promise<readonly string[]> {
  const all = await tools.budget.retry(() => tools.directory.partitions(scan.tenant, scan.table));
  return all.filter((name) => (than === undefined || name < than) && touches(scan, name)).reverse();
}

/** True when the time range of a scan has a part in the partition. */
function touches({ granularity, fromMs, toMs }: IndexScan, partition: string): boolean {
  const nameOf = granularity === 'month' ? monthOf : dayOf;
  if (toMs !== undefined && partition > nameOf(toMs - 1)) return false;
  return fromMs === undefined || partition >= nameOf(fromMs);
}
