import type { Clock, Entropy } from '../domain/clock.js';
import { AppError } from '../domain/errors.js';
import { Budget } from '../storage/backoff.js';
import { isFault, type RecordTable, type Row, type RowOperation } from '../storage/ports.js';
import { readRange } from '../storage/range.js';
import { withRowChecksum } from '../storage/row-checksum.js';
import type { Log } from '../telemetry/log.js';
import { addCounts, type Asked, type Counts, type Job, type Step, type StepContext } from './job.js';
import { advance, claim, jobColumns, parseJob, released, type JobState } from './job-state.js';
import { isSuspended, JobSwitches, suspendedIn } from './job-switches.js';
import { viewOf, type JobView } from './job-view.js';
import { JOBS_PARTITION as PARTITION, JOBS_TABLE, reasonOf } from './jobs-table.js';
import { addReports, type DisposalReport } from './report.js';

/** Not the name of a job. */
const CLOCK = '_clock';
/** How long one run works before it leaves the rest to the next; well within what any function may take. */
const RUN_MS = 60_000;
/** A run that dies loses what it did since it last saved where it is, which is then done again. */
const SAVE_MS = 2_000;
/** How long a run works that somebody waits for. */
const ASKED_MS = 15_000;

export interface JobRunnerTools {
  readonly tables: RecordTable;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
}

/**
 * `paused`: there is more to do; `resting`: the next round is not due, or may not work now; `busy`, `lost`: another host
 * is at work; `suspended`: an operator has switched it off.
 */
export interface JobReport {
  readonly outcome: 'done' | 'paused' | 'resting' | 'busy' | 'lost' | 'suspended';
  /** Of the round so far. */
  readonly counts: Counts;
  /** Of a run of its own, where the job tells. */
  readonly report?: DisposalReport;
}

/** Every job, and whether all are switched off at once. */
export interface JobList {
  readonly suspended: boolean;
  readonly items: readonly JobView[];
}

interface Held {
  readonly state: JobState;
  readonly etag: string;
}

/**
 * Runs jobs a piece at a time: claims the job's row, works from its cursor until time is up, and saves how far it came,
 * each time under the row's ETag. A host that lost the row stops; what it did is done, and harmless to do again.
 */
export class JobRunner {
  readonly #switches: JobSwitches;

  constructor(
    private readonly tools: JobRunnerTools,
    private readonly jobs: readonly Job[],
  ) {
    this.#switches = new JobSwitches(tools.tables, () => this.#budget());
  }

  /** One run of a job by its timer. Two reads when there is nothing to do. Throws `storage-unavailable`. */
  async run(name: string): Promise<JobReport> {
    const job = this.#job(name);
    const mayWork = (): boolean => job.mayWork?.(this.tools.clock.now()) ?? true;
    if (!mayWork()) return { outcome: 'resting', counts: {} };
    const timeIsUp = this.#after(RUN_MS);
    return this.#claimAndWork(job, job.everyMs, { timeIsUp: () => timeIsUp() || !mayWork() });
  }

  /**
   * One run that somebody waits for: goes on with the round under way or begins one, whether or not it is due, and
   * leaves to the timer what takes longer than 15 s. Throws `storage-unavailable`.
   */
  async start(name: string): Promise<JobReport> {
    return this.#claimAndWork(this.#job(name), 0, { timeIsUp: this.#after(ASKED_MS), asked: {} });
  }

  /**
   * A run of its own, from the beginning and for 15 s at most: it neither takes part in a round nor is remembered. A dry
   * run writes nothing and is made of a suspended job as well. Throws `request-malformed` for what the job does not take,
   * `storage-unavailable`.
   */
  async tryOut(name: string, asked: Asked): Promise<JobReport> {
    const job = this.#job(name);
    assertTaken(job, asked);
    if (asked.dryRun !== true && isSuspended(await this.#switches.read(), name))
      return { outcome: 'suspended', counts: {} };
    const nowMs = await this.#serviceTime();
    const context = { nowMs, roundMs: nowMs, timeIsUp: this.#after(ASKED_MS), asked, alone: true };
    let report: DisposalReport | undefined;
    let counts: Counts = {};
    let cursor: string | undefined = '';
    do {
      const step: Step = await job.step(cursor, context);
      counts = addCounts(counts, step.counts);
      if (step.report !== undefined) report = addReports(report, step.report);
      cursor = step.next;
    } while (cursor !== undefined && !context.timeIsUp());
    const outcome = cursor === undefined ? 'done' : 'paused';
    return { outcome, counts, ...(report === undefined ? {} : { report }) };
  }

  /** True for a job there is. */
  knows(name: string): boolean {
    return this.jobs.some((job) => job.name === name);
  }

  /**
   * Switches a job off, or with no name every one there is or will be, until it is resumed: none begins a run, and one
   * at work anywhere stops within two seconds and the step it is at. Idempotent. Throws `storage-unavailable`.
   */
  async suspend(name?: string): Promise<void> {
    await this.#switches.suspend(name, this.tools.clock.now());
    this.tools.log.warn('jobs are suspended', { functionName: name ?? 'all' });
  }

  /** Takes `suspend` of the same back: rounds go on where they were. Idempotent. Throws `storage-unavailable`. */
  async resume(name?: string): Promise<void> {
    await this.#switches.resume(name);
    this.tools.log.info('jobs go on', { functionName: name ?? 'all' });
  }

  /** Where every job is. One range read. */
  async list(): Promise<JobList> {
    const rows = await this.#budget().retry(() =>
      readRange(this.tools.tables, JOBS_TABLE, PARTITION, { from: '!', to: '~' }),
    );
    const nowMs = this.tools.clock.now();
    const switches = suspendedIn(rows);
    const items = this.jobs.map((job) => {
      const row = rows.find(({ rowKey }) => rowKey === job.name);
      const state = row === undefined ? undefined : parseJob(row);
      return viewOf(job, state, nowMs, isSuspended(switches, job.name));
    });
    return { suspended: switches.all, items };
  }

  #job(name: string): Job {
    const job = this.jobs.find((one) => one.name === name);
    if (job === undefined) throw new TypeError(`there is no job ${name}`);
    return job;
  }

  #after(ms: number): () => boolean {
    const began = this.tools.clock.monotonic();
    return () => this.tools.clock.monotonic() - began >= ms;
  }

