import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../../src/domain/clock.js';

/**
 * The machine's clock, on which time for waiting passes `speed` times as fast, so that a budget of 20 s is spent in 20 s
 * divided by it. The time of day goes its way, `aheadMs` ahead.
 */
export function fastClock(speed: number, aheadMs = 0): Clock {
  return {
    now: () => Date.now() + aheadMs,
    monotonic: () => performance.now() * speed,
    sleep: (ms) => delay(ms / speed),
  };
}
