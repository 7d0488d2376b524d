import type { Clock } from '../../src/domain/clock.js';
import { assemblePlatform, type Platform } from '../../src/platform.js';
import type { StoragePorts } from '../../src/storage/ports.js';
import { createLog } from '../../src/telemetry/log.js';
import { TEST_LOG_KEYS } from '../support/log-keys.js';
import type { Random } from './simulation-random.js';
import type { Timeline } from './simulation-time.js';

/** When virtual time begins: a moment before a month and a day end. */
export const START_MS = Date.UTC(2026, 0, 31, 23, 59, 30);

/** The caller does not know what became of its request: the host died, or did not answer in time. */
export class Lost extends Error {
  override readonly name = 'Lost';
}

export interface HostOptions {
  readonly timeline: Timeline;
  readonly random: Random;
  /** How far its wall clock is off. */
  readonly skewMs: number;
  /** Whether its monotonic clock stands still while it is frozen, as Linux has it in suspension. */
  readonly losesFrozenTime: boolean;
  /** Whether it seals by itself soon after commits, as the product does. */
  readonly schedulesSealing: boolean;
  readonly portsOf: (host: SimulatedHost) => StoragePorts;
}

const silent = createLog('silent');
const never = (): Promise<never> => new Promise(() => undefined);

/** One process of the platform: its own caches, its own clocks; it may freeze, and it may die at any moment. */
export class SimulatedHost {
  alive = true;
  skewMs: number;
  readonly platform: Platform;
  readonly ports: StoragePorts;
  readonly clock: Clock;
  readonly entropy: Random;
  readonly #timeline: Timeline;
  readonly #losesFrozenTime: boolean;
  #frozenUntilMs = 0;
  #frozenMs = 0;
  readonly #waiting = new Set<() => void>();

  constructor(options: HostOptions) {
    this.#timeline = options.timeline;
    this.skewMs = options.skewMs;
    this.#losesFrozenTime = options.losesFrozenTime;
    const bornMs = options.timeline.nowMs;
    this.clock = {
      now: () => START_MS + this.#timeline.nowMs + this.skewMs,
      monotonic: () => this.#timeline.nowMs - bornMs - (this.#losesFrozenTime ? this.#frozenSoFarMs() : 0),
      sleep: (ms) =>
        new Promise((resolve) => {
          this.later(ms, resolve);
        }),
    };
    this.entropy = options.random;
    this.ports = options.portsOf(this);
    this.platform = assemblePlatform({
      ports: this.ports,
      clock: this.clock,
      backgroundClock: options.schedulesSealing ? this.clock : { ...this.clock, sleep: never },
      entropy: this.entropy,
      cursorKey: new Uint8Array(32).fill(1),
      wrappingKey: new Uint8Array(32).fill(2),
      logKeys: TEST_LOG_KEYS,
      log: silent,
    });
  }

  /** Runs in this process after a while: never if it is dead by then, later if it is frozen. */
  later(delayMs: number, run: () => void): void {
    this.#timeline.after(delayMs, () => {
      if (!this.alive) return;
      const leftMs = this.#frozenUntilMs - this.#timeline.nowMs;
      if (leftMs > 0) this.later(leftMs, run);
      else run();
    });
  }

  freeze(ms: number): void {
    if (this.#frozenUntilMs > this.#timeline.nowMs) return;
    this.#frozenUntilMs = this.#timeline.nowMs + ms;
    this.#frozenMs += ms;
  }

  #frozenSoFarMs(): number {
    return this.#frozenMs - Math.max(0, this.#frozenUntilMs - this.#timeline.nowMs);
  }

  /** Dies: nothing that was under way in it ever goes on. */
  die(): void {
    this.alive = false;
    for (const tell of [...this.#waiting]) tell();
    this.#waiting.clear();
  }

  /** Asks this process for something. Rejects with Lost when it dies meanwhile or takes longer than `patienceMs`. */
  ask<T>(work: () => Promise<T>, patienceMs: number): Promise<T> {
    return new Promise((resolve, reject) => {
      if (!this.alive) {
        reject(new Lost('the host is dead'));
        return;
      }
      const dead = (): void => end(() => reject(new Lost('the host died')));
      const cancel = this.#timeline.after(patienceMs, () => end(() => reject(new Lost('no answer'))));
      const end = (settle: () => void): void => {
        this.#waiting.delete(dead);
        cancel();
        settle();
      };
      this.#waiting.add(dead);
      work().then(
        (value) => end(() => resolve(value)),
        (error: unknown) => end(() => reject(error instanceof Error ? error : new Error(String(error)))),
      );
    });
  }
}
