import { randomFillSync } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock, Entropy } from './domain/clock.js';

/** The clock of this machine. A call that sleeps keeps the process alive until it is done. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms) => delay(ms),
};

/** The same time for background work, whose waiting is no reason for a process to go on. */
export const backgroundClock: Clock = {
  ...systemClock,
  sleep: (ms) => delay(ms, undefined, { ref: false }),
};

/** Each call of the operating system's generator costs about as much as these many bytes of it. */
const POOL_BYTES = 4096;
/** More at once is asked for on its own. */
const POOLED_BYTES = 256;

/**
 * Bytes of the operating system's generator, fetched in pieces and given out once: a batch takes hundreds of salts and
 * nonces. What was given out is wiped here, so that a key is nowhere but with whom it was made for.
 */
function pooledEntropy(): Entropy {
  const pool = new Uint8Array(POOL_BYTES);
  let at = POOL_BYTES;
  return {
    bytes: (count) => {
      if (count > POOLED_BYTES) return randomFillSync(new Uint8Array(count));
      if (at + count > POOL_BYTES) {
        randomFillSync(pool);
        at = 0;
      }
      const bytes = pool.slice(at, at + count);
      pool.fill(0, at, at + count);
      at += count;
      return bytes;
    },
  };
}

export const systemEntropy: Entropy = pooledEntropy();
