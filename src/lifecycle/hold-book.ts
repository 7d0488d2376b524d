import type { BlindIndex } from '../domain/blind-index.js';
import { AppError } from '../domain/errors.js';
import { holdsOn, holdsOnSubject, type ActiveHold, type HoldFacts } from '../domain/held.js';
import { acceptHold, HOLD_TYPE, type Hold } from '../domain/hold.js';
import { LIMITS } from '../domain/limits.js';
import type { RecordType } from '../domain/record-type.js';
import { holdFactsOf, subjectHash, type HoldTools } from '../storage/hold-content.js';
import { HoldReader, type HoldQuery } from '../storage/hold-reader.js';
import { HoldStore, type WrittenHold } from '../storage/hold-store.js';
import type { CallContext, Page, StorageManagerOptions } from '../storage/manager-types.js';
import type { Row } from '../storage/ports.js';
import { integrityEvidence } from '../storage/record-row.js';
import { noCounts, TimedCache } from '../storage/timed-cache.js';

/** How much of what is in force somebody has to know: all of it, before he destroys anything. */
export interface HowFresh {
  /** Reads it now, instead of answering with what was read some seconds ago. */
  readonly fresh?: boolean;
}

export interface HoldBookTools extends HoldTools {
  readonly findByCollection: (collection: string) => RecordType | undefined;
  /** Audits a finding. Must not throw. */
  readonly onIntegrityFailure?: StorageManagerOptions['onIntegrityFailure'];
}

const NAMED_AT_MOST = 10;
const NOBODY = 'hold-book';

/**
 * The legal holds of tenants (lifecycle.md, Legal hold): placed, released and shown; and what whoever is about to delete
 * a record, its blobs or a subject's key has to ask first. A hold beats retention, archival clean-up and erasure.
 *
 * `fresh` asks storage, and is how every question is asked unless it says otherwise, but for `activeOf`: a hold that was
 * answered before is in the answer, whichever process placed it. Without it what is up to five seconds old may count,
 * which is good enough to pass over what is held, and not to destroy what seems free. Damage is thrown, never taken for
 * freedom. All throw `storage-unavailable`, `integrity-failure`.
 */
export class HoldBook {
  readonly #reader: HoldReader;
  readonly #store: HoldStore;
  readonly #blindIndex: BlindIndex;
  readonly #counts = noCounts();
  readonly #active: TimedCache<readonly ActiveHold[]>;

  constructor(private readonly tools: HoldBookTools) {
    this.#reader = new HoldReader(tools);
    this.#store = new HoldStore(tools, this.#reader);
    this.#blindIndex = tools.blindIndex;
    const bounds = { entries: LIMITS.holdTenantsKept, bytes: LIMITS.holdTenantsKept };
    this.#active = new TimedCache(tools.clock, bounds);
  }

  /** Throws `record-invalid`, `record-not-found`, `transition-not-allowed`; see `HoldStore.place`. */
  async place(body: unknown, call: CallContext): Promise<WrittenHold> {
    const accepted = acceptHold(body, this.tools.findByCollection);
    return this.#changing(call, () => this.#store.place(accepted, call));
  }

  /** Throws `record-not-found`, `record-invalid`, `transition-not-allowed`; see `HoldStore.release`. */
  async release(id: string, body: unknown, call: CallContext): Promise<WrittenHold> {
    return this.#changing(call, () => this.#store.release(id, body, call));
  }

  /** One point read. Throws `record-not-found`. */
  async get(id: string, call: CallContext): Promise<Hold> {
    return this.#audited(call, () => this.#reader.get(call.tenant, id));
  }

  /** Holds, newest first; a page may be short, only a null cursor ends the list. One that is damaged is left out. */
  async list(query: HoldQuery, call: CallContext): Promise<Page<Hold>> {
    const found: Parameters<NonNullable<HoldBookTools['onIntegrityFailure']>>[0][] = [];
    const page = await this.#reader.list(call.tenant, query, found);
    for (const finding of found) await this.tools.onIntegrityFailure?.(finding, call);
    return page;
  }

