import { LRUCache } from 'lru-cache';
import type { Clock } from '../domain/clock.js';
import { LIMITS } from '../domain/limits.js';
import { isFull, take, untilNextMs, type Bucket, type RateLimit } from './rate-limit.js';

/** Whose requests are counted together. */
export type Party = 'caller' | 'tenant' | 'address';

/** The limits of one process; undefined: none. */
export interface RateLimits {
  /** Of an actor within a tenant. */
  readonly caller: RateLimit | undefined;
  /** Of all actors of a tenant. */
  readonly tenant: RateLimit | undefined;
  /** Of a network address, for what needs no caller. */
  readonly address: RateLimit | undefined;
}

/** Whether a request is let through, and how each limit it falls under stands after it. */
export interface Admission {
  readonly allowed: boolean;
  /** Seconds after which the request is let through if no other comes first; 0 when it was. */
  readonly retryAfterS: number;
  readonly standings: readonly Standing[];
}

export interface Standing {
  readonly party: Party;
  readonly limit: RateLimit;
  /** Whole requests that could be made now. */
  readonly left: number;
  /** Seconds, at least 1, within which it is no more than `left` that could be made. */
  readonly windowS: number;
}

type Key = readonly [party: Party, name: string];

/**
 * Counts requests of this process against its limits. A party is kept until it has everything back, so memory follows
 * how many ask at a time; it is bounded, and of more parties those that came least recently begin anew. Tenants and addresses are kept apart from callers, so that
 * many callers of a tenant do not make it forget the tenant.
 */
export class RateLimiter {
  readonly #kept: Readonly<Record<Party, LRUCache<string, Bucket>>> = {
    caller: new LRUCache({ max: LIMITS.rateLimitedParties }),
    tenant: new LRUCache({ max: LIMITS.rateLimitedParties }),
    address: new LRUCache({ max: LIMITS.rateLimitedParties }),
  };

  constructor(
    private readonly limits: RateLimits,
    private readonly clock: Pick<Clock, 'monotonic'>,
  ) {}

  /** A request of somebody who was authenticated: under the limit of the caller and that of the tenant. */
  admitCaller({ tenant, actor }: { readonly tenant: string; readonly actor: string }): Admission {
    // A tenant's name has no slash.
    return this.#admit([
      ['caller', `${tenant}/${actor}`],
      ['tenant', tenant],
    ]);
  }

  /** A request that needs no caller. */
  admitAddress(address: string): Admission {
    return this.#admit([['address', address]]);
  }

  /** How many parties are known. */
  get known(): number {
    return Object.values(this.#kept).reduce((sum, { size }) => sum + size, 0);
  }

  /** Two for each one that may come: those that came least recently, as long as there is nothing to remember of them. */
  #forgetFull(party: Party, nowMs: number): void {
    const limit = this.limits[party];
    if (limit === undefined) return;
    const kept = this.#kept[party];
    for (let each = 0; each < 2; each += 1) {
      const [name] = kept.rkeys();
      const bucket = name === undefined ? undefined : kept.peek(name);
      if (name === undefined || bucket === undefined || !isFull(limit, bucket, nowMs)) return;
      kept.delete(name);
    }
  }

  /** Takes from all of the buckets or from none: who is refused uses nothing up, neither his own nor his tenant's. */
  #admit(keys: readonly Key[]): Admission {
    const nowMs = this.clock.monotonic();
    for (const [party] of keys) this.#forgetFull(party, nowMs);
    const looked = keys.flatMap(([party, name]) => {
      const limit = this.limits[party];
      if (limit === undefined) return [];
      const before = this.#kept[party].get(name);
      return [{ party, name, limit, before, taken: take(limit, before, nowMs) }];
    });
    const allowed = looked.every(({ taken }) => taken.allowed);
    const standings = looked.map(({ party, name, limit, before, taken }) => {
      const { bucket, left } = allowed ? taken : take(limit, before, nowMs, 0);
      this.#kept[party].set(name, bucket);
      return { party, limit, left, windowS: Math.max(1, Math.ceil(untilNextMs(limit, bucket) / 1000)) };
    });
    const waitMs = Math.max(0, ...looked.map(({ taken }) => taken.waitMs));
    return { allowed, retryAfterS: Math.ceil(waitMs / 1000), standings };
  }
}
