import type { VirtualClock } from './virtual-clock.js';

/** Lets a virtual clock run, a step at a time, until the work is done. */
export async function inTime<T>(clock: VirtualClock, work: Promise<T>, stepMs = 250): Promise<T> {
  const state = { done: false };
  const finished = work.finally(() => {
    state.done = true;
  });
  // Whoever awaits the work is told of its failure.
  finished.catch(() => undefined);
  for (let steps = 0; !state.done; steps += 1) {
    if (steps > 10_000) throw new Error('this never ends');
    await clock.advance(stepMs);
  }
  return finished;
}
