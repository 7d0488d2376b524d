import { LIMITS } from '../domain/limits.js';
import type { Budget } from '../storage/backoff.js';
import { partitionKey, revisionKey } from '../storage/keys.js';
import type { PartitionRef } from '../storage/directory.js';
import type { RecordTable, Row } from '../storage/ports.js';

/** A revision of a record. */
export interface RevisionName {
  readonly id: string;
  readonly revision: number;
}

/** The first key behind all revision rows. */
const END = 'v;';

/**
 * The revision rows of many revisions in one partition, by row key. A range read begins at the first revision that is
 * not known yet, so neighbours cost one read per 1,000 rows, and those far apart one each; a single one a point read.
 */
export async function findRevisions(
  tables: RecordTable,
  ref: PartitionRef,
  wanted: readonly RevisionName[],
  budget: Budget,
): Promise<ReadonlyMap<string, Row>> {
  const key = partitionKey(ref.tenant, ref.partition);
  const keys = [...new Set(wanted.map(({ id, revision }) => revisionKey(id, revision)))].sort();
  const asked = new Set(keys);
  const found = new Map<string, Row>();
  for (let at = 0; at < keys.length;) {
    const from = keys[at] as string;
    if (at === keys.length - 1) {
      const row = await budget.retry(() => tables.find(ref.table, key, from));
      if (row !== undefined) found.set(from, row);
      break;
    }
    const query = { from, to: END, limit: LIMITS.rangeRows };
    const page = await budget.retry(() => tables.range(ref.table, key, query));
    for (const row of page.rows) if (asked.has(row.rowKey)) found.set(row.rowKey, row);
    const last = page.rows.at(-1)?.rowKey;
    if (!page.more || last === undefined) break;
    while (at < keys.length && (keys[at] as string) <= last) at += 1;
  }
  return found;
}
