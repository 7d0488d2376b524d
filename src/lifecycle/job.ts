import type { DisposalReport } from './report.js';

/** What a job counted, by name. */
export type Counts = Readonly<Record<string, number>>;

/** What somebody who starts a job by hand may ask of a run besides. */
export interface Asked {
  /** Says what it would do and does nothing. */
  readonly dryRun?: boolean;
  /** At most so many records of each type. */
  readonly sample?: number | undefined;
}

export interface StepContext {
  /** The service's clock when this run began, or a little earlier: ages are told by it and by nobody's own clock. */
  readonly nowMs: number;
  /** When the round began that the step is part of, by the clock of whoever began it: the same in every run of it. */
  readonly roundMs?: number;
  /** True once the run should end; a step that sees it stops at the next place it can go on from. */
  readonly timeIsUp: () => boolean;
  /** Set when the job was started by hand and not by its timer. */
  readonly asked?: Asked;
  /** Set in a run that is no part of a round and not remembered. */
  readonly alone?: boolean;
}

export interface Step {
  readonly counts: Counts;
  /** Where the next step goes on; undefined when the round is done. */
  readonly next: string | undefined;
  /** What the records were that it was about, where the job tells. */
  readonly report?: DisposalReport;
  /** Set where nothing can be done before others have done something: the run ends, and the next one looks again. */
  readonly waits?: boolean;
  /** Why some of the work is given up until the next round, which is no reason to break this one off. */
  readonly error?: string;
}

/**
 * Work over everything there is, in rounds that may take many runs. Steps are idempotent and may be done by several
 * hosts at once: that a round has one owner (`job-runner.ts`) is thrift, never safety.
 */
export interface Job {
  /** Also the key of its row in table `jobs`. */
  readonly name: string;
  /** A round begins when the last one began this long ago. */
  readonly everyMs: number;
  /** What it takes of `Asked`, as the API names it; nothing when absent. */
  readonly takes?: readonly ('dry_run' | 'sample')[];
  /** Whether its timer may work on it at a time; asked before every step. Whoever starts it by hand need not care. */
  readonly mayWork?: (nowMs: number) => boolean;
  /**
   * A bounded piece of work that always gets somewhere, from the beginning when `cursor` is empty. Throws AppError
   * `storage-unavailable`; the next run does the step again.
   */
  step(cursor: string, context: StepContext): Promise<Step>;
}

/** Less than a day by the time between two runs of a timer, so that a daily round never slips past its day. */
export const DAILY_MS = 23 * 3_600_000;

export function addCounts(a: Counts, b: Counts): Counts {
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return Object.fromEntries(names.map((name) => [name, (a[name] ?? 0) + (b[name] ?? 0)]));
}
