import type { Budget } from '../storage/backoff.js';
import type { PartitionRef } from '../storage/directory.js';
import { partitionKey, recordKey } from '../storage/keys.js';
import { isFault, type RecordTable, type Row, type RowOperation } from '../storage/ports.js';
import { rowIntact } from '../storage/row-checksum.js';
import { isTombstone } from '../storage/tombstone-row.js';
import { isVoid, voidRow } from '../storage/void-row.js';

/** What was found where the fence stands: the record's row, or nothing, or no more than a tombstone; `damaged`: no fence. */
export type Fenced =
  { readonly kind: 'fenced'; readonly record: Row | undefined } | { readonly kind: 'damaged' };

/**
 * Makes every commit fail that would name a blob written before now as a revision of `id` (architecture.md, "Orphan
 * blobs"): such a commit inserts `r:<id>`, or replaces the version of it that was read before the blob was written.
 * So it is enough that there is a row, and that its version is one that came later: the row is rewritten as it is, or a
 * void one inserted. To be called after the blob was seen, before asking who names it. Two calls, as a rule.
 */
export async function fence(
  tables: RecordTable,
  ref: PartitionRef,
  id: string,
  budget: Budget,
): Promise<Fenced> {
  const key = partitionKey(ref.tenant, ref.partition);
  const rowKey = recordKey(id);
  for (;;) {
    const row = await budget.retry(() => tables.find(ref.table, key, rowKey));
    // What somebody altered is evidence, and nothing is decided by it.
    if (row !== undefined && !rowIntact(row)) return { kind: 'damaged' };
    const operation: RowOperation =
      row === undefined
        ? voidRow(key, id)
        : { kind: 'replace', rowKey, properties: row.properties, etag: row.etag };
    const none = row === undefined || isVoid(row) || isTombstone(row);
    const fenced = { kind: 'fenced', record: none ? undefined : row } as const;
    try {
      await budget.retry(() => tables.commit(ref.table, key, [operation]));
      return fenced;
    } catch (error) {
      // The version we read is gone, whoever replaced it, and with it every older one: that is all a fence does.
      if (isFault(error, 'conflict')) return fenced;
      if (!isFault(error, 'exists', 'missing')) throw error;
      await budget.pause(error, 5, 250);
    }
  }
}
