import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../../src/domain/clock.js';

interface Sleeper {
  readonly at: number;
  readonly wake: () => void;
}

/** Lets everything that is ready to run do so. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A clock that only moves when a test says so. */
export class VirtualClock implements Clock {
  #monotonic = 0;
  #wall: number;
  #sleepers: Sleeper[] = [];

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#wall = startMs;
  }

  now(): number {
    return this.#wall;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((wake) => this.#sleepers.push({ at: this.#monotonic + Math.max(0, ms), wake }));
  }

  /** How many sleeps wait for time to pass. */
  get sleeping(): number {
    return this.#sleepers.length;
  }

  /** Passes `ms`, waking sleeps in order of their time, also those begun by the ones it woke. */
  async advance(ms: number): Promise<void> {
    const end = this.#monotonic + ms;
    await settle();
    for (let next = this.#due(end); next !== undefined; next = this.#due(end)) {
      this.#move(next.at);
      this.#sleepers.splice(this.#sleepers.indexOf(next), 1);
      next.wake();
      await settle();
    }
    this.#move(end);
  }

  /** Moves the wall clock alone, as an administrator or a time server does. */
  jump(ms: number): void {
    this.#wall += ms;
  }

  #move(to: number): void {
    this.#wall += to - this.#monotonic;
    this.#monotonic = to;
  }

  /** The sleep that ends first, of those that end by `end`; of equals the one begun first. */
  #due(end: number): Sleeper | undefined {
    let first: Sleeper | undefined;
    for (const sleeper of this.#sleepers) {
      if (sleeper.at <= end && (first === undefined || sleeper.at < first.at)) first = sleeper;
    }
    return first;
  }
}

/** The machine's clock. */
export const realClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms) => delay(ms),
};
