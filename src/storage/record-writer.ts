import { AppError } from '../domain/errors.js';
import { createData, type AcceptedCreate } from '../domain/apply-change.js';
import { newId, parseId } from '../domain/ids.js';
import { linksOf } from '../domain/links.js';
import type { RecordData, RecordType } from '../domain/record-type.js';
import { upgradeData } from '../domain/upgrade.js';
import { Budget, unavailable } from './backoff.js';
import { assertPrecondition, isDefiniteRefusal, type ChangeOrRule } from './change.js';
import { executePlan } from './commit.js';
import type { DetailStore } from './detail-store.js';
import { IdempotencyStore, type Reservation } from './idempotency.js';
import { findKeyedResult, findOwnResult, keyedRow, type KeyedResult } from './keyed-result.js';
import { KeyedMutex } from './keyed-mutex.js';
import { BLOB_CONTAINERS, partitionKey } from './keys.js';
import { enrollLinks } from './lineage-rows.js';
import type { CallContext, StorageManagerOptions, WrittenRecord } from './manager-types.js';
import { factsOf, newRevision, type ChangeName, type NewRevision } from './new-revision.js';
import type { PartitionRef } from './directory.js';
import { detailBlobName, placeOf } from './record-location.js';
import { assertNameFree, type RecordLocator } from './record-locator.js';
import type { ListRefresh } from './list-refresh.js';
import type { PartReader } from './part-reader.js';
import { broken, type RecordRow } from './record-row.js';
import type { RowOperation } from './ports.js';
import type { RecordReader } from './record-reader.js';
import { revisionPlan, type WritePlan } from './write-plan.js';

/** Creates and changes records one at a time: the write protocol of architecture.md, "Life of a record". */
export class RecordWriter {
  readonly #locks = new KeyedMutex();
  readonly #idempotency: IdempotencyStore;

