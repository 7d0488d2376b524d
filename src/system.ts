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

/** Bytes of the operating system's generator. */
export const systemEntropy: Entropy = { bytes: (count) => randomFillSync(new Uint8Array(count)) };
