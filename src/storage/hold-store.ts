import { formatTime } from '../domain/clock.js';
import { AppError } from '../domain/errors.js';
import {
  acceptRelease,
  HOLD_PREFIX,
  HOLD_SCHEMA_VERSION,
  HOLD_TYPE,
  sensitiveOf,
  type AcceptedHold,
  type Hold,
} from '../domain/hold.js';
import { newId, parseId } from '../domain/ids.js';
import { LIMITS } from '../domain/limits.js';
import { Budget } from './backoff.js';
import { callEvent, type CallDeed } from './call-event.js';
import { isDefiniteRefusal } from './change.js';
import { executePlan, type CommitOutcome } from './commit.js';
import { asPlaced, heldScopeOf, openHold, sealHold, toldOf, type HoldTools } from './hold-content.js';
import type { HoldReader } from './hold-reader.js';
import {
  activeKey,
  activeRow,
  brokenHold,
  countIn,
  countOperation,
  holdRow,
  holdsPartition,
  holdsPartitionKey,
  witnessRow,
  type FoundHold,
  type StoredHold,
} from './hold-rows.js';
import { IdempotencyStore, type Reservation } from './idempotency.js';
import { partitionKey, recordKey } from './keys.js';
import type { CallContext } from './manager-types.js';
import { pendingEvent } from './pending-event.js';
import type { Row, RowOperation } from './ports.js';
import { notFound } from './record-location.js';
import { RecordLocator } from './record-locator.js';
import { disposedOf, isTombstone } from './tombstone-row.js';
import { isVoid } from './void-row.js';

/** What was placed or released, and the event that tells of it. */
export interface WrittenHold {
  readonly hold: Hold;
  readonly eventId: string;
  /** An Idempotency-Key had been answered before: this is the first answer again. */
  readonly replayed: boolean;
}

type Event = Omit<CallDeed, 'resourceType' | 'resourceId' | 'change'>;

/**
 * Places and releases legal holds (lifecycle.md, Legal hold). Each is one transaction of the hold's rows, the count of
 * those in force, and its event, so that none is without the other; a hold that was answered is in force for everybody
 * who reads from then on.
 */
export class HoldStore {
  readonly #idempotency: IdempotencyStore;
  readonly #locator: RecordLocator;

  constructor(
    private readonly tools: HoldTools,
    private readonly reader: HoldReader,
  ) {
    const { ports, clock, entropy, blindIndex } = tools;
    this.#idempotency = new IdempotencyStore(ports.tables, clock, entropy, blindIndex);
    this.#locator = new RecordLocator(ports.tables);
  }

  /**
   * One point read and one transaction of 5 rows; a record that is named costs the point reads that find it, a key one
   * insert. Throws `record-not-found` for a record that is not there, `transition-not-allowed` when as many are in force
   * as may be.
   */
  async place(accepted: AcceptedHold, call: CallContext): Promise<WrittenHold> {
    const budget = this.#budget();
    const fresh = newId(HOLD_PREFIX, this.tools.clock.now(), this.tools.entropy);
    const reserved = await this.#reserve(call, fresh, budget, ({ ids }) => this.#placedAs(call, ids[0] ?? '', budget)); // prettier-ignore
    if ('replay' in reserved) return reserved.replay;
    const { reservation } = reserved;
    const id = reservation?.ids[0] ?? fresh;
    const placing = async (): Promise<WrittenHold> => {
      await this.#assertThere(accepted, call.tenant, budget);
      return this.#place(accepted, id, call, reservation, budget);
    };
    return this.#idempotency.opening(call.tenant, reservation, budget, placing, isDefiniteRefusal);
  }

