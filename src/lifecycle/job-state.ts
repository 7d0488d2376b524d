import type { Properties, Row } from '../storage/ports.js';
import { rowIntact, withRowChecksum } from '../storage/row-checksum.js';
import { addCounts, type Counts, type Step } from './job.js';

/** The row of a job in table `jobs`. Times are milliseconds of the clock of whoever wrote them. */
export interface JobState {
  /** True while a round is under way. */
  readonly running: boolean;
  /** Where it goes on; empty at the beginning of a round. */
  readonly cursor: string;
  readonly beganMs: number;
  /** When a round was last done; 0 when none was. */
  readonly endedMs: number;
  /** Of the round under way, or of the last one. */
  readonly counts: Counts;
  /** Until when the host that is at work may be left to it; 0 when none is. */
  readonly claimedUntilMs: number;
  /** Why the last run broke off; empty when it did not. */
  readonly error: string;
}

/** How long a claim holds unless it is renewed. */
const CLAIM_MS = 120_000;

/** What a host that would work on the job should do. Pure. */
export function claim(
  state: JobState | undefined,
  everyMs: number,
  nowMs: number,
): JobState | 'busy' | 'resting' {
  const claimed = { running: true, claimedUntilMs: nowMs + CLAIM_MS, error: '' };
  const round = { ...claimed, cursor: '', beganMs: nowMs, counts: {} };
  if (state === undefined) return { ...round, endedMs: 0 };
  const left = state.claimedUntilMs - nowMs;
  // Nobody claims for longer: such a claim is that of a clock that went wrong, and of a host that may be gone.
  if (left > 0 && left <= CLAIM_MS) return 'busy';
  if (state.running) return { ...state, ...claimed };
  const rested = nowMs - state.beganMs;
  if (rested >= 0 && rested < everyMs) return 'resting';
  // Two rounds are told apart by when they began.
  return { ...state, ...round, beganMs: nowMs === state.beganMs ? nowMs + 1 : nowMs };
}

/** The state after a step. Pure. */
export function advance(state: JobState, step: Step, nowMs: number): JobState {
  const counts = addCounts(state.counts, step.counts);
  if (step.next === undefined) return { ...state, running: false, cursor: '', endedMs: nowMs, counts };
  return { ...state, cursor: step.next, counts, claimedUntilMs: nowMs + CLAIM_MS };
}

/** The state as it is left to whoever comes next. Pure. */
export function released(state: JobState, error: string): JobState {
  return { ...state, claimedUntilMs: 0, error };
}

export function jobColumns(partition: string, name: string, state: JobState): Properties {
  return withRowChecksum(partition, name, {
    schema_version: '1.0',
    running: state.running,
    cursor: state.cursor,
    began_ms: state.beganMs,
    ended_ms: state.endedMs,
    counts: JSON.stringify(state.counts),
    claimed_until_ms: state.claimedUntilMs,
    error: state.error,
  });
}

/** Undefined for a row that is not what was written: the job then begins a round, which is never wrong. */
export function parseJob(row: Row): JobState | undefined {
  if (!rowIntact(row)) return undefined;
  const { properties } = row;
  return {
    running: properties['running'] === true,
    cursor: String(properties['cursor']),
    beganMs: Number(properties['began_ms']),
    endedMs: Number(properties['ended_ms']),
    counts: JSON.parse(String(properties['counts'])) as Counts,
    claimedUntilMs: Number(properties['claimed_until_ms']),
    error: String(properties['error']),
  };
}
