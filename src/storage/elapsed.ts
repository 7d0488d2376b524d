import type { Clock } from '../domain/clock.js';

/** By how much the wall clock must run ahead of the other one before the machine is taken to have slept. */
const ASLEEP_MS = 1000;

/**
 * Milliseconds that have passed, from 1 on; never goes back. A monotonic clock may stand still while a machine or a
 * container is suspended, and what was kept before that would pass for fresh: a leap of the wall clock forward counts
 * as time that has passed. A leap that was none makes things expire early, which is harmless. Beginning at 1, because
 * `lru-cache` takes a time of 0 for none.
 */
export function elapsedOf(clock: Clock): () => number {
  let [monotonic, wall] = [clock.monotonic(), clock.now()];
  let elapsed = 1;
  return () => {
    const [nextMonotonic, nextWall] = [clock.monotonic(), clock.now()];
    const passed = nextMonotonic - monotonic;
    const leapt = nextWall - wall;
    elapsed += leapt - passed > ASLEEP_MS ? leapt : passed;
    [monotonic, wall] = [nextMonotonic, nextWall];
    return elapsed;
  };
}
