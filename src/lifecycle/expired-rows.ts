import { LIMITS } from '../domain/limits.js';
import type { Budget } from '../storage/backoff.js';
import { isFault, type RecordTable, type Row } from '../storage/ports.js';
import { keyAfter } from '../storage/range.js';
import { rowIntact } from '../storage/row-checksum.js';

/** Rows of one partition that may have expired. */
export interface ExpiryRange {
  readonly table: string;
  readonly partitionKey: string;
  /** Exclusive end. */
  readonly to: string;
  readonly from: string;
  readonly isExpired: (row: Row) => boolean;
}

/**
 * A row is kept until the time it names, and for as long as is promised by the service's own clock, which wrote its
 * `Timestamp`: a host whose clock runs days ahead or behind, on either side, takes nothing away too early. One that is
 * not what was written says nothing and stays.
 */
export function hasExpired(row: Row, graceMs: number, atMs: number): boolean {
  if (!rowIntact(row)) return false;
  const namedMs = Number(row.properties['expires_ms']) + graceMs;
  return namedMs <= atMs && row.timestampMs + LIMITS.idempotencyPromisedMs <= atMs;
}

export interface Removal {
  readonly seen: number;
  readonly removed: number;
  /** Where the rest begins; undefined at the end of the range. */
  readonly from: string | undefined;
}

/** One page of a range, 1,000 rows at most: what has expired is deleted, each row under the ETag it was read with. */
export async function removeExpired(
  tables: RecordTable,
  range: ExpiryRange,
  budget: Budget,
): Promise<Removal> {
  const { table, partitionKey, from, to, isExpired } = range;
  const query = { from, to, limit: LIMITS.rangeRows };
  const page = await budget.retry(() => tables.range(table, partitionKey, query));
  const expired = page.rows.filter(isExpired);
  let removed = 0;
  for (let at = 0; at < expired.length; at += LIMITS.transactionRows) {
    const some = expired.slice(at, at + LIMITS.transactionRows);
    removed += await removeRows(tables, range, some, budget);
  }
  const last = page.rows.at(-1);
  const more = page.more && last !== undefined;
  return { seen: page.rows.length, removed, from: more ? keyAfter(last.rowKey) : undefined };
}

/** Together in one transaction; one by one when one of them has moved, which then stays. */
async function removeRows(
  tables: RecordTable,
  range: ExpiryRange,
  rows: readonly Row[],
  budget: Budget,
): Promise<number> {
  const operations = rows.map(({ rowKey, etag }) => ({ kind: 'delete', rowKey, etag }) as const);
  try {
    await budget.retry(() => tables.commit(range.table, range.partitionKey, operations));
    return rows.length;
  } catch (error) {
    if (!isFault(error, 'conflict', 'missing')) throw error;
    if (rows.length === 1) return 0;
  }
  let removed = 0;
  for (const row of rows) removed += await removeRows(tables, range, [row], budget);
  return removed;
}
