import { acceptPart, addPart } from '../domain/apply-change.js';
import { formatTime } from '../domain/clock.js';
import { AppError } from '../domain/errors.js';
import { newId } from '../domain/ids.js';
import { LIMITS } from '../domain/limits.js';
import type { AddingDeclaration, Addition, PartsDeclaration } from '../domain/parts.js';
import type { RecordData, RecordType } from '../domain/record-type.js';
import { Budget } from './backoff.js';
import { isDefiniteRefusal } from './change.js';
import { executePlan } from './commit.js';
import { ifMatchHolds } from './etag.js';
import { IdempotencyStore, type Reservation } from './idempotency.js';
import { findKeyedResult, findOwnResult, keyedRow, type KeyedResult } from './keyed-result.js';
import { KeyedMutex } from './keyed-mutex.js';
import { partitionKey } from './keys.js';
import type { CallContext, StorageManagerOptions, StoredRecord, WrittenRecord } from './manager-types.js';
import type { PartReader } from './part-reader.js';
import { headRow, partKey, partNameKey, partRow, type PartsHead } from './part-rows.js';
import { sealPart, wholePart, type OpenPart, type PartsRef } from './part-sealing.js';
import {
  cameWith,
  latestTime,
  namedOperations,
  toldBy,
  unchangedPlan,
  type Standing,
} from './part-standing.js';
import { partEvent } from './part-event.js';
import { pendingEvent } from './pending-event.js';
import type { Row, RowOperation } from './ports.js';
import type { RecordReader } from './record-reader.js';
import { broken } from './record-row.js';
import { rowIntact } from './row-checksum.js';
import { namedIn } from './subject-rows.js';
import type { WritePlan } from './write-plan.js';

/** An addition under way. */
interface Adding {
  readonly type: RecordType;
  readonly parts: PartsDeclaration;
  readonly adding: AddingDeclaration;
  readonly ref: PartsRef;
  readonly id: string;
  /** What the body was parsed to, or why it could not be. */
  readonly accepted: Accepted | { readonly refusal: unknown };
  readonly ifMatch: string | undefined;
  readonly call: CallContext;
  readonly budget: Budget;
}

interface Accepted {
  readonly input: RecordData;
  /** Whether the platform made the name: no entry has it yet. */
  readonly newName: boolean;
}

/**
 * Adds to the parts of records: one transaction in the parts' partition with the entry, the name's row, the head that
 * counts them and the pending event. The head, compared by its ETag, puts additions in order; the record is read and
 * not touched, so that an addition and a change of the record do not wait for each other.
 */
export class PartWriter {
  readonly #locks = new KeyedMutex();
  readonly #idempotency: IdempotencyStore;

