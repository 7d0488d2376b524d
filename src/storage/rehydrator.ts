import pLimit from 'p-limit';
import { AppError } from '../domain/errors.js';
import { newId } from '../domain/ids.js';
import { LIMITS } from '../domain/limits.js';
import type { RecordType } from '../domain/record-type.js';
import { Budget } from './backoff.js';
import { callEvent } from './call-event.js';
import type { PartitionRef } from './directory.js';
import { BLOB_CONTAINERS, partitionKey, prefixRange, recordKey, rehydrationKey } from './keys.js';
import type { CallContext, StorageManagerOptions } from './manager-types.js';
import { archivedYears } from './archived-years.js';
import { archivedStreams } from './moved-lines.js';
import { OPERATION_PREFIX, OperationStore, type StoredOperation } from './operations.js';
import { pendingEvent } from './pending-event.js';
import { isFault, type RehydratePriority, type RowOperation } from './ports.js';
import { readRange } from './range.js';
import { notFound } from './record-location.js';
import { RecordLocator } from './record-locator.js';
import { integrityEvidence, parseRecordRow, parseRevisionRow } from './record-row.js';
import {
  parseRehydration,
  rehydrationRow,
  type PackCopy,
  type Rehydration,
  type StoredRehydration,
} from './rehydration-rows.js';
import { addWork, removeWork, type RehydrationWork } from './rehydration-work.js';
import { disposedOf, isTombstone } from './tombstone-row.js';
import { isVoid } from './void-row.js';

export type RehydratorTools = Pick<
  StorageManagerOptions,
  | 'ports'
  | 'clock'
  | 'entropy'
  | 'directory'
  | 'secretBox'
  | 'pseudonym'
  | 'onCommitted'
  | 'typeOfId'
  | 'onIntegrityFailure'
>;

const { records: CONTAINER } = BLOB_CONTAINERS;
const AT_ONCE = 8;
/** A request that is so old and has no row in the record's partition has died before it. */
const DEAD_MS = 3_600_000;
const GIVEN_UP = { code: 'storage-unavailable', detail: 'Storage did not bring it back. Ask again.' } as const; // prettier-ignore

/**
 * Brings records back from the archive (lifecycle.md, Reading): the packs of their revisions and the files of their values are copied to hot blobs,
 * and stay where they are. Copying takes hours on Azure; the row `y:<id>` says how far it is, whoever asks moves it on,
 * and a job does for those nobody asks for. What the record says does not change, nor does any of its rows.
 */
export class Rehydrator {
  readonly #operations: OperationStore;
  readonly #locator: RecordLocator;

  constructor(private readonly tools: RehydratorTools) {
    this.#operations = new OperationStore(tools.ports.tables);
    this.#locator = new RecordLocator(tools.ports.tables);
  }

  /**
   * Begins, or finds that it was begun: a second request has the operation of the first, as long as that brings back
   * everything. Throws `record-not-found`, `transition-not-allowed` where nothing of the record is in the archive.
   */
  async request(
    type: RecordType,
    id: string,
    priority: RehydratePriority,
    call: CallContext,
  ): Promise<StoredOperation> {
    try {
      return await this.#request(type, id, priority, call);
    } catch (error) {
      const evidence = integrityEvidence(error);
      if (evidence !== undefined)
        await this.tools.onIntegrityFailure?.({ recordType: type.recordType, ...evidence }, call);
      throw error;
    }
  }

