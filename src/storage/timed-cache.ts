import { LRUCache } from 'lru-cache';
import type { Clock } from '../domain/clock.js';
import { elapsedOf } from './elapsed.js';

/** What became of reads, counted since the process began. */
export interface CacheCounts {
  /** Answered with what was kept. */
  hits: number;
  /** Loaded, because nothing was kept or it was too old. */
  misses: number;
  /** Answered with what somebody else was loading already. */
  shared: number;
  /** Loaded, because the caller wanted it fresh or nothing may be kept. */
  bypassed: number;
  /** Forgotten because of a write by this process. */
  invalidated: number;
  /** Forgotten for want of room. */
  evicted: number;
}

export function noCounts(): CacheCounts {
  return { hits: 0, misses: 0, shared: 0, bypassed: 0, invalidated: 0, evicted: 0 };
}

/** What a load has come to. */
export interface Loaded<V> {
  readonly value: V;
  /** How long others may be answered with it, from when its load began; 0: not at all. */
  readonly ttlMs: number;
  /** About how much memory it takes, at least 1. */
  readonly bytes: number;
}

/** `previous` is what was kept and has become too old. */
export type Loader<V> = (previous: V | undefined) => Promise<Loaded<V>>;

/** Why a read was answered as it was, in the words of RFC 9211. */
export type Reason = 'hit' | 'miss' | 'stale' | 'request' | 'bypass' | 'collapsed';

export interface Read<V> {
  readonly value: V;
  readonly reason: Reason;
  /** Of what was kept, since its load began: it is no older than that. Else 0. */
  readonly ageMs: number;
}

interface Entry<V> extends Loaded<V> {
  readonly beganMs: number;
  readonly counts: CacheCounts;
}

/**
 * Values that may be some time old, in bounded memory. Of several reads at once one loads, and a failure is that of all
 * who waited for it and is never kept. The time a value may be kept counts from the begin of its load, so it never
 * answers for a state that is longer ago.
 */
export class TimedCache<V extends object> {
  readonly #elapsed: () => number;
  readonly #entries: LRUCache<string, Entry<V>, { readonly load: Loader<V>; readonly counts: CacheCounts }>;

  constructor(clock: Clock, bounds: { readonly entries: number; readonly bytes: number }) {
    this.#elapsed = elapsedOf(clock);
    this.#entries = new LRUCache({
      max: bounds.entries,
      maxSize: bounds.bytes,
      // What is not to be kept has no room anywhere.
      sizeCalculation: ({ ttlMs, bytes }) => (ttlMs > 0 ? Math.ceil(bytes) : bounds.bytes + 1),
      ttlResolution: 0,
      perf: { now: this.#elapsed },
      // Who waits for a load that was forgotten meanwhile began before the write: the value is theirs, and no one else's.
      ignoreFetchAbort: true,
      fetchMethod: async (_, previous, { options, context }) => {
        const beganMs = this.#elapsed();
        const loaded = await context.load(previous?.value);
        const ttlMs = loaded.ttlMs - (this.#elapsed() - beganMs);
        options.ttl = ttlMs;
        return { ...loaded, ttlMs, beganMs, counts: context.counts };
      },
      dispose: ({ counts }, _, reason) => {
        if (reason === 'evict') counts.evicted += 1;
      },
    });
  }

  /** What is kept under a key, or what `load` comes to. With `fresh` nothing counts that was begun before this call. */
  async read(key: string, load: Loader<V>, counts: CacheCounts, fresh = false): Promise<Read<V>> {
    if (fresh) this.#entries.delete(key);
    const status: LRUCache.Status<string, Entry<V>> = {};
    const found = this.#entries.forceFetch(key, { context: { load, counts }, status });
    const reason = fresh ? 'request' : reasonOf(status.fetch);
    counts[COUNTED[reason]] += 1;
    const { value, beganMs } = await found;
    return { value, reason, ageMs: reason === 'hit' ? this.#elapsed() - beganMs : 0 };
  }

  /** Whoever reads from now on is given nothing of what was kept or is being loaded. */
  forgetAll(): void {
    this.#entries.clear();
  }

  /**
   * After a write: whoever reads from now on is not given what was kept, nor what is being loaded. Whether there was
   * something, and what if it was loaded already.
   */
  forget(key: string, counts: CacheCounts): { readonly known: boolean; readonly value?: V | undefined } {
    const value = this.#entries.peek(key, { allowStale: true })?.value;
    const known = this.#entries.delete(key);
    if (known) counts.invalidated += 1;
    return { known, value };
  }
}

const COUNTED = {
  hit: 'hits',
  miss: 'misses',
  stale: 'misses',
  collapsed: 'shared',
  request: 'bypassed',
  bypass: 'bypassed',
} as const satisfies Record<Reason, keyof CacheCounts>;

function reasonOf(fetched: LRUCache.Status<string, object>['fetch']): Reason {
  if (fetched === 'hit' || fetched === 'stale') return fetched;
  return fetched === 'inflight' ? 'collapsed' : 'miss';
}
