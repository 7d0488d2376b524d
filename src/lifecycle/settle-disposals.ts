import { isAppError } from '../domain/errors.js';
import type { RecordType } from '../domain/record-type.js';
import type { Budget } from '../storage/backoff.js';
import { CLEARINGS, parseClearing } from '../storage/clearing-row.js';
import type { PartitionRef } from '../storage/directory.js';
import { partitionKey } from '../storage/keys.js';
import { isFault, type RecordTable, type Row } from '../storage/ports.js';
import { keyAfter } from '../storage/range.js';
import type { RecordClearer } from '../storage/record-clearer.js';
import type { DisposalCause } from '../storage/tombstone-row.js';
import type { Log } from '../telemetry/log.js';
import { addCounts, type Counts, type StepContext } from './job.js';
import { addTallies, tallyOf, type Tally } from './report.js';

export interface SettleTools {
  readonly tables: RecordTable;
  readonly clearer: Pick<RecordClearer, 'clear'>;
  readonly budget: () => Budget;
  readonly log: Log;
}

interface Settled {
  readonly counts: Counts;
  /** The row it came to; undefined at the end. */
  readonly last: string | undefined;
}

const PAGE = 100;
/** Records that are cleared at once. */
const AT_ONCE = 4;

/** Looks after the rows `t:` of what was disposed of: clears what is left, and counts what a round has done. */
export class SettleDisposals {
  constructor(private readonly tools: SettleTools) {}

  /**
   * What is yet to be cleared, by whichever round or host; of earlier rounds also what is to be looked at again, and the
   * rows of what is done are deleted, a hundred in a transaction; with `cause`, of what has that cause alone. One range read
   * where there is nothing.
   */
  async settle(
    type: RecordType,
    ref: PartitionRef,
    after: string | undefined,
    context: StepContext,
    cause?: DisposalCause,
  ): Promise<Settled> {
    const roundMs = context.roundMs ?? context.nowMs;
    const { rows, more } = await this.#page(ref, after);
    let counts: Counts = {};
    const done: Row[] = [];
    let last = after;
    for (let at = 0; at < rows.length && (at === 0 || !context.timeIsUp()); at += AT_ONCE) {
      const some = rows.slice(at, at + AT_ONCE);
      const settling = some.map(async (row): Promise<Counts> => {
        const clearing = parseClearing(row);
        if (clearing === undefined) return { damaged: 1 };
        if (cause !== undefined && clearing.cause !== cause) return {};
        const { id, state } = clearing;
        const earlier = clearing.roundMs !== roundMs;
        if (state === 'done' && earlier) done.push(row);
        const due = state === 'due' || (state === 'again' && earlier);
        return due ? this.clear(type, ref.tenant, id, state === 'again', context) : {};
      });
      for (const one of await settled(settling)) counts = addCounts(counts, one);
      last = some.at(-1)?.rowKey;
    }
    await this.#forget(ref, done);
    const through = !more && last === (rows.at(-1)?.rowKey ?? after);
    return { counts, last: through ? undefined : last };
  }

  /** Clears one record. What does not hold together stays, is counted and said, and is in no other's way. */
  async clear(
    type: RecordType,
    tenant: string,
    id: string,
    last: boolean,
    { timeIsUp }: StepContext,
  ): Promise<Counts> {
    try {
      const through = await this.tools.clearer.clear(type, tenant, id, { last }, timeIsUp);
      return through && !last ? { cleared: 1 } : {};
    } catch (error) {
      if (!isAppError(error, 'integrity-failure', 'record-not-found') && !isFault(error, 'archived')) throw error; // prettier-ignore
      this.tools.log.warn('what is left of a record that was disposed of cannot be cleared', { tenant, functionName: 'dispose', reason: id }); // prettier-ignore
      return { damaged: 1 };
    }
  }

  /** What a round has disposed of in a partition, whoever did it. One range read for 100. */
  async count(
    ref: PartitionRef,
    after: string | undefined,
    context: StepContext,
  ): Promise<Settled & { readonly tallies: Readonly<Record<string, Tally>> }> {
    const roundMs = context.roundMs ?? context.nowMs;
    const { rows, more } = await this.#page(ref, after);
    let records: Tally = { count: 0 };
    let revisions: Tally = { count: 0 };
    for (const row of rows) {
      const clearing = parseClearing(row);
      if (clearing?.roundMs !== roundMs || clearing.cause !== 'retention') continue;
      const times = [clearing.sinceMs, clearing.untilMs].filter((ms) => ms !== undefined);
      if (clearing.revisions === undefined) records = addTallies(records, { ...tallyOf(times), count: 1 });
      else revisions = addTallies(revisions, { ...tallyOf(times), count: clearing.revisions });
    }
    const tallies = {
      ...(records.count === 0 ? {} : { disposed: records }),
      ...(revisions.count === 0 ? {} : { revisions_disposed: revisions }),
    };
    const counts = Object.fromEntries(Object.entries(tallies).map(([name, { count }]) => [name, count]));
    return { counts, tallies, last: more ? rows.at(-1)?.rowKey : undefined };
  }

  #page({ tenant, table, partition }: PartitionRef, after: string | undefined) {
    const from = after === undefined ? CLEARINGS.from : keyAfter(after);
    const query = { from, to: CLEARINGS.to, limit: PAGE };
    const key = partitionKey(tenant, partition);
    return this.tools.budget().retry(() => this.tools.tables.range(table, key, query));
  }

  async #forget({ tenant, table, partition }: PartitionRef, rows: readonly Row[]): Promise<void> {
    if (rows.length === 0) return;
    const key = partitionKey(tenant, partition);
    const operations = rows.map(({ rowKey, etag }) => ({ kind: 'delete', rowKey, etag }) as const);
    try {
      await this.tools.budget().retry(() => this.tools.tables.commit(table, key, operations));
    } catch (error) {
      // Another host was faster; what it left is there in the next round.
      if (!isFault(error, 'missing', 'conflict')) throw error;
    }
  }
}

/** All results; the first failure once none is under way any more. */
async function settled<T>(work: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