  constructor(
    private readonly tools: StorageManagerOptions,
    private readonly details: DetailStore,
    private readonly reader: RecordReader,
    private readonly locator: RecordLocator,
    private readonly parts: PartReader,
    private readonly lists: ListRefresh,
  ) {
    this.#idempotency = new IdempotencyStore(
      tools.ports.tables,
      tools.clock,
      tools.entropy,
      tools.blindIndex,
    );
  }

  /**
   * Stores a new record: 1 blob write and 1 transaction; a key adds one insert, a name 1 point read unless `nameIsFree`
   * says that it was read just now. `fixed` gives id and time to a create that was promised earlier (an operation), and
   * makes it idempotent by id.
   */
  async create(
    type: RecordType,
    accepted: AcceptedCreate,
    call: CallContext,
    {
      fixed,
      nameIsFree = false,
    }: { readonly fixed?: { readonly id: string }; readonly nameIsFree?: boolean } = {},
  ): Promise<WrittenRecord> {
    const budget = this.#budget();
    const id = fixed?.id ?? newId(type.idPrefix, accepted.createdMs, this.tools.entropy);
    // Rules across members are held before a key is reserved: a body they refuse leaves the key open.
    const early = this.#firstData(type, accepted, id, call);
    const placed = (known: string): PartitionRef => placeOf(type, call.tenant, known, early);
    const reserved = await this.#reserve(type, call, id, placed, budget);
    if ('replay' in reserved) return reserved.replay;
    const { reservation } = reserved;
    const recordId = reservation?.ids[0] ?? id;
    const ref = placed(recordId);
    const data = recordId === id ? early : this.#firstData(type, accepted, recordId, call);
    // Before anything is written: a refusal leaves no blob and no row behind. Of creates at once the commit decides.
    if (!nameIsFree)
      await this.#idempotency.opening(call.tenant, reservation, budget, () => assertNameFree(this.locator, type, { id: recordId, ref }, data, budget)); // prettier-ignore
    const enroll = async (): Promise<void> => {
      const links = linksOf(type, recordId, data);
      await Promise.all([
        this.locator.enroll(type, [{ id: recordId, ref }], budget),
        this.#enrollLinks(type, recordId, ref, links, budget),
      ]);
    };
    const name: ChangeName = { eventType: 'record.created', action: 'create', details: {} };
    let voidEtag: string | undefined;
    let there: boolean;
    for (;;) {
      const revision = await newRevision(this.tools, type, recordId, data, undefined, name, call);
      const plan = this.#plan(type, ref, revision, undefined, call, reservation, voidEtag);
      const outcome = await executePlan({ ...this.tools, budget }, plan, enroll);
      if (outcome === 'committed') {
        await this.lists.committed(type, call.tenant, plan.operations);
        return this.#committed(type, revision, plan, call);
      }
      const replay = await this.#answered(type, call, ref, reservation, budget);
      if (replay !== undefined) return replay;
      const place = await this.reader.placeOf(type, call.tenant, recordId, budget);
      there = place.kind === 'record';
      if (place.kind !== 'void') break;
      // An attempt under this id was taken for dead, and our blob may be gone: a new one, in the place of the void row.
      voidEtag = place.etag;
      await this.#goOn(call, reservation, outcome, budget);
    }
    if (fixed !== undefined && there) {
      await this.lists.caughtUp(type, call.tenant, [{ id, revision: 1 }]);
      return { ...(await this.reader.getRevision(type, call.tenant, id, 1)), replayed: true };
    }
    return this.#idempotency.opening(call.tenant, reservation, budget, () => {
      throw new AppError('record-exists', `A record of this ${there ? 'id' : 'name'} exists already.`, { evidence: { id: recordId } }); // prettier-ignore
    });
  }

  /**
   * Changes a record: at most 1 point read, 1 blob read (none when the previous detail is cached), 1 blob write and 1
   * transaction. Without `If-Match` a collision with another writer is retried inside, so concurrent changes all land.
   * Throws, in the order of http-api.md: `record-not-found`, `precondition-required`, `version-conflict`, then what
   * `change.next` throws.
   */
  async change(
    type: RecordType,
    id: string,
    change: ChangeOrRule,
    call: CallContext,
  ): Promise<WrittenRecord> {
    const budget = this.#budget();
    const ref = await this.locator.locate(type, call.tenant, id, budget);
    const reserved = await this.#reserve(type, call, id, () => ref, budget);
    if ('replay' in reserved) return reserved.replay;
    const { reservation } = reserved;
    try {
      const { written, operations } = await this.#locks.run(`${call.tenant}/${id}`, () => this.#changeLoop(type, id, ref, change, call, reservation, budget)); // prettier-ignore
      // Nobody who waits for the record waits for its lists.
      await this.lists.committed(type, call.tenant, operations);
      return written;
    } catch (error) {
      if (reservation === undefined || !isDefiniteRefusal(error)) throw error;
      // What stands in the way may be what another attempt under this key has just done: then it is done, not refused.
      const replay = await this.#answered(type, call, ref, reservation, budget);
      if (replay !== undefined) return replay;
      // Best effort: a key that could not be opened is taken over after its time.
      await this.#idempotency.release(call.tenant, reservation, budget).catch(() => undefined);
      throw error;
    }
  }

  async #changeLoop(
    type: RecordType,
    id: string,
    ref: PartitionRef,
    asked: ChangeOrRule,
    call: CallContext,
    reservation: Reservation | undefined,
    budget: Budget,
  ): Promise<{ readonly written: WrittenRecord; readonly operations: readonly RowOperation[] }> {
    let missingUnder: string | undefined;
    if (budget.spent) throw unavailable(undefined);
    for (;;) {
      const row = await this.reader.recordRow(type, call.tenant, id, budget);
      if (row.etag === missingUnder) throw broken(id, row.revision, 'index row missing');
      const change = typeof asked === 'function' ? asked(row) : asked;
      assertPrecondition(row, change);
      const detail = await this.details.readForWrite(type, call.tenant, row, budget);
      const current = upgradeData(type, row.schemaVersion, detail.data);
      const context = { id, nowMs: this.tools.clock.now(), actor: call.actor, revision: row.revision + 1 };
      const next = change.next(current, context);
      await this.parts.assertHold(type, call.tenant, id, { next, previous: current }, budget);
      const name = change.name(current, next);
      const revision = await newRevision(this.tools, type, id, next, row, name, call, detail.stored);
      const listed = await this.parts.listed(type, call.tenant, id, next, budget);
      const plan = this.#plan(type, ref, revision, row, call, reservation, undefined, listed);
      const known = new Set(row.links);
      const added = linksOf(type, id, next).filter((link) => !known.has(link));
      const enroll = (): Promise<void> => this.#enrollLinks(type, id, ref, added, budget);
      const outcome = await executePlan({ ...this.tools, budget }, plan, enroll);
      if (outcome === 'committed')
        return { written: this.#committed(type, revision, plan, call), operations: plan.operations };
      const replay = await this.#answered(type, call, ref, reservation, budget);
      if (replay !== undefined) return { written: replay, operations: [] };
      // A row that this record lists is gone although the record did not move: corruption, not competition.
      if (outcome === 'missing') missingUnder = row.etag;
      await this.#goOn(call, reservation, outcome, budget);
    }
  }

  #enrollLinks(
    type: RecordType,
    id: string,
    ref: PartitionRef,
    links: readonly string[],
    budget: Budget,
  ): Promise<void> {
    return enrollLinks(this.tools.ports.tables, type, [{ id, ref, links }], budget);
  }

  /** Before another try after a refused commit. */
  async #goOn(
    call: CallContext,
    reservation: Reservation | undefined,
    outcome: string,
    budget: Budget,
  ): Promise<void> {
    await this.#idempotency.assertHeld(call.tenant, reservation, budget);
    await budget.pause(outcome, 5, 250);
  }

  /** The id carries the time: an attempt that takes over stores what the first one would have. */
  #firstData(type: RecordType, accepted: AcceptedCreate, id: string, call: CallContext): RecordData {
    const createdMs = parseId(id)?.ms ?? accepted.createdMs;
    const context = { id, nowMs: this.tools.clock.now(), actor: call.actor };
    return createData(type, { ...accepted, createdMs }, context);
  }

  /** Reserves the call's idempotency key, if it has one. */
  async #reserve(
    type: RecordType,
    call: CallContext,
    id: string,
    placed: (id: string) => PartitionRef,
    budget: Budget,
  ): Promise<{ readonly reservation: Reservation | undefined } | { readonly replay: WrittenRecord }> {
    if (call.idempotency === undefined) return { reservation: undefined };
    const committed = async ({ ids, hash }: Reservation) => {
      const ref = placed(ids[0] as string);
      const keyed = await findKeyedResult(this.tools.ports.tables, ref, hash, budget);
      if (keyed === undefined) return undefined;
      return { fingerprint: keyed.fingerprint, result: () => this.#replay(type, call, keyed) };
    };
    return this.#idempotency.reserve(call.tenant, call.idempotency, [id], committed, budget);
  }

  /** The plan of one revision in a blob of its own. Pure. */
  #plan(
    type: RecordType,
    ref: PartitionRef,
    revision: NewRevision,
    previous: RecordRow | undefined,
    call: CallContext,
    reservation: Reservation | undefined,
    voidEtag?: string,
    listed?: RecordData,
  ): WritePlan {
    const name = detailBlobName(type, ref, revision.id, revision.revision, revision.event.event_id);
    const facts = factsOf(revision, { blob: name, offset: 0, length: revision.bytes.length }, previous);
    const keyed =
      reservation === undefined ? [] : [this.#keyedRow(ref.partition, call, reservation, revision)];
    const blob = {
      container: BLOB_CONTAINERS.records,
      name,
      bytes: revision.bytes,
      contentType: 'application/json',
    };
    const { event, sealedEvent, blinds, subjects, detail } = revision;
    return revisionPlan(ref, { type, facts, data: detail.data, blinds, subjects, event, sealedEvent, previous, voidEtag, listed }, blob, keyed); // prettier-ignore
  }

  #keyedRow(partition: string, call: CallContext, reservation: Reservation, revision: NewRevision) {
    const result = {
      fingerprint: reservation.fingerprint,
      revisions: [{ id: revision.id, revision: revision.revision }],
    };
    return keyedRow(partitionKey(call.tenant, partition), reservation.hash, result, this.tools.clock.now());
  }

  /** After a lost commit: the answer of the attempt that won under the same key, if that is who won. */
  async #answered(
    type: RecordType,
    call: CallContext,
    ref: PartitionRef,
    reservation: Reservation | undefined,
    budget: Budget,
  ): Promise<WrittenRecord | undefined> {
    if (reservation === undefined) return undefined;
    const keyed = await findOwnResult(this.tools.ports.tables, ref, reservation, budget);
    return keyed === undefined ? undefined : this.#replay(type, call, keyed);
  }

  async #replay(type: RecordType, call: CallContext, keyed: KeyedResult): Promise<WrittenRecord> {
    const first = keyed.revisions[0];
    if (first === undefined) throw new AppError('integrity-failure', 'An idempotency row names no record.');
    await this.lists.caughtUp(type, call.tenant, [first]);
    const record = await this.reader.getRevision(type, call.tenant, first.id, first.revision);
    return { ...record, replayed: true };
  }

  #committed(type: RecordType, revision: NewRevision, plan: WritePlan, call: CallContext): WrittenRecord {
    const name = plan.blob?.name ?? '';
    const facts = factsOf(revision, { blob: name, offset: 0, length: revision.bytes.length }, undefined);
    this.details.remember(facts, revision.detail);
    this.tools.onCommitted?.(plan.partition);
    return { ...this.reader.stored(type, call.tenant, facts, revision.detail), replayed: false };
  }

  #budget(): Budget {
    return new Budget(this.tools.clock, this.tools.entropy);
  }
}
