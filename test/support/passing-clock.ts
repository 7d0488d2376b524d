import type { Clock } from '../../src/domain/clock.js';

/** A clock on which waiting is over at once: everything is old already when it is looked at. */
export class PassingClock implements Clock {
  #ms = 0;
  slept = 0;
  constructor(private readonly startMs = Date.now()) {}
  now(): number {
    return this.startMs + this.#ms;
  }
  monotonic(): number {
    return this.#ms;
  }
  async sleep(ms: number): Promise<void> {
    this.#ms += ms;
    this.slept += ms;
    await Promise.resolve();
  }
}
