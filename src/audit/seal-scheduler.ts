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

/** Something that happens once. */
interface Once {
  readonly happens: () => void;
  readonly happened: Promise<void>;
}

function once(): Once {
  let happens: () => void = () => undefined;
  const happened = new Promise<void>((resolve) => (happens = resolve));
  return { happens, happened };
}

/** The rounds of one tenant while there is something to look for. */
interface Run {
  /** The pause that is on, or the next one, is cut short. */
  hurry: Once;
  /** The next round that begins has ended, or none will. */
  ended: Once;
}

/**
 * Seals soon after commits, in this process and off the caller's path. Nothing relies on it: what it forgets, the
 * queue message finds, and what that does not find, the sweep does.
 */
export class SealScheduler {
  readonly #settings: SchedulerSettings;
  readonly #hints = new Map<string, Hints>();
  /** Tenants in which to look wherever there may be something. */
  readonly #everywhere = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #runs = new Map<string, Run>();
  readonly #messageAt = new Map<string, number>();
  readonly #drained = once();

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
   * Somebody waits for what was committed: the next round begins now. Where this process knows of nothing, because
   * another committed it, it looks wherever the tenant may have something. Resolves when the round has ended, or when
   * there is none; what came of it is told by storage alone. Never rejects.
   */
  soon(tenant: string): Promise<void> {
    if (!this.#running.has(tenant)) this.#everywhere.add(tenant);
    this.#start(tenant);
    const run = this.#runs.get(tenant);
    run?.hurry.happens();
    return run?.ended.happened ?? Promise.resolve();
  }

  /**
   * Before the process ends: seals what is pending where it was hinted, without the wait, for at most `deadlineMs`.
   * From then on commits are sealed without delay.
   */
  async drain(deadlineMs: number): Promise<void> {
    this.#drained.happens();
    await Promise.race([this.#idle(), this.tools.clock.sleep(deadlineMs)]);
  }

  async #idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  #start(tenant: string): void {
    if (this.#running.has(tenant)) return;
    const run = { hurry: once(), ended: once() };
    this.#runs.set(tenant, run);
    this.#running.set(tenant, this.#run(tenant, run));
  }

  /** One run per tenant: rounds while there are hints. Never rejects. */
  async #run(tenant: string, run: Run): Promise<void> {
    let waitMs = this.#settings.debounceMs;
    while (this.#hints.has(tenant) || this.#everywhere.has(tenant)) {
      await this.#pause(run, waitMs);
      const { ended } = run;
      run.ended = once();
      const busy = await this.#round(tenant);
      ended.happens();
      waitMs = busy ? 0 : this.#settings.debounceMs;
      if (busy) await this.#pause(run, this.#settings.busyRetryMs);
    }
    // In the same breath as the look at the hints: one that comes now starts a run of its own.
    this.#running.delete(tenant);
    this.#runs.delete(tenant);
    run.ended.happens();
  }

  async #pause(run: Run, ms: number): Promise<void> {
    await Promise.race([this.tools.clock.sleep(ms), this.#drained.happened, run.hurry.happened]);
    run.hurry = once();
  }

  /** One round; true when somebody else is sealing, and it has to be tried again. */
  async #round(tenant: string): Promise<boolean> {
    const hints: Hints = this.#hints.get(tenant) ?? new Map<string, PartitionRef>();
    const everywhere = this.#everywhere.delete(tenant);
    this.#hints.delete(tenant);
    try {
      const where = everywhere ? {} : { partitions: [...hints.values()] };
      const { busy } = await this.tools.sealer.sealTenant(tenant, where);
      if (!busy) return false;
    } catch (error) {
      this.tools.onError(error, tenant);
      return false;
    }
    // Whoever is sealing may not look where we would.
    if (everywhere) this.#everywhere.add(tenant);
    const together = new Map([...hints, ...(this.#hints.get(tenant) ?? [])]);
    if (together.size > 0) this.#hints.set(tenant, together);
    return true;
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
