import { LIMITS } from '../domain/limits.js';
import type { Budget } from './backoff.js';
import { isFault, type RecordTable } from './ports.js';

/** Rows of one partition of one table. */
export interface RowRange {
  readonly table: string;
  readonly partitionKey: string;
  readonly from: string;
  /** Exclusive. */
  readonly to: string;
}

/**
 * Deletes every row of a range, whatever its version, a hundred at a time: one range read and one transaction for each.
 * True when none is left; false when time was up before. Several may do it at once. Throws `storage-unavailable`.
 */
export async function deleteRange(
  tables: RecordTable,
  { table, partitionKey, from, to }: RowRange,
  budget: () => Budget,
  timeIsUp: () => boolean,
): Promise<boolean> {
  let pausing = budget();
  for (;;) {
    const query = { from, to, limit: LIMITS.transactionRows };
    const page = await budget().retry(() => tables.range(table, partitionKey, query));
    const operations = page.rows.map(({ rowKey }) => ({ kind: 'delete', rowKey, etag: '*' }) as const);
    if (operations.length === 0) return true;
    try {
      await budget().retry(() => tables.commit(table, partitionKey, operations));
      pausing = budget();
    } catch (error) {
      // Somebody else is deleting them too, or this very transaction was applied and its answer lost.
      if (!isFault(error, 'missing')) throw error;
      await pausing.pause(error, 5, 250);
    }
    if (page.rows.length < LIMITS.transactionRows && !page.more) return true;
    if (timeIsUp()) return false;
  }
}