  /** What is in force in a tenant, as it is compared. One range read, or free. */
  async activeOf(tenant: string, { fresh = false }: HowFresh = {}): Promise<readonly ActiveHold[]> {
    const call = { tenant, actor: NOBODY, correlationId: NOBODY };
    const load = async () => {
      const value = await this.#audited(call, () => this.#reader.active(tenant));
      return { value, ttlMs: LIMITS.holdsKeptMs, bytes: 1 };
    };
    return (await this.#active.read(tenant, load, this.#counts, fresh)).value;
  }

  /**
   * What holds ask of a record, from its row and the names of all whom it is about (`everySubjectOf`, of the record and of
   * its entries). Free, but for the tenant's key. Throws `integrity-failure` for a row that was altered.
   */
  async factsOf(type: RecordType, tenant: string, row: Row, subjects: readonly string[]): Promise<HoldFacts> {
    const hashed = subjects.map((subject) => subjectHash(this.#blindIndex, tenant, subject));
    return holdFactsOf(type, row, await Promise.all(hashed));
  }

  /**
   * Before a record, a revision or a blob of it is deleted: throws `record-on-hold`, naming the holds, unless nothing
   * covers the record. One range read.
   */
  async assertFree(tenant: string, facts: HoldFacts, how: HowFresh = { fresh: true }): Promise<void> {
    assertNone('record', holdsOn(await this.activeOf(tenant, how), facts));
  }

  /** Whether a hold is on the subject itself, whatever there is of it. */
  async subjectHeld(tenant: string, subject: string, how: HowFresh = { fresh: true }): Promise<boolean> {
    return (await this.#onSubject(tenant, subject, await this.activeOf(tenant, how))).length > 0;
  }

  /**
   * Before the key of a subject is destroyed: throws `record-on-hold` when a hold is on the subject, or covers one of the
   * records that are about it, for what is sealed in them would be gone too. One look for all of them.
   */
  async assertErasable(
    tenant: string,
    subject: string,
    records: readonly HoldFacts[],
    how: HowFresh = { fresh: true },
  ): Promise<void> {
    const active = await this.activeOf(tenant, how);
    const own = await this.#onSubject(tenant, subject, active);
    assertNone('subject', [...new Set([...own, ...records.flatMap((facts) => holdsOn(active, facts))])]);
  }

  async #onSubject(
    tenant: string,
    subject: string,
    active: readonly ActiveHold[],
  ): Promise<readonly ActiveHold[]> {
    return holdsOnSubject(active, await subjectHash(this.#blindIndex, tenant, subject));
  }

  async #changing(call: CallContext, work: () => Promise<WrittenHold>): Promise<WrittenHold> {
    try {
      return await this.#audited(call, work);
    } finally {
      // Also where storage did not say whether it happened.
      this.#active.forget(call.tenant, this.#counts);
    }
  }

  async #audited<T>(call: CallContext, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const evidence = integrityEvidence(error);
      if (evidence !== undefined)
        await this.tools.onIntegrityFailure?.({ recordType: HOLD_TYPE, ...evidence }, call);
      throw error;
    }
  }
}

/** Throws `record-on-hold`, naming the holds, unless there are none. */
export function assertNone(what: 'record' | 'subject', holds: readonly ActiveHold[]): void {
  if (holds.length === 0) return;
  const ids = holds.slice(0, NAMED_AT_MOST).map(({ holdId }) => holdId);
  const more = holds.length > ids.length ? ` and ${String(holds.length - ids.length)} more` : '';
  throw new AppError('record-on-hold', `The ${what} is on legal hold: ${ids.join(', ')}${more}.`, {
    evidence: { holds: ids.join(' '), count: holds.length },
  });
}
