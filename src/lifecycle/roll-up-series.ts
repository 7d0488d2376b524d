import type { RecordType } from '../domain/record-type.js';
import type { Budget } from '../storage/backoff.js';
import type { Directory } from '../storage/directory.js';
import { partitionKey } from '../storage/keys.js';
import type { RecordTable } from '../storage/ports.js';
import { keyAfter } from '../storage/range.js';
import type { Job, Step, StepContext } from './job.js';
import { readCursor } from './job-cursor.js';

export interface RollUpTools {
  readonly tables: RecordTable;
  readonly directory: Directory;
  readonly types: readonly RecordType[];
  /** Digests what there is of one series; resolves to the entries digested. */
  readonly digest: (type: RecordType, tenant: string, id: string) => Promise<number>;
  readonly budget: () => Budget;
}

interface Cursor {
  readonly tenant?: string;
  /** The partition of that tenant that was done last, as the directory lists it. */
  readonly after?: string;
  /** In the partition after it, the index row that was done last. */
  readonly row?: string;
}

const PAGE = 100;
const EVERY_MS = 4 * 60_000;

/**
 * Brings samples and rollups of every series up to date. Whoever adds values does it soon after by itself; this is for
 * those that died before. Two point reads for each series that is.
 */
export class RollUpSeries implements Job {
  readonly name = 'roll-up-series';
  readonly everyMs = EVERY_MS;

  constructor(private readonly tools: RollUpTools) {}

  /** A page of series of a partition, or the way to the next one that has some. */
  async step(cursor: string, context: StepContext): Promise<Step> {
    const { directory, tables } = this.tools;
    const budget = this.tools.budget();
    const { tenant = await this.#tenantAfter(undefined, budget), after, row } = readCursor<Cursor>(cursor);
    if (tenant === undefined) return { counts: {}, next: undefined };
    const [ref] = await budget.retry(() => directory.partitionsAfter(tenant, after, 1));
    if (ref === undefined) {
      const following = await this.#tenantAfter(tenant, budget);
      return {
        counts: {},
        next: following === undefined ? undefined : JSON.stringify({ tenant: following }),
      };
    }
    const done = JSON.stringify({ tenant, after: ref.listedAs } satisfies Cursor);
    const type = this.tools.types.find(
      ({ table, parts }) => table === ref.table && parts?.series !== undefined,
    );
    if (type === undefined) return { counts: {}, next: done };
    const range = { from: row === undefined ? 'i:all:' : keyAfter(row), to: 'i:all;', limit: PAGE };
    const page = await budget.retry(() =>
      tables.range(ref.table, partitionKey(tenant, ref.partition), range),
    );
    let digested = 0;
    let series = 0;
    let last = row;
    for (const { rowKey } of page.rows) {
      digested += await this.tools.digest(type, tenant, rowKey.slice(rowKey.lastIndexOf(':') + 1));
      series += 1;
      last = rowKey;
      if (context.timeIsUp()) break;
    }
    const more = page.more || series < page.rows.length;
    const here: Cursor = { tenant, ...(after === undefined ? {} : { after }), ...(last === undefined ? {} : { row: last }) }; // prettier-ignore
    return { counts: { series, digested }, next: more ? JSON.stringify(here) : done };
  }

  async #tenantAfter(tenant: string | undefined, budget: Budget): Promise<string | undefined> {
    return (await budget.retry(() => this.tools.directory.tenantsAfter(tenant, 1)))[0];
  }
}