  async #request(
    type: RecordType,
    id: string,
    priority: RehydratePriority,
    call: CallContext,
  ): Promise<StoredOperation> {
    const budget = this.#budget();
    const ref = await this.#locator.locate(type, call.tenant, id, budget);
    const { tables } = this.tools.ports;
    const packs = [
      ...(await this.#archivedPacks(ref, id, budget)),
      ...(await archivedYears(tables, type, ref.tenant, id, budget)),
      ...(await archivedStreams(tables, type, ref.tenant, id, budget)),
    ];
    if (packs.length === 0) throw new AppError('transition-not-allowed', 'Nothing of the record is in the archive: it can be read.'); // prettier-ignore
    if (packs.length > LIMITS.rehydratedPacks) throw new AppError('transition-not-allowed', 'The history of the record lies in more packs than are brought back at a time.'); // prettier-ignore
    for (;;) {
      const there = await this.#find(ref, id, budget);
      const serves = there !== undefined && (there.state === 'pending' || covers(there, packs));
      const one = serves ? there : await this.#begin(type, ref, id, packs, priority, there?.etag, budget);
      if (one === undefined) {
        await budget.pause('conflict', 5, 250);
        continue;
      }
      await this.#promise(type, ref, one, budget);
      await this.#advance(type, ref, one, call, budget);
      const operation = await this.#operations.find(call.tenant, one.operationId, budget);
      if (operation !== undefined) return operation;
    }
  }

  /** Moves a pending operation on, and resolves to it as it is then. */
  async look(operation: StoredOperation, call: CallContext): Promise<StoredOperation> {
    const type = this.tools.typeOfId(operation.recordId);
    if (operation.kind !== 'rehydration' || operation.status !== 'pending' || type === undefined) return operation; // prettier-ignore
    const budget = this.#budget();
    const ref = await this.#locator.locate(type, operation.tenant, operation.recordId, budget);
    const one = await this.#find(ref, operation.recordId, budget);
    if (one?.operationId !== operation.id) return operation;
    await this.#advance(type, ref, one, call, budget);
    return (await this.#operations.find(operation.tenant, operation.id, budget)) ?? operation;
  }

  /** What a job does about one request: move it on, or take back what has been there for its time. `done`: forgotten. */
  async tend(
    work: RehydrationWork,
    nowMs: number,
  ): Promise<'waiting' | 'completed' | 'failed' | 'dropped' | 'kept'> {
    const { ref, id, operationId } = work;
    const budget = this.#budget();
    const type = this.tools.typeOfId(id);
    const found = await this.#find(ref, id, budget);
    const one = found?.operationId === operationId ? found : undefined;
    if (type === undefined || one === undefined) {
      if (one === undefined && nowMs - work.writtenMs < DEAD_MS) return 'waiting';
      // Another request has taken its place, or it never came further, or what it brought was dropped.
      const operation = await this.#operations.find(ref.tenant, operationId, budget);
      if (operation !== undefined) await this.#operations.finish(operation, found === undefined ? { status: 'failed', problem: GIVEN_UP } : { status: 'succeeded' }, budget); // prettier-ignore
      await this.#forget(work, budget);
      return 'dropped';
    }
    await this.#promise(type, ref, one, budget);
    if (one.state === 'pending' || !(await this.#isFinished(ref, one, budget)))
      return this.#advance(type, ref, one, asJob(ref), budget);
    if ((one.untilMs ?? 0) > nowMs) return 'kept';
    await this.#deleteRow(ref, one, budget);
    await this.#forget(work, budget);
    return 'dropped';
  }

  /** Packs of the archive tier that revisions of a record lie in. One point read, one range read for 1,000 revisions. */
  async #archivedPacks(ref: PartitionRef, id: string, budget: Budget): Promise<readonly string[]> {
    const key = partitionKey(ref.tenant, ref.partition);
    const { tables } = this.tools.ports;
    const row = await budget.retry(() => tables.find(ref.table, key, recordKey(id)));
    if (row === undefined || isVoid(row)) throw notFound();
    if (isTombstone(row)) throw disposedOf();
    const record = parseRecordRow(row, id);
    const rows = record.revision === 1 ? [] : await budget.retry(() => readRange(tables, ref.table, key, prefixRange(`v:${id}:`))); // prettier-ignore
    const all = [record, ...rows.map((one) => parseRevisionRow(one, id))];
    return [...new Set(all.filter(({ tier }) => tier === 'archive').map(({ location }) => location.blob))];
  }

  /** The request's row, after the row that says there is work; undefined where another came first. */
  async #begin(
    type: RecordType,
    ref: PartitionRef,
    id: string,
    packs: readonly string[],
    priority: RehydratePriority,
    replaced: string | undefined,
    budget: Budget,
  ): Promise<StoredRehydration | undefined> {
    const requestedMs = this.tools.clock.now();
    const operationId = newId(OPERATION_PREFIX, requestedMs, this.tools.entropy);
    const folder = copiesFolder(type, ref.tenant, operationId);
    const copies = packs.map((pack) => ({ pack, copy: `${folder}${pack.slice(pack.lastIndexOf('/') + 1)}` }));
    const one: Rehydration = { id, operationId, priority, state: 'pending', copies, requestedMs, untilMs: undefined }; // prettier-ignore
    await addWork(this.tools.ports.tables, { ref, recordType: type.recordType, id, operationId }, budget);
    const row = rehydrationRow(partitionKey(ref.tenant, ref.partition), one);
    const operation: RowOperation = replaced === undefined ? { kind: 'insert', ...row } : { kind: 'replace', ...row, etag: replaced }; // prettier-ignore
    await this.#commit(ref, [operation], budget);
    const there = await this.#find(ref, id, budget);
    return there?.operationId === operationId ? there : undefined;
  }

  /** The operation that somebody polls; again is harmless. */
  async #promise(type: RecordType, ref: PartitionRef, one: Rehydration, budget: Budget): Promise<void> {
    if ((await this.#operations.find(ref.tenant, one.operationId, budget)) !== undefined) return;
    const operation = {
      id: one.operationId,
      tenant: ref.tenant,
      collection: type.collection,
      recordId: one.id,
      createdMs: one.requestedMs,
      status: 'pending',
      problem: undefined,
      fingerprint: 'none',
      kind: 'rehydration',
    } as const;
    await this.#operations.insert(operation, budget);
  }

  /** Begins copies that are not begun, and ends the request once all are there. */
  async #advance(
    type: RecordType,
    ref: PartitionRef,
    one: StoredRehydration,
    call: CallContext,
    budget: Budget,
  ): Promise<'waiting' | 'completed' | 'failed'> {
    if (one.state === 'pending') {
      const limit = pLimit(AT_ONCE);
      const states = await Promise.all(one.copies.map((copy) => limit(() => this.#copy(copy, one.priority, budget)))); // prettier-ignore
      if (states.includes('failed')) return this.#fail(ref, one, budget);
      if (states.includes('pending')) return 'waiting';
      await this.#complete(type, ref, one, call, budget);
    }
    const operation = await this.#operations.find(ref.tenant, one.operationId, budget);
    if (operation !== undefined) await this.#operations.finish(operation, { status: 'succeeded' }, budget);
    return 'completed';
  }

  async #copy(
    { pack, copy }: PackCopy,
    priority: RehydratePriority,
    budget: Budget,
  ): Promise<'pending' | 'failed' | 'done'> {
    const { blobs } = this.tools.ports;
    const state = () => budget.retry(() => blobs.blockState(CONTAINER, copy));
    let there = await state();
    if (there === undefined) {
      try {
        await budget.retry(() => blobs.copyToHot(CONTAINER, pack, copy, priority));
      } catch (error) {
        if (isFault(error, 'missing')) return 'failed';
        // Begun by this attempt, whose answer was lost, or by another.
        if (!isFault(error, 'exists')) throw error;
      }
      there = await state();
    }
    return there === undefined ? 'pending' : (there.copy ?? 'done');
  }

  /** Says that the copies can be read, with the event `record.rehydrated` in the same transaction. */
  async #complete(
    type: RecordType,
    ref: PartitionRef,
    { etag, ...one }: StoredRehydration,
    call: CallContext,
    budget: Budget,
  ): Promise<void> {
    const nowMs = this.tools.clock.now();
    const untilMs = nowMs + LIMITS.rehydratedMs;
    const key = partitionKey(ref.tenant, ref.partition);
    const { event, sealed } = await callEvent(this.tools, call, {
      timestampMs: nowMs,
      eventType: 'record.rehydrated',
      action: 'rehydrate',
      resourceType: type.recordType,
      resourceId: one.id,
      details: { operation: one.operationId, priority: one.priority, packs: one.copies.length },
    });
    await budget.retry(() => this.tools.directory.announce(ref));
    const row = rehydrationRow(key, { ...one, state: 'ready', untilMs });
    await this.#commit(ref, [{ kind: 'replace', ...row, etag }, pendingEvent(key, event, sealed, { id: one.id })], budget); // prettier-ignore
    this.tools.onCommitted?.(ref);
  }

  /** The service has given up on a copy, or the pack is gone: it can be asked for anew. */
  async #fail(ref: PartitionRef, one: StoredRehydration, budget: Budget): Promise<'failed'> {
    const operation = await this.#operations.find(ref.tenant, one.operationId, budget);
    if (operation !== undefined) await this.#operations.finish(operation, { status: 'failed', problem: GIVEN_UP }, budget); // prettier-ignore
    await this.#deleteRow(ref, one, budget);
    return 'failed';
  }

  async #isFinished(ref: PartitionRef, one: Rehydration, budget: Budget): Promise<boolean> {
    const operation = await this.#operations.find(ref.tenant, one.operationId, budget);
    return operation === undefined || operation.status !== 'pending';
  }

  async #deleteRow(ref: PartitionRef, { id, etag }: StoredRehydration, budget: Budget): Promise<void> {
    await this.#commit(ref, [{ kind: 'delete', rowKey: rehydrationKey(id), etag }], budget);
  }

  /** Deletes what copies there are of a request, and then the row that says there is work. */
  async #forget(work: RehydrationWork, budget: Budget): Promise<void> {
    const { blobs, tables } = this.tools.ports;
    const folder = `${work.ref.tenant}/${work.recordType}/${COPIES}/${work.operationId}/`;
    for (let next: string | undefined, more = true; more; more = next !== undefined) {
      const page = await budget.retry(() => blobs.list(CONTAINER, folder, next));
      for (const name of page.names) await budget.retry(() => blobs.delete(CONTAINER, name));
      next = page.next;
    }
    await removeWork(tables, work, budget);
  }

  /** A change of the row `y:` that another may have made meanwhile: then it is made, or another counts. */
  async #commit(ref: PartitionRef, operations: readonly RowOperation[], budget: Budget): Promise<void> {
    const key = partitionKey(ref.tenant, ref.partition);
    try {
      await budget.retry(() => this.tools.ports.tables.commit(ref.table, key, operations));
    } catch (error) {
      if (!isFault(error, 'exists', 'conflict', 'missing')) throw error;
    }
  }

  async #find(ref: PartitionRef, id: string, budget: Budget): Promise<StoredRehydration | undefined> {
    const key = partitionKey(ref.tenant, ref.partition);
    const row = await budget.retry(() => this.tools.ports.tables.find(ref.table, key, rehydrationKey(id)));
    return row === undefined ? undefined : parseRehydration(row);
  }

  #budget(): Budget {
    return new Budget(this.tools.clock, this.tools.entropy);
  }
}

const COPIES = '_rehydrated';
const copiesFolder = ({ recordType }: RecordType, tenant: string, operationId: string): string => `${tenant}/${recordType}/${COPIES}/${operationId}/`; // prettier-ignore

function covers({ copies }: Rehydration, packs: readonly string[]): boolean {
  return packs.every((pack) => copies.some((one) => one.pack === pack));
}

const asJob = ({ tenant }: PartitionRef): CallContext => ({ tenant, actor: 'job:rehydrate', correlationId: 'job:rehydrate' }); // prettier-ignore
