import pLimit from 'p-limit';
import { parseTime } from '../domain/clock.js';
import type { RecordType } from '../domain/record-type.js';
import { Budget } from './backoff.js';
import { callEvent } from './call-event.js';
import { clearingKey, clearingRow } from './clearing-row.js';
import { commitPlan } from './commit.js';
import type { PartitionRef } from './directory.js';
import { BLOB_CONTAINERS, partitionKey, prefixRange, recordKey } from './keys.js';
import type { CallContext, StorageManagerOptions } from './manager-types.js';
import { pendingEvent } from './pending-event.js';
import type { Row, RowOperation } from './ports.js';
import type { DisposalOrder } from './record-disposer.js';
import { recordBlobs } from './record-location.js';
import type { RecordLocator } from './record-locator.js';
import { parseRecordRow, parseRevisionRow, type RecordRow, type RevisionFacts } from './record-row.js';
import { withRowChecksum } from './row-checksum.js';
import { isTombstone } from './tombstone-row.js';
import { isVoid } from './void-row.js';

/** Why earlier revisions go, and which: those that were followed at a time for which `isOver` holds. */
export interface HistoryOrder extends Omit<DisposalOrder, 'cause' | 'sinceOf'> {
  readonly isOver: (supersededMs: number) => boolean;
}

export interface HistoryOutcome {
  /** How many went, or would; 0 where none is over, or `kept`. */
  readonly revisions: number;
  /** When each of them was followed by another, milliseconds. */
  readonly times: readonly number[];
  readonly kept: boolean;
  /** There may be more. */
  readonly more: boolean;
}

/** Revisions of one transaction, beside the record's row, its event and the row that counts them. */
const REVISIONS = 90;
const PARALLEL = 4;

/** A revision that is over, and when it was followed. */
interface Over {
  readonly row: Row;
  readonly facts: RevisionFacts;
  readonly untilMs: number;
}

/**
 * Disposes of earlier revisions of records of which the current one stays: one transaction moves the beginning of the
 * history in the record's row, deletes the revision rows before it and holds the `record.disposed` event. What their blobs
 * were is deleted after it; where the host dies in between, it is collected as orphans.
 */
export class HistoryDisposer {
  constructor(
    private readonly tools: StorageManagerOptions,
    private readonly locator: RecordLocator,
  ) {}

  /** 1 point read, 1 range read; for up to 90 revisions that go 1 transaction and a deletion of each one's blob. Throws as `RecordDisposer.dispose`. */
  async dispose(type: RecordType, id: string, order: HistoryOrder, call: CallContext): Promise<HistoryOutcome> {
    const budget = new Budget(this.tools.clock, this.tools.entropy);
    const ref = await this.locator.locate(type, call.tenant, id, budget);
    const key = partitionKey(ref.tenant, ref.partition);
    const { tables } = this.tools.ports;
    for (;;) {
      const row = await budget.retry(() => tables.find(ref.table, key, recordKey(id)));
      if (row === undefined || isVoid(row) || isTombstone(row)) return NOTHING;
      const record = parseRecordRow(row, id);
      const query = { ...prefixRange(`v:${id}:`), limit: REVISIONS + 1 };
      const page = await budget.retry(() => tables.range(ref.table, key, query));
      const over = overIn(page.rows, record, order.isOver);
      if (over.length === 0) return NOTHING;
      const more = over.length === REVISIONS;
      const outcome = { times: over.map(({ untilMs }) => untilMs), more };
      if (!(await order.mayGo(row))) return { ...outcome, revisions: over.length, kept: true };
      if (order.dryRun === true) return { ...outcome, revisions: over.length, kept: false };
      const plan = await this.#plan(type, ref, row, record, over, order, call);
      const done = await commitPlan({ ...this.tools, budget }, plan);
      if (done === 'committed') {
        this.tools.onCommitted?.(ref);
        await this.#deleteBlobs(type, ref, id, over);
        return { ...outcome, revisions: over.length, kept: false };
      }
      await budget.pause(done, 5, 250);
    }
  } // prettier-ignore

  async #plan(
    type: RecordType,
    ref: PartitionRef,
    row: Row,
    record: RecordRow,
    over: readonly Over[],
    { details, roundMs = 0 }: HistoryOrder,
    call: CallContext,
  ) {
    const { id } = record;
    const key = partitionKey(ref.tenant, ref.partition);
    const from = (over.at(-1)?.facts.revision ?? 0) + 1;
    const { event, sealed } = await callEvent(this.tools, call, {
      timestampMs: Math.max(this.tools.clock.now(), (parseTime(record.storedAt) ?? 0) + 1),
      eventType: 'record.disposed',
      action: 'dispose-history',
      resourceType: type.recordType,
      resourceId: id,
      details: { cause: 'retention', revisions: over.length, history_from: from, ...details },
    });
    const { row_checksum: _, ...columns } = row.properties;
    const begun = { ...columns, history_from: from, history_event: event.event_id };
    const times = over.map(({ untilMs }) => untilMs);
    const clearing = {
      id,
      cause: 'retention',
      roundMs,
      state: 'done',
      sinceMs: times[0],
      untilMs: times.at(-1),
      revisions: over.length,
      eventId: event.event_id,
    } as const;
    const rowKey = clearingKey(id, from);
    const operations: RowOperation[] = [
      { kind: 'replace', rowKey: row.rowKey, properties: withRowChecksum(key, row.rowKey, begun), etag: row.etag },
      { kind: 'insert', ...clearingRow(key, clearing, rowKey) },
      ...over.map(({ row: one }): RowOperation => ({ kind: 'delete', rowKey: one.rowKey, etag: one.etag })),
      pendingEvent(key, event, sealed, { id }),
    ]; // prettier-ignore
    return { partition: ref, blob: undefined, operations, witness: { rowKey, eventId: event.event_id } };
  }

  /** Packs, which others share, are left to whoever looks after them. */
  async #deleteBlobs(type: RecordType, ref: PartitionRef, id: string, over: readonly Over[]): Promise<void> {
    const own = recordBlobs(type, ref, id);
    const names = over.map(({ facts }) => facts.location.blob).filter((name) => name.startsWith(own));
    const limit = pLimit(PARALLEL);
    const remove = (name: string): Promise<void> =>
      new Budget(this.tools.clock, this.tools.entropy).retry(() =>
        this.tools.ports.blobs.delete(BLOB_CONTAINERS.records, name),
      );
    await Promise.all(names.map((name) => limit(() => remove(name))));
  }
}

const NOTHING: HistoryOutcome = { revisions: 0, times: [], kept: false, more: false };

/** The first revisions that are over, up to `REVISIONS`; never the current one. Throws `integrity-failure`. */
function overIn(
  rows: readonly Row[],
  { id, revision, storedAt }: RecordRow,
  isOver: HistoryOrder['isOver'],
): readonly Over[] {
  const all = rows.map((row) => ({ row, facts: parseRevisionRow(row, id) }));
  const over: Over[] = [];
  for (const [at, one] of all.entries()) {
    if (one.facts.revision >= revision || over.length === REVISIONS) break;
    const next = all[at + 1]?.facts.storedAt ?? (one.facts.revision + 1 === revision ? storedAt : undefined);
    const untilMs = next === undefined ? undefined : parseTime(next);
    if (untilMs === undefined || !isOver(untilMs)) break;
    over.push({ ...one, untilMs });
  }
  return over;
}
