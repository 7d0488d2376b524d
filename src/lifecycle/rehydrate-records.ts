import type { Budget } from '../storage/backoff.js';
import type { RecordTable } from '../storage/ports.js';
import { workAfter } from '../storage/rehydration-work.js';
import type { Rehydrator } from '../storage/rehydrator.js';
import { addCounts, type Counts, type Job, type Step, type StepContext } from './job.js';
import { readCursor } from './job-cursor.js';

export interface RehydrateTools {
  readonly tables: RecordTable;
  readonly rehydrator: Pick<Rehydrator, 'tend'>;
  readonly budget: () => Budget;
}

const PAGE = 100;
const EVERY_MS = 4 * 60_000;

/**
 * Ends requests to bring records back from the archive whose copies have come, whoever asked or forgot to ask again, and
 * takes back what was there for its time. One range read for a hundred requests, and four to six calls for each.
 */
export class RehydrateRecords implements Job {
  readonly name = 'rehydrate';
  readonly everyMs = EVERY_MS;

  constructor(private readonly tools: RehydrateTools) {}

  async step(cursor: string, context: StepContext): Promise<Step> {
    const { after } = readCursor<{ after: string }>(cursor);
    const page = await workAfter(this.tools.tables, after, PAGE, this.tools.budget());
    let counts: Counts = {};
    let last = after;
    for (const { rowKey, work } of page.work) {
      const end = await this.tools.rehydrator.tend(work, context.nowMs);
      counts = addCounts(counts, { [end]: 1 });
      last = rowKey;
      if (context.timeIsUp()) break;
    }
    const done = !page.more && last === (page.work.at(-1)?.rowKey ?? after);
    return { counts, next: done || last === undefined ? undefined : JSON.stringify({ after: last }) };
  }
}
