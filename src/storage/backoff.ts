import type { Clock, Entropy } from '../domain/clock.js';
import { AppError } from '../domain/errors.js';
import { LIMITS } from '../domain/limits.js';
import { isFault } from './ports.js';

/**
 * One budget of time for everything a call does in storage. Written here and not taken from a library because time
 * and randomness must be arguments: the fault simulation runs these very loops on a virtual clock.
 */
export class Budget {
  readonly #deadline: number;
  #tries = 0;

  constructor(
    private readonly clock: Clock,
    private readonly entropy: Entropy,
    ms: number = LIMITS.storageBudgetMs,
  ) {
    this.#deadline = clock.monotonic() + ms;
  }

  get spent(): boolean {
    return this.clock.monotonic() >= this.#deadline;
  }

  /**
   * Waits before the next try: exponential from `baseMs` to `capMs`, with full jitter so that competitors part.
   * Throws `storage-unavailable` when the budget does not allow another try.
   */
  async pause(cause: unknown, baseMs = 25, capMs = 2000): Promise<void> {
    const ceiling = Math.min(capMs, baseMs * 2 ** Math.min(this.#tries, 16));
    this.#tries += 1;
    const share = (this.entropy.bytes(1)[0] as number) / 255;
    const delay = Math.ceil(ceiling * (0.25 + 0.75 * share));
    if (this.clock.monotonic() + delay >= this.#deadline) throw unavailable(cause);
    await this.clock.sleep(delay);
  }

  /** Runs an idempotent call, again while storage answers `unavailable`. Other faults pass. */
  async retry<T>(call: (attempt: number) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await call(attempt);
      } catch (error) {
        if (!isFault(error, 'unavailable')) throw error;
        await this.pause(error);
      }
    }
  }
}

/** The honest answer when storage did not say whether it did what it was asked. */
export function unavailable(cause: unknown): AppError {
  return new AppError('storage-unavailable', 'Storage does not answer in time. Repeat the request with the same Idempotency-Key.', { cause, retryAfterS: 5 }); // prettier-ignore
}
