import { isAppError } from '../domain/errors.js';
import type { RecordType } from '../domain/record-type.js';
import type { Budget } from '../storage/backoff.js';
import type { Directory, PartitionRef } from '../storage/directory.js';
import { partitionKey } from '../storage/keys.js';
import { partsHeadKey } from '../storage/part-rows.js';
import type { RecordTable, Row } from '../storage/ports.js';
import { keyAfter, readRange } from '../storage/range.js';
import { digestKey } from '../storage/series-rows.js';
import type { Log } from '../telemetry/log.js';
import type { Job, Step, StepContext } from './job.js';
import { readCursor } from './job-cursor.js';

export interface MovePartsTools {
  readonly tables: RecordTable;
  readonly directory: Directory;
  readonly types: readonly RecordType[];
  /** Moves what there is of one record; resolves to the entries moved. */
  readonly digest: (type: RecordType, tenant: string, id: string) => Promise<number>;
  readonly budget: () => Budget;
  readonly log: Log;
}

interface Cursor {
  readonly tenant?: string;
  /** The partition of that tenant that was done last, as the directory lists it. */
  readonly after?: string;
  /** In the partition after it, the head that was done last. */
  readonly head?: string;
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

  constructor(private readonly tools: MovePartsTools) {}

  /** A page of records of a partition, or the way to the next one that has some. */
  async step(cursor: string, context: StepContext): Promise<Step> {
    const { directory } = this.tools;
    const budget = this.tools.budget();
    const { tenant = await this.#tenantAfter(undefined, budget), after, head } = readCursor<Cursor>(cursor);
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
      ({ parts }) => parts?.stream !== undefined && parts.table === ref.table,
    );
    if (type === undefined) return { counts: {}, next: done };
    const { heads, behind } = await this.#behind(ref, head, budget);
    let moved = 0;
    let damaged = 0;
    for (const row of behind) {
      const done = await this.#move(type, tenant, idOf(row));
      if (done === undefined) damaged += 1;
      moved += done ?? 0;
      if (!context.timeIsUp()) continue;
      const here: Cursor = { tenant, ...(after === undefined ? {} : { after }), head: row.rowKey };
      return { counts: { moved, damaged }, next: JSON.stringify(here) };
    }
    const last = heads.length < PAGE ? undefined : heads.at(-1)?.rowKey;
    const here: Cursor = { tenant, ...(after === undefined ? {} : { after }), ...(last === undefined ? {} : { head: last }) }; // prettier-ignore
    return { counts: { records: heads.length, moved, damaged }, next: last === undefined ? done : JSON.stringify(here) }; // prettier-ignore
  }

  /** Undefined for a record that does not hold together: it is said, and stops nobody. */
  async #move(type: RecordType, tenant: string, id: string): Promise<number | undefined> {
    try {
      return await this.tools.digest(type, tenant, id);
    } catch (error) {
      if (!isAppError(error, 'integrity-failure')) throw error;
      this.tools.log.warn('entries stay where they are: what is stored of them does not hold together', { functionName: this.name, tenant, reason: id }); // prettier-ignore
      return undefined;
    }
  }

  /** A page of heads, and those of them whose entries have not all moved. */
  async #behind(
    { tenant, table, partition }: PartitionRef,
    after: string | undefined,
    budget: Budget,
  ): Promise<{ readonly heads: readonly Row[]; readonly behind: readonly Row[] }> {
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
    const behind = heads.filter((row) => Number(row.properties['seq']) > (upTo.get(idOf(row)) ?? 0));
    return { heads, behind };
  }

  async #tenantAfter(tenant: string | undefined, budget: Budget): Promise<string | undefined> {
    return (await budget.retry(() => this.tools.directory.tenantsAfter(tenant, 1)))[0];
  }
}

const PREFIX = partsHeadKey('').length;

/** The record of a head, or of the row that says how far it has come. */
function idOf({ rowKey }: Row): string {
  return rowKey.slice(PREFIX);
}
