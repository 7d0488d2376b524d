import type { Clock } from '../domain/clock.js';
import { LIMITS } from '../domain/limits.js';
import type { Log } from '../telemetry/log.js';
import type { StepContext } from './job.js';
import { isSuspended, type JobSwitches } from './job-switches.js';
import { reasonOf } from './jobs-table.js';
import { lifecycleWorkText, sendWork, type LifecycleWork, type SendTools } from './lifecycle-work.js';
import type { PartitionJob } from './partition-job.js';
import type { WorkBook } from './work-book.js';
import { advanced, broken, type KeptWork, type Work } from './work-row.js';

export interface WorkerTools extends SendTools {
  readonly book: WorkBook;
  readonly switches: Pick<JobSwitches, 'read'>;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * What became of a message. `nothing`: there is nothing to do for it, or not now; `lost`: somebody else is at work there;
 * `broke off`: it is tried again later; `failed`: not before the next round.
 */
export type Worked = 'nothing' | 'done' | 'more' | 'lost' | 'suspended' | 'broke off' | 'failed';

/** A host that dies loses what it did since it last saved how far it came, which is then done again. */
const SAVE_MS = 2_000;
const RETRY_S = 15;

/**
 * Works in partitions, each by its row (`work-row.ts`): from the row's cursor, and saving how far it came under the row's
 * ETag. Whoever loses the row stops; what was done is harmless to do again, so any number of hosts may be at one partition,
 * and any of them may die at any point.
 */
export class PartitionWorker {
  constructor(
    private readonly tools: WorkerTools,
    private readonly jobs: readonly PartitionJob[],
  ) {}

  /**
   * Does what a message asks for, for 20 s at most, and sends the message again where there is more to do. A message for a
   * round that is over, for what is done, or while the job is switched off does nothing: the round itself sends another where
   * one is missing. `dequeueCount` above 1 says that whoever had the message before did not come to its end. Two reads, and
   * one transaction for each two seconds of work and at its end. Throws `storage-unavailable`: deliver it again.
   */
  async deliver(message: LifecycleWork, dequeueCount: number): Promise<Worked> {
    const job = this.jobs.find(({ name }) => name === message.job);
    if (job === undefined) return 'nothing';
    const { book, switches, clock } = this.tools;
    const mayWork = (): boolean => job.mayWork?.(clock.now()) ?? true;
    if (!mayWork()) return 'nothing';
    const [found, suspended] = await Promise.all([book.find(job.name, message), switches.read()]);
    if (isSuspended(suspended, job.name)) return 'suspended';
    if (found?.work.roundMs !== message.round || found.work.state !== 'waiting') return 'nothing';
    // Whoever dies of it cannot say so: it is said before, by the next one.
    const kept = dequeueCount > 1 ? await this.#brokeOff(job, found, 'internal-error') : found;
    if (kept === undefined) return 'lost';
    if (kept.work.state === 'failed') return 'failed';
    const began = clock.monotonic();
    const timeIsUp = (): boolean => clock.monotonic() - began >= LIMITS.workMs || !mayWork();
    return this.#work(job, kept, { nowMs: found.timestampMs, roundMs: found.work.roundMs, timeIsUp });
  }

  /**
   * One step in one partition, for somebody who waits for the round. Resolves to the work as it is then; undefined when
   * somebody else is at it. Rejects with what it broke off with, unless that gives the partition up.
   */
  async step(job: PartitionJob, kept: KeptWork, context: StepContext): Promise<Work | undefined> {
    let after: Work;
    try {
      after = await this.#step(job, kept.work, context);
    } catch (error) {
      const left = await this.#brokeOff(job, kept, reasonOf(error)).catch(() => undefined);
      if (left?.work.state === 'failed') return left.work;
      throw error;
    }
    return (await this.tools.book.save(job.name, kept, after))?.work;
  }

  async #work(job: PartitionJob, begun: KeptWork, context: StepContext): Promise<Worked> {
    const { book, switches, clock } = this.tools;
    let kept = begun;
    let { work } = begun;
    let savedMs = clock.monotonic();
    for (;;) {
      try {
        work = await this.#step(job, work, context);
      } catch (error) {
        return this.#leave(job, { ...kept, work }, error);
      }
      const through = work.state !== 'waiting' || context.timeIsUp();
      if (!through && clock.monotonic() - savedMs < SAVE_MS) continue;
      const suspended = !through && isSuspended(await switches.read(), job.name);
      const saved = await book.save(job.name, kept, work);
      if (saved === undefined) return 'lost';
      if (work.state !== 'waiting') return 'done';
      if (suspended) return 'suspended';
      if (through) {
        await sendWork(this.tools, [lifecycleWorkText(job.name, work)]);
        return 'more';
      }
      kept = saved;
      savedMs = clock.monotonic();
    }
  }

  async #step(job: PartitionJob, work: Work, context: StepContext): Promise<Work> {
    const { tenant, table, partition, cursor } = work;
    const type = job.typeOf(table);
    if (type === undefined) throw new TypeError('a partition that is no work of this job');
    return advanced(work, await job.stepIn(type, { tenant, table, partition }, cursor, context));
  }

  /** What was done stands; the rest is tried again after a while, or in the next round. */
  async #leave(job: PartitionJob, kept: KeptWork, error: unknown): Promise<Worked> {
    const left = await this.#brokeOff(job, kept, reasonOf(error)).catch(() => {
      // Then it is told by the message that is delivered again.
      throw error;
    });
    if (left === undefined) return 'lost';
    if (left.work.state === 'failed') return 'failed';
    const delayS = Math.min(LIMITS.workRetryS, RETRY_S * 2 ** (left.work.attempts - 1));
    await sendWork(this.tools, [lifecycleWorkText(job.name, left.work)], delayS);
    return 'broke off';
  }

  /** Writes down that a try got nowhere. Undefined when somebody else is at it. */
  async #brokeOff(job: PartitionJob, kept: KeptWork, reason: string): Promise<KeptWork | undefined> {
    const work = broken(kept.work, reason);
    const saved = await this.tools.book.save(job.name, kept, work);
    if (saved === undefined) return undefined;
    const given = work.state === 'failed';
    const what = given ? 'work in a partition is given up until the next round' : 'work in a partition broke off; it is tried again'; // prettier-ignore
    this.tools.log.warn(what, { functionName: job.name, tenant: work.tenant, reason: `${reason} ${work.table}` }); // prettier-ignore
    return saved;
  }
}