  async #claimAndWork(
    job: Job,
    everyMs: number,
    how: Omit<StepContext, 'nowMs' | 'roundMs'>,
  ): Promise<JobReport> {
    const [row, switches] = await Promise.all([this.#read(job.name), this.#switches.read()]);
    if (isSuspended(switches, job.name)) return { outcome: 'suspended', counts: {} };
    const state = row === undefined ? undefined : parseJob(row);
    const next = claim(state, everyMs, this.tools.clock.now());
    if (typeof next === 'string') return { outcome: next, counts: {} };
    const etag = await this.#write(job.name, next, row?.etag);
    const claimed = etag === undefined ? undefined : await this.#read(job.name);
    if (claimed === undefined || claimed.etag !== etag) return { outcome: 'busy', counts: {} };
    const context = { ...how, nowMs: claimed.timestampMs, roundMs: next.beganMs };
    const report = await this.#work(job, { state: next, etag }, context);
    this.tools.log.info(`a job is ${report.outcome}`, { functionName: job.name, counts: report.counts });
    return report;
  }

  async #work(job: Job, claimed: Held, context: StepContext): Promise<JobReport> {
    const { clock } = this.tools;
    let held = claimed;
    let saved = clock.monotonic();
    let { state } = held;
    for (;;) {
      let step: Step;
      try {
        step = await job.step(state.cursor, context);
        state = advance(state, step, clock.now());
      } catch (error) {
        await this.#leave(job.name, { ...held, state: released(state, reasonOf(error)) });
        throw error;
      }
      const through = !state.running || step.waits === true || context.timeIsUp();
      if (!through && clock.monotonic() - saved < SAVE_MS) continue;
      const suspended = !through && isSuspended(await this.#switches.read(), job.name);
      const ends = through || suspended;
      const etag = await this.#write(job.name, ends ? released(state, step.error ?? '') : state, held.etag);
      if (etag === undefined) return { outcome: 'lost', counts: state.counts };
      if (suspended) return { outcome: 'suspended', counts: state.counts };
      if (ends) return { outcome: state.running ? 'paused' : 'done', counts: state.counts };
      held = { state, etag };
      saved = clock.monotonic();
    }
  }

  /** Best effort: a claim that is not given back is over by itself. */
  async #leave(name: string, { state, etag }: Held): Promise<void> {
    await this.#write(name, state, etag).catch(() => undefined);
    this.tools.log.warn('a job broke off; its next run goes on', { functionName: name, reason: state.error, counts: state.counts }); // prettier-ignore
  }

  /** A run that writes no row of its own reads the service's clock from one that is there for that. */
  async #serviceTime(): Promise<number> {
    const operation = {
      kind: 'upsert',
      rowKey: CLOCK,
      properties: withRowChecksum(PARTITION, CLOCK, {}),
    } as const;
    await this.#budget().retry(() => this.tools.tables.commit(JOBS_TABLE, PARTITION, [operation]));
    return (await this.#read(CLOCK))?.timestampMs ?? 0;
  }

  #read(name: string): Promise<Row | undefined> {
    return this.#budget().retry(() => this.tools.tables.find(JOBS_TABLE, PARTITION, name));
  }

  /** The new ETag; undefined when another host was here, or may have been. */
  async #write(name: string, state: JobState, etag: string | undefined): Promise<string | undefined> {
    const row = { rowKey: name, properties: jobColumns(PARTITION, name, state) };
    const operation: RowOperation =
      etag === undefined ? { kind: 'insert', ...row } : { kind: 'replace', ...row, etag };
    try {
      const etags = await this.#budget().retry(() =>
        this.tools.tables.commit(JOBS_TABLE, PARTITION, [operation]),
      );
      return etags[0];
    } catch (error) {
      if (isFault(error, 'exists', 'conflict', 'missing')) return undefined;
      throw error;
    }
  }

  #budget(): Budget {
    return new Budget(this.tools.clock, this.tools.entropy);
  }
}

function assertTaken({ name, takes = [] }: Job, { dryRun, sample }: Asked): void {
  const asked = [...(dryRun === true ? ['dry_run'] : []), ...(sample === undefined ? [] : ['sample'])];
  const unknown = asked.find((option) => !(takes as readonly string[]).includes(option));
  if (unknown !== undefined) throw new AppError('request-malformed', `The job ${name} takes no ${unknown}.`);
}
