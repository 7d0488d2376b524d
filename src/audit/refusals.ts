import { formatTime, type Clock, type Entropy } from '../domain/clock.js';
import { newId } from '../domain/ids.js';
import { LIMITS } from '../domain/limits.js';
import { SYSTEM_TENANT } from '../storage/keys.js';
import type { Log } from '../telemetry/log.js';
import type { AuditDraft, AuditEmitter } from './emitter.js';
import { EventBuffer } from './event-buffer.js';

/** Somebody was not let in. Holds nothing that a caller can make up, but for the ids, which have the form of ids. */
export interface Refusal {
  readonly code: 'unauthenticated' | 'forbidden';
  /** A fixed word. */
  readonly reason: string;
  /** Name of who was refused; undefined for somebody who was not authenticated. */
  readonly actor: string | undefined;
  /** Undefined where no tenant is proven. */
  readonly tenant: string | undefined;
  /** Where the request came from; of somebody known it does not matter. */
  readonly address: string;
  /** What was tried: the method and the name of the route. */
  readonly action: string;
  readonly resourceType: string;
  /** `-` for none. */
  readonly resourceId: string;
  /** That of the request, which its answer carries as `instance`. */
  readonly correlationId: string;
}

/** Refusals that are alike, and how many they are. */
interface Counted {
  readonly first: Refusal;
  readonly fromMs: number;
  count: number;
  toMs: number;
  /** Of all of them, or `-`. */
  resourceId: string;
}

export interface RefusalsTools {
  readonly emitter: Pick<AuditEmitter, 'emit'>;
  readonly clock: Pick<Clock, 'now'>;
  /** Its `sleep` must not keep the process alive. */
  readonly backgroundClock: Pick<Clock, 'sleep'>;
  readonly entropy: Entropy;
  readonly log: Log;
}

/** Who has no name, in events. */
const ANONYMOUS = 'anonymous';
const WINDOW_MS = 60_000;
const RETRY_MS = 10_000;
/** One for each code: the counters of what finds no room of its own. */
const CODES = 2;

/**
 * Counts refusals and makes `access.refused` events of them (audit-ledger.md, Events): of those of one caller, or of
 * one address where there is none, that are alike, one event a minute, with their number. Memory and events are bounded:
 * beyond 1,000 of the callers and 1,000 of the addresses in a minute, what is new is counted together, and no crowd of
 * strangers takes the room of callers. While storage is down counting goes on.
 */
export class Refusals {
  readonly #ofCallers: EventBuffer<Counted>;
  readonly #ofStrangers: EventBuffer<Counted>;
  readonly #ofTheRest: EventBuffer<Counted>;

  constructor(private readonly tools: RefusalsTools) {
    this.#ofCallers = this.#buffer(LIMITS.refusalEntries);
    this.#ofStrangers = this.#buffer(LIMITS.refusalEntries);
    this.#ofTheRest = this.#buffer(CODES);
  }

  /** Returns at once and never throws. */
  count(refusal: Refusal): void {
    const { code, reason, actor, tenant, address, action, resourceType } = refusal;
    const key = JSON.stringify([code, reason, tenant, actor ?? null, actor === undefined ? address : null, action, resourceType]); // prettier-ignore
    const buffer = actor === undefined ? this.#ofStrangers : this.#ofCallers;
    if (!this.#add(buffer, key, refusal)) this.#add(this.#ofTheRest, code, theRest(refusal));
  }

  /** Stores now what was counted. Throws `storage-unavailable`: what is not stored is kept. */
  async flush(): Promise<void> {
    const flushed = await Promise.allSettled(this.#all.map((buffer) => buffer.flush()));
    for (const one of flushed) if (one.status === 'rejected') throw one.reason;
  }

  /** Before the process ends: stores what was counted, for at most `deadlineMs`. */
  async drain(deadlineMs: number): Promise<void> {
    await Promise.all(this.#all.map((buffer) => buffer.drain(deadlineMs)));
  }

  /** How many events are to come of what was counted. */
  get waiting(): number {
    return this.#all.reduce((sum, { waiting }) => sum + waiting, 0);
  }

  get #all(): readonly EventBuffer<Counted>[] {
    return [this.#ofCallers, this.#ofStrangers, this.#ofTheRest];
  }

  #add(buffer: EventBuffer<Counted>, key: string, refusal: Refusal): boolean {
    const nowMs = this.tools.clock.now();
    const known = buffer.find(key);
    if (known === undefined) {
      const { resourceId } = refusal;
      return buffer.add(key, { first: refusal, fromMs: nowMs, count: 1, toMs: nowMs, resourceId });
    }
    known.count += 1;
    known.toMs = Math.max(known.fromMs, nowMs);
    if (known.resourceId !== refusal.resourceId) known.resourceId = '-';
    return true;
  }

  #buffer(most: number): EventBuffer<Counted> {
    const { emitter, backgroundClock, log } = this.tools;
    return new EventBuffer<Counted>(
      {
        emitter,
        clock: backgroundClock,
        draftOf: (counted) => this.#draftOf(counted),
        onError: (error, lost) => {
          const what = lost === undefined ? 'refusals are not yet audited' : 'a refusal could not be audited';
          log.warn(what, { tenant: lost?.tenant ?? SYSTEM_TENANT, reason: String(error) });
        },
      },
      { holdMs: WINDOW_MS, retryMs: RETRY_MS, most },
    );
  }

  #draftOf({ first, fromMs, toMs, count, resourceId }: Counted): AuditDraft {
    const { code, reason, actor, address } = first;
    return {
      eventId: newId('evt', toMs, this.tools.entropy),
      timestampMs: toMs,
      tenant: first.tenant ?? SYSTEM_TENANT,
      actorName: actor ?? ANONYMOUS,
      eventType: 'access.refused',
      severity: 'warning',
      action: first.action,
      resourceType: first.resourceType,
      resourceId,
      outcome: 'failure',
      details: { code, reason, count, from: formatTime(fromMs), to: formatTime(toMs) },
      correlationId: first.correlationId,
      // Of a caller refusals from anywhere are counted together: no one address would be true.
      ipAddress: actor === undefined && address !== '' ? address : undefined,
    };
  }
}

/** What is left to say of refusals that are counted whoever they were of. */
function theRest({ code, correlationId }: Refusal): Refusal {
  return {
    code,
    reason: 'other',
    actor: undefined,
    tenant: undefined,
    address: '',
    action: 'other',
    resourceType: '-',
    resourceId: '-',
    correlationId,
  };
}
