import type { Budget } from '../storage/backoff.js';
import type { Directory } from '../storage/directory.js';
import type { Job } from './job.js';
import { readCursor } from './job-cursor.js';
import type { PartitionJob } from './partition-job.js';
import { walk, type Place } from './partition-walk.js';

export interface WalkTools {
  readonly directory: Directory;
  readonly budget: () => Budget;
}

/** A job that does a partition job's work in one partition after the other, as the directory has them. */
export function overPartitions(job: PartitionJob, { directory, budget }: WalkTools): Job {
  return {
    name: job.name,
    everyMs: job.everyMs,
    ...(job.takes === undefined ? {} : { takes: job.takes }),
    step: async (cursor, context) => {
      const walked = await walk(directory, readCursor<Place>(cursor), job.typeOf, budget());
      if (walked.kind === 'end') return { counts: {}, next: undefined };
      if (walked.kind === 'passed') return { counts: {}, next: JSON.stringify(walked.place) };
      const { type, ref, row, placeAfter } = walked;
      const { counts, next } = await job.stepIn(type, ref, row ?? '', context);
      return { counts, next: JSON.stringify(placeAfter(next)) };
    },
  };
}
