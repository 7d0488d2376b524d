import { LIMITS } from '../domain/limits.js';
import type { Sample } from '../domain/series.js';
import type { Budget } from './backoff.js';
import { isFault, type RangePage, type RangeQuery, type RecordTable, type Row } from './ports.js';
import { keyAfter } from './range.js';
import { parseSample } from './series-rows.js';

/** Months of a series, each a partition of samples. */
export interface SampleMonths {
  readonly table: string;
  /** In their order. */
  readonly partitionKeys: readonly string[];
  readonly id: string;
}

const SAMPLES = { from: 's:', to: 's;' } as const;

/**
 * Samples in rows that entries after `from` up to `upTo` have brought, in their order; one range read for 1,000 rows, and one
 * for each month. Throws `integrity-failure`, `storage-unavailable`.
 */
export async function* samplesInRows(
  tables: RecordTable,
  { table, partitionKeys, id }: SampleMonths,
  { from, upTo }: { readonly from: number; readonly upTo: number },
  budget: () => Budget,
): AsyncGenerator<readonly Sample[]> {
  for (const key of partitionKeys) {
    let next: string | undefined = SAMPLES.from;
    while (next !== undefined) {
      const query: RangeQuery = { from: next, to: SAMPLES.to, limit: LIMITS.rangeRows };
      const page: RangePage = await budget().retry(() => tables.range(table, key, query));
      const wanted = page.rows.filter((row) => entryOf(row) > from && entryOf(row) <= upTo);
      if (wanted.length > 0) yield wanted.map((row) => parseSample(row, id));
      const last: string | undefined = page.rows.at(-1)?.rowKey;
      next = page.more && last !== undefined ? keyAfter(last) : undefined;
    }
  }
}

/**
 * Deletes the samples in rows that entries up to `upTo` have brought: a transaction for each hundred. False when time was up
 * before all were gone. Several may be at it at once.
 */
export async function clearSamples(
  tables: RecordTable,
  { table, partitionKeys }: Omit<SampleMonths, 'id'>,
  upTo: number,
  budget: () => Budget,
  timeIsUp: () => boolean,
): Promise<boolean> {
  for (const key of partitionKeys) {
    let next: string | undefined = SAMPLES.from;
    while (next !== undefined) {
      const query: RangeQuery = { from: next, to: SAMPLES.to, limit: LIMITS.rangeRows };
      const page: RangePage = await budget().retry(() => tables.range(table, key, query));
      const going = page.rows.filter((row) => entryOf(row) <= upTo);
      try {
        for (let at = 0; at < going.length; at += LIMITS.transactionRows) {
          const rows = going.slice(at, at + LIMITS.transactionRows);
          const operations = rows.map(({ rowKey }) => ({ kind: 'delete', rowKey, etag: '*' }) as const);
          await budget().retry(() => tables.commit(table, key, operations));
          if (timeIsUp()) return false;
        }
      } catch (error) {
        // Somebody else is deleting them too, or a transaction was applied and its answer lost: looked at again.
        if (!isFault(error, 'missing')) throw error;
        await budget().pause(error, 5, 250);
        continue;
      }
      const last: string | undefined = page.rows.at(-1)?.rowKey;
      next = page.more && last !== undefined ? keyAfter(last) : undefined;
    }
  }
  return true;
}

/** Which entry brought a sample, by its key. */
const entryOf = ({ rowKey }: Row): number => Number(rowKey.split(':')[2]);
