import type { RecordType } from '../domain/record-type.js';
import type { Budget } from '../storage/backoff.js';
import type { PartitionRef } from '../storage/directory.js';
import { partitionKey } from '../storage/keys.js';
import { partsHeadKey } from '../storage/part-rows.js';
import type { Row } from '../storage/ports.js';
import { keyAfter, readRange } from '../storage/range.js';
import { digestKey } from '../storage/series-rows.js';
import { digestRecord, type DigestJobTools } from './digest-record.js';
import type { Job, Step, StepContext } from './job.js';
import { readCursor } from './job-cursor.js';
import { walk, type Place } from './partition-walk.js';

/** A head, and how many of its record's entries have not moved. */
interface Behind {
  readonly head: Row;
  readonly left: number;
}

const PAGE = 500;
const EVERY_MS = 15 * 60_000;

/**
 * Moves entries into append blobs that the processes which added them have not moved. It looks at rows that say how many
 * entries there are and how far they have come, two range reads for each 500 records, and at nothing else of the rest.
 */
export class MoveParts implements Job {
  readonly name = 'move-parts';
  readonly everyMs = EVERY_MS;

  constructor(private readonly tools: DigestJobTools) {}

  /** A page of records of a partition, or the way to the next one that has some. */
  async step(cursor: string, context: StepContext): Promise<Step> {
    const { directory, types } = this.tools;
    const budget = this.tools.budget();
    const typeOf = (table: string): RecordType | undefined =>
      types.find(({ parts }) => parts?.stream !== undefined && parts.table === table);
    const walked = await walk(directory, readCursor<Place>(cursor), typeOf, budget);
    if (walked.kind === 'end') return { counts: {}, next: undefined };
    if (walked.kind === 'passed') return { counts: {}, next: JSON.stringify(walked.place) };
    const { type, ref, row, placeAfter } = walked;
    const { heads, behind } = await this.#behind(ref, row, budget);
    let moved = 0;
    let damaged = 0;
    let last = row;
    for (const { head, left } of behind) {
      const one = { job: this.name, type, tenant: ref.tenant, id: idOf(head), left };
      const { entries, end } = await digestRecord(this.tools, one, context.timeIsUp);
      moved += entries;
      if (end === 'damaged') damaged += 1;
      // The next step goes on with what is left of this one; if it is the first, where this step began.
      if (end === 'behind') return { counts: { moved, damaged }, next: last === undefined ? cursor : JSON.stringify(placeAfter(last)) }; // prettier-ignore
      last = head.rowKey;
      if (context.timeIsUp()) return { counts: { moved, damaged }, next: JSON.stringify(placeAfter(last)) };
    }
    const next = placeAfter(heads.length < PAGE ? undefined : heads.at(-1)?.rowKey);
    return { counts: { records: heads.length, moved, damaged }, next: JSON.stringify(next) };
  }

  /** A page of heads, and those of them whose entries have not all moved. */
  async #behind(
    { tenant, table, partition }: PartitionRef,
    after: string | undefined,
    budget: Budget,
  ): Promise<{ readonly heads: readonly Row[]; readonly behind: readonly Behind[] }> {
    const key = partitionKey(tenant, partition);
    const { tables } = this.tools;
    const range = { from: after === undefined ? 'h:' : keyAfter(after), to: 'h;' };
    const heads = await budget.retry(() => readRange(tables, table, key, range, PAGE));
    const [first] = heads;
    const last = heads.at(-1);
    if (first === undefined || last === undefined) return { heads, behind: [] };
    const come = { from: digestKey(idOf(first)), to: keyAfter(digestKey(idOf(last))) };
    const rows = await budget.retry(() => readRange(tables, table, key, come));
    const upTo = new Map(rows.map((row) => [idOf(row), Number(row.properties['up_to'])]));
    const all = heads.map((head) => ({ head, left: Number(head.properties['seq']) - (upTo.get(idOf(head)) ?? 0) })); // prettier-ignore
    return { heads, behind: all.filter(({ left }) => left > 0) };
  }
}

const PREFIX = partsHeadKey('').length;

/** The record of a head, or of the row that says how far it has come. */
function idOf({ rowKey }: Row): string {
  return rowKey.slice(PREFIX);
}
