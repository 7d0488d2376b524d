import { LIMITS } from '../domain/limits.js';
import { addCounts, type Counts } from './job.js';
import { addReports, type DisposalReport } from './report.js';
import { countsOfWork, isTakenUp, type KeptWork } from './work-row.js';

/** A look at all the work of a round, row by row, in any number of steps. Part of a job's cursor. */
export interface Pass {
  /** The row that was looked at last. */
  readonly after?: string;
  /** What all rows so far say together. */
  readonly counts: Counts;
  /** Whose rows are under way, and what those so far say. */
  readonly tenant?: string;
  readonly report: DisposalReport;
  readonly waiting: number;
  readonly failed: number;
  /** True once something of a tenant was met that waits. */
  readonly blocked: boolean;
  /** The last row that somebody has taken up, and when any of them was written last, by the service's clock. */
  readonly taken: string;
  readonly writtenMs: number;
  /** Why work was given up; empty where none was. */
  readonly error: string;
}

/** What a whole pass has seen of those who work. */
export type Seen = Pick<Pass, 'taken' | 'writtenMs'>;

export const FIRST_PASS: Pass = {
  counts: {},
  report: {},
  waiting: 0,
  failed: 0,
  blocked: false,
  taken: '',
  writtenMs: 0,
  error: '',
};

/** After a row more, of the tenant that is under way or of the next one. Pure. */
export function withRow(pass: Pass, { rowKey, work, timestampMs }: KeptWork): Pass {
  return {
    ...pass,
    after: rowKey,
    counts: addCounts(pass.counts, countsOfWork(work)),
    tenant: work.tenant,
    report: addReports(pass.report, work.report),
    waiting: pass.waiting + (work.state === 'waiting' ? 1 : 0),
    failed: pass.failed + (work.state === 'failed' ? 1 : 0),
    taken: isTakenUp(work) ? rowKey : pass.taken,
    writtenMs: Math.max(pass.writtenMs, timestampMs),
    error: work.state === 'failed' ? work.error : pass.error,
  };
}

/** After the last row of a tenant. Pure. */
export function withoutTenant({ tenant: _, ...pass }: Pass): Pass {
  const blocked = pass.blocked || pass.waiting > 0;
  return { ...pass, report: {}, waiting: 0, failed: 0, blocked };
}

/**
 * Whether a message should be sent for work that waits: none was; or it was long ago and seems to be lost. A message that
 * only has many others before it is not: those behind it were not taken up either, and somebody is at work. Pure.
 */
export function isOverdue(
  { work, rowKey, timestampMs }: KeptWork,
  seen: Seen | undefined,
  nowMs: number,
): boolean {
  if (!work.sent) return true;
  if (seen === undefined || nowMs - timestampMs < LIMITS.workStaleMs) return false;
  return rowKey < seen.taken || nowMs - seen.writtenMs >= LIMITS.workStaleMs;
}

/** What has to be added to what was told for it to be what is. Pure. */
export function difference(told: Counts, is: Counts): Counts {
  const names = [...new Set([...Object.keys(told), ...Object.keys(is)])];
  const steps = names.map((name) => [name, (is[name] ?? 0) - (told[name] ?? 0)] as const);
  return Object.fromEntries(steps.filter(([name, step]) => step !== 0 || !(name in told)));
}