  /**
   * Two point reads and one transaction of 5 rows; a key adds one insert. Throws `record-not-found`, then
   * `record-invalid`, then `transition-not-allowed` for a hold that was released before.
   */
  async release(id: string, body: unknown, call: CallContext): Promise<WrittenHold> {
    const budget = this.#budget();
    // What is no id of a hold reserves nothing.
    if (parseId(id)?.prefix !== HOLD_PREFIX) await this.reader.find(call.tenant, id, budget);
    const reserved = await this.#reserve(call, id, budget, async ({ hash }) => {
      const hold = await this.reader.look(call.tenant, id, budget);
      return hold?.releaseKey === hash ? this.#replayed(call, hold, hold.releasedEvent) : undefined;
    });
    if ('replay' in reserved) return reserved.replay;
    const { reservation } = reserved;
    const releasing = (): Promise<WrittenHold> => this.#release(id, body, call, reservation, budget);
    return this.#idempotency.opening(call.tenant, reservation, budget, releasing, isDefiniteRefusal);
  }

  async #place(
    accepted: AcceptedHold,
    holdId: string,
    call: CallContext,
    reservation: Reservation | undefined,
    budget: Budget,
  ): Promise<WrittenHold> {
    const { tenant } = call;
    const scope = await heldScopeOf(this.tools, tenant, accepted);
    const data = {
      schema_version: HOLD_SCHEMA_VERSION,
      hold_id: holdId,
      scope: accepted.scope,
      reason: accepted.reason,
      ...(accepted.reference === undefined ? {} : { reference: accepted.reference }),
    };
    const { committed, sealed } = await sealHold(this.tools, tenant, holdId, data, sensitiveOf(accepted));
    for (;;) {
      const count = await this.reader.count(tenant, budget);
      const active = countIn(tenant, count);
      if (active >= LIMITS.activeHolds) throw full();
      // When it comes into force; the id may be from an earlier attempt under the same key.
      const timestampMs = Math.max(this.tools.clock.now(), parseId(holdId)?.ms ?? 0);
      const details = toldOf(committed, 'reason');
      const named: Event = { eventType: 'hold.placed', action: 'place', details, timestampMs };
      const told = await this.#event(holdId, named, call);
      const placed = { placed_at: formatTime(timestampMs), placed_by: told.actor };
      const hold: StoredHold = { holdId, state: 'active', committed: { ...committed, ...placed }, sealed, scope, placedEvent: told.eventId }; // prettier-ignore
      const outcome = await this.#commit(call.tenant, budget, told, 1, holdId, [
        { kind: 'insert', ...holdRow(tenant, hold) },
        { kind: 'insert', ...activeRow(tenant, hold) },
        countOperation(tenant, active + 1, count),
      ]);
      if (outcome === 'committed')
        return { hold: await openHold(this.tools, tenant, hold), eventId: told.eventId, replayed: false };
      const replay = reservation && (await this.#placedAs(call, holdId, budget));
      if (replay !== undefined) return replay;
      await this.#goOn(call, reservation, outcome, budget);
    }
  }

  async #release(
    id: string,
    body: unknown,
    call: CallContext,
    reservation: Reservation | undefined,
    budget: Budget,
  ): Promise<WrittenHold> {
    const { tenant } = call;
    let missingUnder: string | undefined;
    for (;;) {
      const [found, count] = await Promise.all([this.reader.find(tenant, id, budget), this.reader.count(tenant, budget)]); // prettier-ignore
      if (found.etag === missingUnder) throw brokenHold(id, 'active hold row');
      const { reason } = acceptRelease(body);
      if (found.state === 'released') {
        if (reservation !== undefined && found.releaseKey === reservation.hash)
          return this.#replayed(call, found, found.releasedEvent);
        throw new AppError('transition-not-allowed', 'The hold was released before.');
      }
      // Its events sort as they happened, whatever the clocks of the hosts say.
      const timestampMs = Math.max(this.tools.clock.now(), (parseId(found.placedEvent)?.ms ?? 0) + 1);
      const next = await this.#released(found, reason, timestampMs, call);
      const details = toldOf(next.committed, 'release_reason');
      const told = await this.#event(id, { eventType: 'hold.released', action: 'release', details, timestampMs }, call); // prettier-ignore
      const hold: StoredHold = { ...next, releasedEvent: told.eventId, releaseKey: reservation?.hash };
      const outcome = await this.#commit(tenant, budget, told, 2, id, [
        { kind: 'replace', ...holdRow(tenant, hold), etag: found.etag },
        { kind: 'delete', rowKey: activeKey(id), etag: '*' },
        countOperation(tenant, countIn(tenant, count) - 1, count),
      ]);
      if (outcome === 'committed')
        return { hold: await openHold(this.tools, tenant, hold), eventId: told.eventId, replayed: false };
      // A row of this hold is gone although the hold did not move: corruption, not competition.
      if (outcome === 'missing') missingUnder = found.etag;
      await this.#goOn(call, reservation, outcome, budget);
    }
  }

  async #released(found: FoundHold, reason: string, atMs: number, call: CallContext): Promise<StoredHold> {
    const { etag: _, ...hold } = found;
    const data = {
      ...hold.committed,
      released_at: formatTime(atMs),
      released_by: await this.tools.pseudonym(call.tenant, call.actor),
      release_reason: reason,
    };
    const { committed, sealed } = await sealHold(this.tools, call.tenant, hold.holdId, data, { '/release_reason': [] }); // prettier-ignore
    return { ...hold, state: 'released', committed, sealed: { ...hold.sealed, ...sealed } };
  }

  /** The event of a step, in the row that is committed with it. */
  async #event(
    holdId: string,
    named: Event,
    call: CallContext,
  ): Promise<{ readonly eventId: string; readonly actor: string; readonly pending: RowOperation }> {
    const resource = { resourceType: HOLD_TYPE, resourceId: holdId };
    const { event, sealed } = await callEvent(this.tools, call, { ...named, ...resource });
    const pending = pendingEvent(holdsPartitionKey(call.tenant), event, sealed, { id: holdId });
    return { eventId: event.event_id, actor: event.actor, pending };
  }

  /** The row of this very step is the witness, so that what nobody heard of again is neither lost nor done twice. */
  async #commit(
    tenant: string,
    budget: Budget,
    told: { readonly eventId: string; readonly pending: RowOperation },
    step: 1 | 2,
    holdId: string,
    rows: readonly RowOperation[],
  ): Promise<CommitOutcome> {
    const partition = holdsPartition(tenant);
    const row = witnessRow(tenant, holdId, step, told.eventId);
    const witness = { rowKey: row.rowKey, eventId: told.eventId };
    const operations: readonly RowOperation[] = [...rows, { kind: 'insert', ...row }, told.pending];
    const plan = { partition, blob: undefined, operations, witness };
    const outcome = await executePlan({ ...this.tools, budget }, plan);
    if (outcome === 'committed') this.tools.onCommitted?.(partition);
    return outcome;
  }

  /** Throws `record-not-found` for a hold on a record that is not there: it would hold nothing. Damaged ones may be held. */
  async #assertThere(
    { scope: { record }, type }: AcceptedHold,
    tenant: string,
    budget: Budget,
  ): Promise<void> {
    if (record === undefined || type === undefined) return;
    const { partition } = await this.#locator.locate(type, tenant, record.id, budget);
    const key = partitionKey(tenant, partition);
    const row: Row | undefined = await budget.retry(() => this.tools.ports.tables.find(type.table, key, recordKey(record.id))); // prettier-ignore
    if (row === undefined || isVoid(row)) throw notFound();
    if (isTombstone(row)) throw disposedOf();
  }

  async #placedAs(call: CallContext, id: string, budget: Budget): Promise<WrittenHold | undefined> {
    const hold = await this.reader.look(call.tenant, id, budget);
    return hold === undefined ? undefined : this.#replayed(call, asPlaced(hold), hold.placedEvent);
  }

  async #replayed(call: CallContext, hold: StoredHold, eventId = ''): Promise<WrittenHold> {
    return { hold: await openHold(this.tools, call.tenant, hold), eventId, replayed: true };
  }

  /** Every attempt under a key places the same hold. */
  async #reserve(
    { tenant, idempotency }: CallContext,
    id: string,
    budget: Budget,
    done: (reservation: Reservation) => Promise<WrittenHold | undefined>,
  ): Promise<{ readonly reservation: Reservation | undefined } | { readonly replay: WrittenHold }> {
    if (idempotency === undefined) return { reservation: undefined };
    const committed = async (reservation: Reservation) => {
      const result = await done(reservation);
      return result && { fingerprint: reservation.fingerprint, result: () => Promise.resolve(result) };
    };
    return this.#idempotency.reserve(tenant, idempotency, [id], committed, budget);
  }

  /** Before another try after a refused commit. */
  async #goOn(
    { tenant }: CallContext,
    reservation: Reservation | undefined,
    outcome: string,
    budget: Budget,
  ): Promise<void> {
    await this.#idempotency.assertHeld(tenant, reservation, budget);
    await budget.pause(outcome, 5, 250);
  }

  #budget(): Budget {
    return new Budget(this.tools.clock, this.tools.entropy);
  }
}

function full(): AppError {
  return new AppError('transition-not-allowed', `There are ${String(LIMITS.activeHolds)} holds in force, as many as there may be: release one, or place one that covers several.`); // prettier-ignore
}
