import { parseTime, formatTime } from '../domain/clock.js';
import type { JsonObject } from '../domain/canonical-json.js';
import { AppError } from '../domain/errors.js';
import type { RecordType } from '../domain/record-type.js';
import { Budget } from './backoff.js';
import { callEvent } from './call-event.js';
import { clearingRow } from './clearing-row.js';
import { commitPlan } from './commit.js';
import type { PartitionRef } from './directory.js';
import { nameKey, partitionKey, recordKey } from './keys.js';
import type { CallContext, StorageManagerOptions } from './manager-types.js';
import { pendingEvent } from './pending-event.js';
import type { Row, RowOperation } from './ports.js';
import type { ReadCache } from './read-cache.js';
import type { RecordLocator } from './record-locator.js';
import { broken, parseRecordRow, type RecordRow } from './record-row.js';
import { isTombstone, tombstoneRow, type DisposalCause, type Tombstone } from './tombstone-row.js';
import { isVoid } from './void-row.js';

/** Why, and on whose word, a record goes. */
export interface DisposalOrder {
  readonly cause: DisposalCause;
  /** What the audit event says of the reason. Nothing of the record's content. */
  readonly details: JsonObject;
  /** Asks, and changes nothing: the outcome is what it would be. */
  readonly dryRun?: boolean;
  /** When the round began that this is part of, milliseconds; absent outside of one. */
  readonly roundMs?: number;
  /** From when the period of a record counts, milliseconds, by its row; asked when `mayGo` has said yes. */
  readonly sinceOf?: (row: Row) => number | undefined;
  /**
   * Asked right before the transaction, with the record's row as it will be replaced: false leaves the record as it is, and
   * so does an error, which is thrown on. Whoever destroys asks here for legal holds, afresh (docs/holds.md).
   */
  readonly mayGo: (row: Row) => Promise<boolean>;
}

/** `kept`: `mayGo` said no; `gone`: there is no such record, or it was disposed of before. */
export type DisposalOutcome = 'disposed' | 'kept' | 'gone';

/**
 * Disposes of records: one transaction puts a tombstone in the place of a record's row, deletes what it is found by, and
 * holds the `record.disposed` event. From then on it is gone for everybody; what it consisted of is cleared afterwards
 * (`record-clearer.ts`). Safe beside writers and other disposers: whoever compared the row's ETag before fails.
 */
export class RecordDisposer {
  constructor(
    private readonly tools: StorageManagerOptions,
    private readonly locator: RecordLocator,
    private readonly reads: Pick<ReadCache, 'forget'>,
  ) {}

  /**
   * 1 point read and 1 transaction, besides what `mayGo` asks; the partition is announced as for any change. Throws
   * `record-immutable` for a type that is kept for ever, whatever the cause; `integrity-failure` for a row that was
   * altered, which stays; `record-not-found` for an id nobody knows; `storage-unavailable`.
   */
  async dispose(
    type: RecordType,
    id: string,
    order: DisposalOrder,
    call: CallContext,
  ): Promise<DisposalOutcome> {
    assertDisposable(type);
    const budget = new Budget(this.tools.clock, this.tools.entropy);
    const ref = await this.locator.locate(type, call.tenant, id, budget);
    const key = partitionKey(ref.tenant, ref.partition);
    const { tables } = this.tools.ports;
    const find = (rowKey: string) => budget.retry(() => tables.find(ref.table, key, rowKey));
    for (let gaps = false; ;) {
      const row = await find(recordKey(id));
      if (row === undefined || isVoid(row) || isTombstone(row)) return 'gone';
      const record = parseRecordRow(row, id);
      if (row.properties['record_type'] !== type.recordType) throw broken(id, record.revision, 'row');
      let found = foundBy(type, record, row);
      if (gaps) {
        const rows = await Promise.all(found.map(find));
        found = found.filter((_, at) => rows[at] !== undefined);
      }
      if (!(await order.mayGo(row))) return 'kept';
      if (order.dryRun === true) return 'disposed';
      const plan = await this.#plan(type, ref, record, row, found, order, call);
      const outcome = await commitPlan({ ...this.tools, budget }, plan);
      this.reads.forget(type, call.tenant, id);
      if (outcome === 'committed') {
        this.locator.forgetNames(type);
        this.tools.onCommitted?.(ref);
        return 'disposed';
      }
      // Somebody changed the record, or a row that it is found by is gone, and need not be deleted.
      gaps = outcome === 'missing';
      await budget.pause(outcome, 5, 250);
    }
  }

  async #plan(
    type: RecordType,
    ref: PartitionRef,
    record: RecordRow,
    row: Row,
    found: readonly string[],
    { cause, details, roundMs = 0, sinceOf }: DisposalOrder,
    call: CallContext,
  ) {
    const { id, revision, checksum, createdAt, links } = record;
    const key = partitionKey(ref.tenant, ref.partition);
    const sinceMs = sinceOf?.(row);
    const timestampMs = Math.max(this.tools.clock.now(), (parseTime(record.storedAt) ?? 0) + 1);
    const { event, sealed } = await callEvent(this.tools, call, {
      timestampMs,
      eventType: 'record.disposed',
      action: 'dispose',
      resourceType: type.recordType,
      resourceId: id,
      details: { cause, revision, checksum, ...details },
    });
    const tombstone: Tombstone = {
      id,
      recordType: type.recordType,
      disposedAt: formatTime(timestampMs),
      cause,
      eventId: event.event_id,
      revision,
      checksum,
      createdAt,
      state: 'clearing',
      links,
      bounds: undefined,
    };
    const operations: RowOperation[] = [
      { kind: 'replace', ...tombstoneRow(key, tombstone), etag: record.etag },
      { kind: 'insert', ...clearingRow(key, { id, cause, roundMs, sinceMs, state: 'due' }) },
      ...found.map((rowKey): RowOperation => ({ kind: 'delete', rowKey, etag: '*' })),
      pendingEvent(key, event, sealed, { id }),
    ];
    const witness = { rowKey: recordKey(id), eventId: event.event_id };
    return { partition: ref, blob: undefined, operations, witness };
  }
}

/** What a record is found by: its index rows, and the name that it was given by its caller. */
function foundBy(type: RecordType, { indexKeys }: RecordRow, { properties }: Row): readonly string[] {
  const name = type.named === undefined ? undefined : properties[type.named.member];
  return typeof name === 'string' ? [...indexKeys, nameKey(name)] : indexKeys;
}

/** Covenants, and whatever else is declared so: no cause is good enough (lifecycle.md). */
function assertDisposable(type: RecordType): void {
  if (type.retention !== 'forever' && type.partition.kind !== 'own') return;
  throw new AppError('record-immutable', `Records of ${type.collection} are kept for ever.`);
}
