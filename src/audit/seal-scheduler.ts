import type { Clock } from '../domain/clock.js';
import type { PartitionRef } from '../storage/directory.js';
import { QUEUES } from '../storage/keys.js';
import type { WorkQueue } from '../storage/ports.js';
import type { Sealer } from './sealer.js';
import { sealWorkText } from './seal-work.js';

export interface SchedulerTools {
  readonly sealer: Pick<Sealer, 'sealTenant'>;
  readonly queues: WorkQueue;
  /** Its `sleep` must not keep the process alive: unfinished waiting is not a reason to go on. */
  readonly clock: Clock;
  /** Told of failures, which are then left to the sweep. Must not throw. */
  readonly onError: (error: unknown, tenant: string) => void;
}

export interface SchedulerSettings {
  /** How long after a commit sealing begins; commits in between are sealed together. */
  readonly debounceMs: number;
  /** How long after finding somebody else sealing it is tried again. */
  readonly busyRetryMs: number;
  /** At most one queue message per tenant in this time. */
  readonly messageEveryMs: number;
}

const DEFAULTS: SchedulerSettings = { debounceMs: 1000, busyRetryMs: 2000, messageEveryMs: 30_000 };

/** What is known to be worth a look in one tenant. */
type Hints = Map<string, PartitionRef>;

/**
 * Seals soon after commits, in this process and off the caller's path. Nothing relies on it: what it forgets, the
 * queue message finds, and what that does not find, the sweep does.
 */
export class SealScheduler {
  readonly #settings: SchedulerSettings;
  readonly #hints = new Map<string, Hints>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #messageAt = new Map<string, number>();
  #hurry: () => void = () => undefined;
  readonly #hurried = new Promise<void>((resolve) => (this.#hurry = resolve));

  constructor(
    private readonly tools: SchedulerTools,
    settings: Partial<SchedulerSettings> = {},
  ) {
    this.#settings = { ...DEFAULTS, ...settings };
  }

  /** A partition has a new pending event. Returns at once and never throws. */
  committed(ref: PartitionRef): void {
    const hints = this.#hints.get(ref.tenant) ?? new Map<string, PartitionRef>();
    hints.set(`${ref.table}:${ref.partition}`, ref);
    this.#hints.set(ref.tenant, hints);
    this.#start(ref.tenant);
    this.#notify(ref.tenant);
  }

  /**
   * Before the process ends: seals what is pending where it was hinted, without the wait, for at most `deadlineMs`.
   * From then on commits are sealed without delay.
   */
  async drain(deadlineMs: number): Promise<void> {
    this.#hurry();
    await Promise.race([this.#idle(), this.tools.clock.sleep(deadlineMs)]);
  }

  async #idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  #start(tenant: string): void {
    if (this.#running.has(tenant)) return;
    this.#running.set(tenant, this.#run(tenant));
  }

  /** One run per tenant: rounds while there are hints. Never rejects. */
  async #run(tenant: string): Promise<void> {
    let waitMs = this.#settings.debounceMs;
    while (this.#hints.has(tenant)) {
      await Promise.race([this.tools.clock.sleep(waitMs), this.#hurried]);
      const hints: Hints = this.#hints.get(tenant) ?? new Map<string, PartitionRef>();
      this.#hints.delete(tenant);
      waitMs = this.#settings.debounceMs;
      try {
        const { busy } = await this.tools.sealer.sealTenant(tenant, { partitions: [...hints.values()] });
        if (!busy) continue;
        // Whoever is sealing may not look where we would.
        this.#hints.set(tenant, new Map([...hints, ...(this.#hints.get(tenant) ?? [])]));
        await this.tools.clock.sleep(this.#settings.busyRetryMs);
        waitMs = 0;
      } catch (error) {
        this.tools.onError(error, tenant);
      }
    }
    // In the same breath as the look at the hints: one that comes now starts a run of its own.
    this.#running.delete(tenant);
  }

  /**
   * A message that comes due when the interval ends covers every commit in it, also those this process does not live
   * to seal; one that came at once would only cover the first.
   */
  #notify(tenant: string): void {
    const { messageEveryMs } = this.#settings;
    const now = this.tools.clock.monotonic();
    const last = this.#messageAt.get(tenant);
    if (last !== undefined && now - last < messageEveryMs) return;
    if (this.#messageAt.size >= 10_000) this.#messageAt.clear();
    this.#messageAt.set(tenant, now);
    const delayS = Math.ceil(messageEveryMs / 1000);
    this.tools.queues
      .send(QUEUES.seal, sealWorkText(tenant), { delayS })
      .catch((error: unknown) => this.tools.onError(error, tenant));
  }
}
