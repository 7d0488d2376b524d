import { setTimeout as delay } from 'node:timers/promises';
import type { VirtualClock } from './virtual-clock.js';

/** Steps until real time is waited for as well: what waits for Azurite, and not for the clock, needs some. */
const EAGER_STEPS = 100;
const STEPS = 20_000;

/**
 * Lets a virtual clock run, a step at a time, until the work is done. While nothing sleeps on the clock the work waits for
 * something real, and no virtual time passes.
 */
export async function inTime<T>(clock: VirtualClock, work: Promise<T>, stepMs = 250): Promise<T> {
  const state = { done: false };
  const finished = work.finally(() => {
    state.done = true;
  });
  // Whoever awaits the work is told of its failure.
  finished.catch(() => undefined);
  for (let steps = 0; !state.done; steps += 1) {
    if (steps > STEPS) throw new Error('this never ends');
    if (steps > EAGER_STEPS || clock.sleeping === 0) await delay(1);
    if (clock.sleeping > 0) await clock.advance(stepMs);
  }
  return finished;
}
