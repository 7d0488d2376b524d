import type { RecordType } from '../domain/record-type.js';
import { partitionKey } from '../storage/keys.js';
import { keyAfter } from '../storage/range.js';
import { digestRecord, type DigestJobTools } from './digest-record.js';
import type { Job, Step, StepContext } from './job.js';
import { readCursor } from './job-cursor.js';
import { walk, type Place } from './partition-walk.js';

const PAGE = 100;
const EVERY_MS = 4 * 60_000;

/**
 * Brings samples and rollups of every series up to date. Whoever adds values does it soon after by itself; this is for
 * those that died before. Two point reads for each series that is.
 */
export class RollUpSeries implements Job {
  readonly name = 'roll-up-series';
  readonly everyMs = EVERY_MS;

  constructor(private readonly tools: DigestJobTools) {}

  /** A page of series of a partition, or the way to the next one that has some. */
  async step(cursor: string, context: StepContext): Promise<Step> {
    const { directory, tables, types } = this.tools;
    const budget = this.tools.budget();
    const typeOf = (table: string): RecordType | undefined =>
      types.find((type) => type.table === table && type.parts?.series !== undefined);
    const walked = await walk(directory, readCursor<Place>(cursor), typeOf, budget);
    if (walked.kind === 'end') return { counts: {}, next: undefined };
    if (walked.kind === 'passed') return { counts: {}, next: JSON.stringify(walked.place) };
    const { type, ref, row, placeAfter } = walked;
    const { tenant } = ref;
    const range = { from: row === undefined ? 'i:all:' : keyAfter(row), to: 'i:all;', limit: PAGE };
    const page = await budget.retry(() =>
      tables.range(ref.table, partitionKey(tenant, ref.partition), range),
    );
    let digested = 0;
    let series = 0;
    let damaged = 0;
    let last = row;
    for (const { rowKey } of page.rows) {
      const one = { job: this.name, type, tenant, id: rowKey.slice(rowKey.lastIndexOf(':') + 1) };
      const { entries, end } = await digestRecord(this.tools, one, context.timeIsUp);
      digested += entries;
      // The next step goes on with what is left of this one.
      if (end === 'behind') break;
      series += 1;
      if (end === 'damaged') damaged += 1;
      last = rowKey;
      if (context.timeIsUp()) break;
    }
    const counts = { series, digested, damaged };
    if (!page.more && series === page.rows.length) return { counts, next: JSON.stringify(placeAfter(undefined)) }; // prettier-ignore
    // Without a series that is done, where this step began.
    return { counts, next: last === undefined ? cursor : JSON.stringify(placeAfter(last)) };
  }
}
