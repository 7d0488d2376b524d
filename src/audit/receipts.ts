import type { Clock } from '../domain/clock.js';
import { LIMITS } from '../domain/limits.js';
import type { CallContext } from '../storage/manager-types.js';
import type { AuditReader } from './audit-reader.js';
import type { SealScheduler } from './seal-scheduler.js';

export interface ReceiptsTools {
  readonly reader: Pick<AuditReader, 'find'>;
  readonly scheduler: Pick<SealScheduler, 'soon'>;
  /** Its `sleep` need not keep the process alive. */
  readonly clock: Clock;
}

/** Looks at once for the events of one answer. */
const LOOKS_AT_ONCE = 8;
/** Times that one answer asks for a round; after that it only looks whether somebody had one. */
const ASKS = 4;
/** Longest pause between two looks, and the shortest after a round that did not have the event; milliseconds. */
const PAUSE_MS = 500;
const FIRST_PAUSE_MS = 50;

/**
 * Waits for events to be sealed, for callers who want to take a proof home. What tells is the event's permanent row: it
 * gets its place in the log only after a checkpoint that covers it, whoever sealed it.
 */
export class Receipts {
  #waiting = 0;
  readonly #ofTenants = new Map<string, number>();

  constructor(private readonly tools: ReceiptsTools) {}

  /** Milliseconds of the clock that `sealed` goes by. */
  now(): number {
    return this.tools.clock.monotonic();
  }

  /**
   * Whether all these events are in the log, under a checkpoint, before `deadlineMs` (as `now` counts). Asks for a round
   * of sealing and looks, from then on, at most twice a second: a point read for each look, and one for each event.
   * False at once when too many wait already (LIMITS.receiptsWaiting), and when it cannot be told. Never rejects.
   */
  async sealed(eventIds: readonly string[], deadlineMs: number, call: CallContext): Promise<boolean> {
    const { tenant } = call;
    const ofTenant = this.#ofTenants.get(tenant) ?? 0;
    if (this.#waiting >= LIMITS.receiptsWaiting || ofTenant >= LIMITS.receiptsWaitingOfTenant) return false;
    this.#waiting += 1;
    this.#ofTenants.set(tenant, ofTenant + 1);
    try {
      const timeUp = this.tools.clock.sleep(Math.max(0, deadlineMs - this.now())).then(() => false);
      return await Promise.race([this.#await(eventIds, deadlineMs, call), timeUp]);
    } catch {
      // The write stands. Who damaged a row is audited where it was read; what did not answer is asked for again.
      return false;
    } finally {
      this.#waiting -= 1;
      this.#left(tenant);
    }
  }

  async #await(eventIds: readonly string[], deadlineMs: number, call: CallContext): Promise<boolean> {
    let left = eventIds;
    for (let looks = 0; this.now() < deadlineMs; looks += 1) {
      left = await this.#unsealed(left, call);
      if (left.length === 0) return true;
      await this.#pause(call.tenant, looks);
    }
    return false;
  }

  /** What is left of the events, from the first that is not sealed yet. */
  async #unsealed(eventIds: readonly string[], call: CallContext): Promise<readonly string[]> {
    for (let at = 0; at < eventIds.length; at += LOOKS_AT_ONCE) {
      const some = eventIds.slice(at, at + LOOKS_AT_ONCE);
      const found = await Promise.all(some.map((id) => this.tools.reader.find(id, call)));
      const waits = some.filter((_, i) => found[i]?.leaf_index === undefined);
      if (waits.length > 0) return [...waits, ...eventIds.slice(at + LOOKS_AT_ONCE)];
    }
    return [];
  }

  /** Until a round has ended, or for a while; after rounds that did not help, longer each time. */
  async #pause(tenant: string, looks: number): Promise<void> {
    const { clock, scheduler } = this.tools;
    const asked = looks < ASKS ? [scheduler.soon(tenant)] : [];
    await Promise.race([...asked, clock.sleep(PAUSE_MS)]);
    if (looks > 0 && looks < ASKS) await clock.sleep(Math.min(PAUSE_MS, FIRST_PAUSE_MS * 2 ** looks));
  }

  #left(tenant: string): void {
    const others = (this.#ofTenants.get(tenant) ?? 1) - 1;
    if (others > 0) this.#ofTenants.set(tenant, others);
    else this.#ofTenants.delete(tenant);
  }
}
