import type { Clock, Entropy } from '../domain/clock.js';
import { isAppError } from '../domain/errors.js';
import { Budget } from '../storage/backoff.js';
import { partitionKey, SYSTEM_TENANT } from '../storage/keys.js';
import { isFault, type RecordTable, type Row, type RowOperation } from '../storage/ports.js';
import type { Log } from '../telemetry/log.js';
import type { Counts, Job, StepContext } from './job.js';
import { advance, claim, jobColumns, parseJob, released, type JobState } from './job-state.js';

export const JOBS_TABLE = 'jobs';
const PARTITION = partitionKey(SYSTEM_TENANT, 'jobs');
/** How long one run works before it leaves the rest to the next; well within what any function may take. */
const RUN_MS = 60_000;
/** A run that dies loses what it did since it last saved where it is, which is then done again. */
const SAVE_MS = 2_000;

export interface JobRunnerTools {
  readonly tables: RecordTable;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
}

/** `paused`: there is more to do; `resting`: the next round is not due; `busy`, `lost`: another host is at work. */
export interface JobReport {
  readonly outcome: 'done' | 'paused' | 'resting' | 'busy' | 'lost';
  /** Of the round so far. */
  readonly counts: Counts;
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
  constructor(
    private readonly tools: JobRunnerTools,
    private readonly jobs: readonly Job[],
  ) {}

  /** One run of a job. One point read when there is nothing to do. Throws `storage-unavailable`. */
  async run(name: string): Promise<JobReport> {
    const job = this.jobs.find((one) => one.name === name);
    if (job === undefined) throw new TypeError(`there is no job ${name}`);
    const row = await this.#read(name);
    const state = row === undefined ? undefined : parseJob(row);
    const next = claim(state, job.everyMs, this.tools.clock.now());
    if (typeof next === 'string') return { outcome: next, counts: {} };
    const etag = await this.#write(name, next, row?.etag);
    const claimed = etag === undefined ? undefined : await this.#read(name);
    if (claimed === undefined || claimed.etag !== etag) return { outcome: 'busy', counts: {} };
    const report = await this.#work(job, { state: next, etag }, claimed.timestampMs);
    this.tools.log.info(`a job is ${report.outcome}`, { functionName: name, counts: report.counts });
    return report;
  }

  async #work(job: Job, claimed: Held, nowMs: number): Promise<JobReport> {
    const { clock } = this.tools;
    const began = clock.monotonic();
    const context: StepContext = { nowMs, timeIsUp: () => clock.monotonic() - began >= RUN_MS };
    let held = claimed;
    let saved = began;
    let { state } = held;
    for (;;) {
      try {
        state = advance(state, await job.step(state.cursor, context), clock.now());
      } catch (error) {
        await this.#leave(job.name, { ...held, state: released(state, reasonOf(error)) });
        throw error;
      }
      const ends = !state.running || context.timeIsUp();
      if (!ends && clock.monotonic() - saved < SAVE_MS) continue;
      const etag = await this.#write(job.name, ends ? released(state, '') : state, held.etag);
      if (etag === undefined) return { outcome: 'lost', counts: state.counts };
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

/** What is known to hold no data: a code, or the kind of a fault. */
function reasonOf(error: unknown): string {
  if (isAppError(error)) return error.code;
  return isFault(error) ? error.kind : 'internal-error';
}
