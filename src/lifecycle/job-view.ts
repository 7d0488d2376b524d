import { formatTime } from '../domain/clock.js';
import type { Counts, Job } from './job.js';
import type { JobState } from './job-state.js';

/** What an operator is told of a job (lifecycle.md, Jobs). */
export interface JobView {
  readonly name: string;
  /** `paused`: a round is under way and nobody is at work on it now; `never`: no round was begun. */
  readonly state: 'never' | 'running' | 'paused' | 'resting';
  /** Whether an operator has switched it off, alone or with all. */
  readonly suspended: boolean;
  /** When the round under way, or the last one, began; RFC 3339. */
  readonly began_at: string | null;
  /** When a round was last done. */
  readonly ended_at: string | null;
  /** Of the round under way, or of the last one. */
  readonly counts: Counts;
  /** Why the last run broke off; null when it did not. */
  readonly error: string | null;
  readonly takes: readonly string[];
}

/** Pure. */
export function viewOf(
  { name, takes = [] }: Job,
  state: JobState | undefined,
  nowMs: number,
  suspended: boolean,
): JobView {
  if (state === undefined)
    return {
      name,
      state: 'never',
      suspended,
      began_at: null,
      ended_at: null,
      counts: {},
      error: null,
      takes,
    };
  const atWork = state.claimedUntilMs > nowMs;
  return {
    name,
    state: state.running ? (atWork ? 'running' : 'paused') : 'resting',
    suspended,
    began_at: formatTime(state.beganMs),
    ended_at: state.endedMs === 0 ? null : formatTime(state.endedMs),
    counts: countsOf(state.counts),
    error: state.error === '' ? null : state.error,
    takes,
  };
}

/** Counts under the names the API gives them. */
export function countsOf(counts: Counts): Counts {
  return Object.fromEntries(
    Object.entries(counts).map(([name, count]) => [
      name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      count,
    ]),
  );
}
