import type { Budget } from '../storage/backoff.js';
import type { Directory } from '../storage/directory.js';
import type { Counts, Job, Step, StepContext } from './job.js';
import { readCursor } from './job-cursor.js';
import type { PartitionJob } from './partition-job.js';
import { walk, type Place } from './partition-walk.js';
import { addReports, type DisposalReport } from './report.js';

export interface OverTools {
  readonly directory: Directory;
  readonly budget: () => Budget;
}

/** Where the walk is: as the row it goes on at, a place has the partition's own cursor. */
interface Cursor extends Place {
  /** Of the tenant that is under way. */
  readonly report?: DisposalReport | undefined;
}

/** Makes an ordinary job of work in partitions: walks all there are, one after the other, by the directory. */
export function overPartitions(job: PartitionJob, { directory, budget }: OverTools): Job {
  const { name, everyMs, takes, mayWork, typeOf } = job;

  const tenantDone = async (from: Partial<Cursor>, context: StepContext): Promise<Counts> => {
    if (job.tenantDone === undefined || from.tenant === undefined) return {};
    return job.tenantDone(from.tenant, from.report ?? {}, context);
  };

  const step = async (text: string, context: StepContext): Promise<Step> => {
    const from = readCursor<Cursor>(text);
    const walked = await walk(directory, from, typeOf, budget());
    if (walked.kind === 'found') {
      const { type, ref, row = '', placeAfter } = walked;
      const { counts, next, report } = await job.stepIn(type, ref, row, context);
      const cursor: Cursor = { ...placeAfter(next), report: addReports(from.report, report) };
      return { counts, next: JSON.stringify(cursor), ...(report === undefined ? {} : { report }) };
    }
    if (walked.kind === 'passed' && walked.place.tenant === from.tenant)
      return { counts: {}, next: JSON.stringify({ ...walked.place, report: from.report }) };
    const counts = await tenantDone(from, context);
    return { counts, next: walked.kind === 'end' ? undefined : JSON.stringify(walked.place) };
  };

  return {
    name,
    everyMs,
    ...(takes === undefined ? {} : { takes }),
    ...(mayWork === undefined ? {} : { mayWork }),
    step,
  };
}
