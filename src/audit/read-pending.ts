import { LIMITS } from '../domain/limits.js';
import type { PartitionRef } from '../storage/directory.js';
import { partitionKey, prefixRange } from '../storage/keys.js';
import type { RecordTable, Row } from '../storage/ports.js';
import { keyAfter, readRange } from '../storage/range.js';
import { isCorrupt, parsePending, type CorruptPending, type PendingEvent } from './pending-row.js';

/** What one partition has to offer to a round. */
export interface PartitionRead {
  /** Events that may be taken, any number of the first of them, ascending by event id. */
  readonly events: readonly PendingEvent[];
  readonly corrupt: readonly CorruptPending[];
  /** True when the partition has no pending row beyond what was read. */
  readonly complete: boolean;
}

const PENDING = prefixRange('o:');

/**
 * Reads the pending rows of a partition until `wanted` of them may be taken (it may find more) or none is left.
 * Only to be called when the head is finished: what is pending then is in no stage that counts.
 *
 * **No revision is taken before its predecessor** (audit-ledger.md, the sealer), though a range read is no snapshot:
 * it may see a row and miss one that was committed earlier. A change's event id sorts after that of the record's
 * previous revision, so taking the first events by id never parts them wrongly; what can go wrong is that the
 * predecessor was not seen. If the read saw the predecessor of every revision above the first, none can be missing.
 * Otherwise the predecessors of those left over were committed before the read saw their successors, hence before a
 * second read begins: that one sees every one of them that is still pending, and one that it does not see is sealed
 * already (nobody clears pending rows meanwhile without moving the head, which makes this round's commit fail).
 * So the second read's lower revisions of those records complete the set, and nothing else of it is needed but
 * corrupt rows, which may be one of them and then hold back what follows.
 */
export async function readPartition(
  tables: RecordTable,
  ref: PartitionRef,
  wanted: number,
): Promise<PartitionRead> {
  const key = partitionKey(ref.tenant, ref.partition);
  const parse = (row: Row): PendingEvent | CorruptPending => parsePending(ref, row);
  const seen = new Map<string, PendingEvent | CorruptPending>();
  let from = PENDING.from;
  let more = true;
  while (more && takeable([...seen.values()]).length < wanted) {
    const page = await tables.range(ref.table, key, { from, to: PENDING.to, limit: LIMITS.rangeRows });
    for (const row of page.rows) seen.set(row.rowKey, parse(row));
    from = keyAfter(page.rows.at(-1)?.rowKey ?? from);
    more = page.more;
  }
  const orphans = orphansOf(takeable([...seen.values()]));
  if (orphans.length > 0) {
    const to = keyAfter((orphans.at(-1) as PendingEvent).rowKey);
    const again = await readRange(tables, ref.table, key, { from: PENDING.from, to });
    for (const row of again.filter(({ rowKey }) => !seen.has(rowKey)).map(parse)) {
      if (isCorrupt(row)) seen.set(row.row.rowKey, row);
      else if (precedesOne(row, orphans)) seen.set(row.rowKey, row);
    }
  }
  const rows = [...seen.values()];
  return { events: takeable(rows), corrupt: rows.filter(isCorrupt), complete: !more };
}

/** Events in order of their ids, without those of a record that follow a corrupt row of the same record. */
function takeable(rows: readonly (PendingEvent | CorruptPending)[]): PendingEvent[] {
  const corrupt = rows.filter(isCorrupt);
  const events = rows.filter((row): row is PendingEvent => !isCorrupt(row));
  const free = events.filter(
    ({ change, rowKey }) =>
      change === undefined ||
      !corrupt.some(({ records, row }) => records.has(change.record) && row.rowKey < rowKey),
  );
  return free.sort(byEventId);
}

/** Revisions above the first whose predecessor is not among the events. */
function orphansOf(events: readonly PendingEvent[]): PendingEvent[] {
  const present = new Set(events.map(({ change }) => (change === undefined ? '' : revisionOf(change))));
  return events.filter(
    ({ change }) =>
      change !== undefined &&
      change.revision > 1 &&
      !present.has(revisionOf({ ...change, revision: change.revision - 1 })),
  );
}

/** True for a lower revision of one of the records. */
function precedesOne({ change }: PendingEvent, orphans: readonly PendingEvent[]): boolean {
  return (
    change !== undefined &&
    orphans.some(
      ({ change: later }) =>
        later !== undefined && later.record === change.record && change.revision < later.revision,
    )
  );
}

function revisionOf(change: { readonly record: string; readonly revision: number }): string {
  return `${String(change.revision)} ${change.record}`;
}

/** Log order: event ids compared as the table compares keys. */
export function byEventId(a: PendingEvent, b: PendingEvent): number {
  return a.eventId < b.eventId ? -1 : a.eventId > b.eventId ? 1 : 0;
}