  constructor(
    private readonly tools: StorageManagerOptions,
    private readonly records: RecordReader,
    private readonly reader: PartReader,
  ) {
    this.#idempotency = new IdempotencyStore(
      tools.ports.tables,
      tools.clock,
      tools.entropy,
      tools.blindIndex,
    );
  }

  /**
   * At most 4 reads of rows, 1 of the record's detail when it is not cached, 1 of the standing entry's blob when it has
   * moved there, and 1 transaction, however many parts there are. When what is asked for is so already nothing is
   * stored but the row of a key, for 1 read of a row more. Throws `record-not-found`, `version-conflict`, `record-invalid`, `record-archived`, and what the declaration throws.
   */
  async add(
    type: RecordType,
    { parts, adding: way }: { readonly parts: PartsDeclaration; readonly adding: AddingDeclaration },
    id: string,
    body: unknown,
    ifMatch: string | undefined,
    call: CallContext,
  ): Promise<WrittenRecord> {
    const budget = new Budget(this.tools.clock, this.tools.entropy);
    const ref = this.reader.placeOf(type, parts, call.tenant, id);
    const reserved = await this.#reserve(type, parts, ref, id, call, budget);
    if ('replay' in reserved) return reserved.replay;
    const { reservation } = reserved;
    try {
      const accepted = this.#accept(parts, way, body);
      const adding = { type, parts, adding: way, ref, id, accepted, ifMatch, call, budget };
      return await this.#locks.run(`${call.tenant}/${id}`, () => this.#loop(adding, reservation));
    } catch (error) {
      if (reservation === undefined || !isDefiniteRefusal(error)) throw error;
      const replay = await this.#answered(type, parts, ref, call, reservation, budget);
      if (replay !== undefined) return replay;
      await this.#idempotency.release(call.tenant, reservation, budget).catch(() => undefined);
      throw error;
    }
  }

  async #loop(adding: Adding, reservation: Reservation | undefined): Promise<WrittenRecord> {
    const { type, parts, ref, id, accepted, call, budget } = adding;
    for (;;) {
      const [record, head, named] = await Promise.all([
        this.records.getForWrite(type, call.tenant, id, budget),
        this.reader.head(parts, ref, id, budget),
        'input' in accepted ? this.#standing(adding, accepted) : undefined,
      ]);
      // The contract's order: no such record, a stale condition, a body that is no part.
      if (adding.ifMatch !== undefined && !ifMatchHolds(adding.ifMatch, record.etag))
        throw new AppError('version-conflict', 'The record has changed since it was read.');
      if ('refusal' in accepted) throw accepted.refusal;
      await this.reader.assertBroughtBack(type, ref, id, head, budget);
      const previous = named ?? cameWith(parts, record, accepted.input[parts.nameMember ?? '']);
      const nowMs = Math.max(this.tools.clock.now(), head.addedMs + 1);
      const whole = previous === undefined ? undefined : wholePart(previous);
      const now = { record: record.envelope.data, previous: whole, totals: head.totals };
      const context = { id, nowMs, actor: call.actor };
      const added = addPart(type, parts, adding.adding, now, accepted.input, context);
      if (added === undefined) {
        if (!(await this.#stands(adding, accepted, head, named))) continue;
        const answer = await this.#unchanged(adding, record, head, previous, reservation);
        if (answer !== undefined) return answer;
        await budget.pause('conflict', 5, 250);
        continue;
      }
      if (head.seq >= LIMITS.parts)
        throw new AppError(
          'payload-too-large',
          `A record has at most ${String(LIMITS.parts)} ${parts.path}.`,
        );
      const { plan, part } = await this.#plan(adding, record, head, previous, added, nowMs, reservation);
      const outcome = await executePlan({ ...this.tools, budget }, plan);
      if (outcome === 'committed') {
        this.tools.onCommitted?.(ref);
        this.tools.onPartAdded?.(type, { tenant: call.tenant, id });
        const come = { seq: part.seq, totals: added.totals };
        return {
          ...(await this.reader.answered(type, parts, record, come, [part], budget)),
          eventId: part.eventId,
          replayed: false,
        };
      }
      const replay = await this.#answered(type, parts, ref, call, reservation, budget);
      if (replay !== undefined) return replay;
      await this.#idempotency.assertHeld(call.tenant, reservation, budget);
      await budget.pause(outcome, 5, 250);
    }
  }

  /**
   * Whether the entry that was read beside the head is the one that stood when the head was: entries that came between
   * the two reads are in one of them alone, and the answer would show what is not so. One point read where there is one.
   */
  async #stands(
    adding: Adding,
    accepted: Accepted,
    head: PartsHead,
    named: Standing | undefined,
  ): Promise<boolean> {
    if (named === undefined) return true;
    if (named.seq <= head.seq) return (await this.#nameRow(adding, accepted))?.etag === named.nameEtag;
    const { parts, ref, id, budget } = adding;
    const { seq } = await this.reader.head(parts, ref, id, budget);
    if (seq < named.seq) throw broken(id, named.seq, 'parts row');
    return false;
  }

  /**
   * Answers with the record as it is. A key is answered with that from now on: its row is all that is stored. Undefined
   * when that was refused and nothing tells why.
   */
  async #unchanged(
    { type, parts, ref, call, budget }: Adding,
    record: StoredRecord,
    head: PartsHead,
    previous: Standing | undefined,
    reservation: Reservation | undefined,
  ): Promise<WrittenRecord | undefined> {
    if (reservation !== undefined) {
      const plan = unchangedPlan(parts, ref, record, head, previous, reservation, this.tools.clock.now());
      if ((await executePlan({ ...this.tools, budget }, plan)) !== 'committed') {
        const replay = await this.#answered(type, parts, ref, call, reservation, budget);
        if (replay === undefined) await this.#idempotency.assertHeld(call.tenant, reservation, budget);
        return replay;
      }
    }
    const unchanged = await this.reader.unchanged(type, parts, record, head, previous, budget);
    return { ...unchanged, eventId: toldBy(record, previous), replayed: false };
  }

  /** Parses the body, and names the entry where the caller does not. */
  #accept(parts: PartsDeclaration, way: AddingDeclaration, body: unknown): Adding['accepted'] {
    try {
      const input = acceptPart(way, body);
      const { nameMember, namePrefix } = parts;
      if (nameMember === undefined || namePrefix === undefined || input[nameMember] !== undefined)
        return { input, newName: false };
      const name = newId(namePrefix, this.tools.clock.now(), this.tools.entropy);
      return { input: { ...input, [nameMember]: name }, newName: true };
    } catch (refusal) {
      return { refusal };
    }
  }

  /** The standing entry of a name: one point read, and one more when there is one. */
  async #standing(adding: Adding, accepted: Accepted): Promise<Standing | undefined> {
    const { ref, id, budget } = adding;
    const row = await this.#nameRow(adding, accepted);
    if (row === undefined) return undefined;
    const seq = Number(row.properties['seq']);
    if (!rowIntact(row)) throw broken(id, seq, 'part name row');
    return { ...(await this.reader.entry(ref, id, seq, budget)), nameEtag: row.etag };
  }

  async #nameRow({ parts, ref, id, budget }: Adding, { input, newName }: Accepted): Promise<Row | undefined> {
    if (newName || parts.nameMember === undefined) return undefined;
    const name = String(input[parts.nameMember]);
    const key = partitionKey(ref.tenant, ref.partition);
    return budget.retry(() => this.tools.ports.tables.find(ref.table, key, partNameKey(id, name)));
  }

  async #plan(
    { type, parts, adding, ref, id, call }: Adding,
    { envelope }: StoredRecord,
    head: PartsHead,
    previous: Standing | undefined,
    { entry, totals, details }: Addition,
    nowMs: number,
    reservation: Reservation | undefined,
  ): Promise<{ readonly plan: WritePlan; readonly part: OpenPart }> {
    const key = partitionKey(ref.tenant, ref.partition);
    const seq = head.seq + 1;
    const held = await sealPart(this.tools, type, parts, ref, envelope, seq, entry);
    const { checksum } = held;
    const said = { part: parts.path, seq, checksum, ...(previous === undefined ? {} : { previous_checksum: previous.checksum }) }; // prettier-ignore
    const { event, sealed } = await partEvent(this.tools, type, adding, id, call, nowMs, {
      ...said,
      ...details,
    });
    const latest = latestTime(parts, entry, head.latest);
    const part = { seq, replaces: previous?.seq, ...held, eventId: event.event_id, addedAt: formatTime(nowMs), latest }; // prettier-ignore
    const row = headRow(key, id, { ...head, seq, totals, addedMs: nowMs, latest });
    const operations: RowOperation[] = [
      { kind: 'insert', ...partRow(key, id, part) },
      head.etag === undefined ? { kind: 'insert', ...row } : { kind: 'replace', ...row, etag: head.etag },
      ...namedOperations(parts, key, id, part, previous?.nameEtag),
      pendingEvent(key, event, sealed, { id }, await namedIn(this.tools.blindIndex, call.tenant, entry, parts.subjects)), // prettier-ignore
    ];
    if (reservation !== undefined) {
      const revisions = [{ id, revision: envelope.revision }];
      const result = {
        fingerprint: reservation.fingerprint,
        revisions,
        part: { seq, totals, event_id: event.event_id },
      };
      operations.push(keyedRow(key, reservation.hash, result, this.tools.clock.now()));
    }
    const witness = { rowKey: partKey(id, seq), eventId: event.event_id };
    return { plan: { partition: ref, blob: undefined, operations, witness }, part };
  }

  async #reserve(
    type: RecordType,
    parts: PartsDeclaration,
    ref: PartsRef,
    id: string,
    call: CallContext,
    budget: Budget,
  ): Promise<{ readonly reservation: Reservation | undefined } | { readonly replay: WrittenRecord }> {
    if (call.idempotency === undefined) return { reservation: undefined };
    const committed = async ({ hash }: Reservation) => {
      const keyed = await findKeyedResult(this.tools.ports.tables, ref, hash, budget);
      if (keyed === undefined) return undefined;
      const { fingerprint } = keyed;
      return { fingerprint, result: () => this.#replay(type, parts, call, keyed, budget) };
    };
    return this.#idempotency.reserve(call.tenant, call.idempotency, [id], committed, budget);
  }

  /** After a lost commit: the answer of the attempt that won under the same key, if that is who won. */
  async #answered(
    type: RecordType,
    parts: PartsDeclaration,
    ref: PartsRef,
    call: CallContext,
    reservation: Reservation | undefined,
    budget: Budget,
  ): Promise<WrittenRecord | undefined> {
    if (reservation === undefined) return undefined;
    const keyed = await findOwnResult(this.tools.ports.tables, ref, reservation, budget);
    return keyed === undefined ? undefined : this.#replay(type, parts, call, keyed, budget);
  }

  /** Entries are never rewritten, so the first answer can be given again from the entries it showed. */
  async #replay(
    type: RecordType,
    parts: PartsDeclaration,
    call: CallContext,
    { revisions: [first], part }: KeyedResult,
    budget: Budget,
  ): Promise<WrittenRecord> {
    if (first === undefined || part === undefined)
      throw new AppError('integrity-failure', 'An idempotency row names no part.');
    const record = await this.records.getRevision(type, call.tenant, first.id, first.revision);
    const { standing } = part;
    if (standing === undefined) {
      const answered = await this.reader.answered(type, parts, record, part, [], budget);
      return { ...answered, eventId: part.event_id, replayed: true };
    }
    // Nothing was added: what was shown is what stood then, whatever stands for its name now.
    const ref = this.reader.placeOf(type, parts, call.tenant, first.id);
    const shown =
      standing.seq === 0
        ? cameWith(parts, record, standing.name)
        : await this.reader.entry(ref, first.id, standing.seq, budget);
    const unchanged = await this.reader.unchanged(type, parts, record, part, shown, budget);
    return { ...unchanged, eventId: toldBy(record, shown), replayed: true };
  }
}
