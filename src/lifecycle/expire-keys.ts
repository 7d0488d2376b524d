import { LIMITS } from '../domain/limits.js';
import type { Budget } from '../storage/backoff.js';
import type { Directory } from '../storage/directory.js';
import { IDEMPOTENCY_TABLE } from '../storage/idempotency.js';
import { partitionKey, prefixRange } from '../storage/keys.js';
import type { RecordTable } from '../storage/ports.js';
import { addCounts, DAILY_MS, type Counts, type Job, type Step, type StepContext } from './job.js';
import { hasExpired, removeExpired, type ExpiryRange } from './expired-rows.js';
import { readCursor } from './job-cursor.js';

export interface ExpireTools {
  readonly tables: RecordTable;
  readonly directory: Directory;
  /** Tables of records: where `k:` rows are. */
  readonly recordTables: readonly string[];
  readonly budget: () => Budget;
}

interface Cursor {
  readonly tenant: string;
  /** The service's clock when the round came to this tenant: both phases ask who had expired then. */
  readonly asOfMs: number;
  /** The next of the 256 partitions of reservations; 256 when they are done. */
  readonly shard: number;
  /** The partition of records that was done last, as the directory lists it. */
  readonly after?: string;
  /** Where the partition at hand goes on. */
  readonly from?: string;
}

const SHARDS = 256;
const PAGE = 200;
const RANGE = prefixRange('k:');

/**
 * Forgets idempotency keys that have expired: of each tenant first every reservation, then the `k:` rows.
 *
 * **A reservation goes first, always.** While it stands without a `k:` row, the key says "an attempt was begun and
 * nothing was committed", and a retry takes it over: were the `k:` row to go first, a retry in between would apply its
 * vote a second time. The other way round, a retry in between finds no reservation, makes one, and its commit meets
 * the `k:` row that is still there, so that it gets the first answer (a batch replaces rows of an earlier life). Who
 * slept through it all finds his reservation gone and stops (`IdempotencyStore.assertHeld`). The order is kept by the
 * two phases and one moment for both, and against clocks that differ by an hour more for `k:` rows, which are written
 * after their reservations by hosts that may have other clocks.
 *
 * Reservations are found by the directory: a tenant that never committed anything is not in it, and leaves the few it
 * had. Rows do not sort by time, so each live one is read once a round, 1,000 a read.
 */
export class ExpireKeys implements Job {
  readonly name = 'expire-keys';
  readonly everyMs = DAILY_MS;

  constructor(private readonly tools: ExpireTools) {}

  /** Pages of a tenant's rows until its partitions or the time are at an end. */
  async step(text: string, context: StepContext): Promise<Step> {
    let counts: Counts = {};
    let cursor =
      text === '' ? await this.#tenantAfter(undefined, context) : (readCursor<Cursor>(text) as Cursor);
    while (cursor !== undefined) {
      const { tenant } = cursor;
      const done: { counts: Counts; next: Cursor | undefined } =
        cursor.shard < SHARDS ? await this.#reservations(cursor) : await this.#results(cursor, context);
      counts = addCounts(counts, done.counts);
      cursor = done.next ?? (await this.#tenantAfter(tenant, context));
      if (done.next === undefined || context.timeIsUp()) break;
    }
    return { counts, next: cursor === undefined ? undefined : JSON.stringify(cursor) };
  }

  async #tenantAfter(tenant: string | undefined, { nowMs }: StepContext): Promise<Cursor | undefined> {
    const [next] = await this.tools.budget().retry(() => this.tools.directory.tenantsAfter(tenant, 1));
    return next === undefined ? undefined : { tenant: next, asOfMs: nowMs, shard: 0 };
  }

  async #reservations(cursor: Cursor): Promise<{ counts: Counts; next: Cursor }> {
    const { tenant, asOfMs, shard } = cursor;
    const key = partitionKey(tenant, shard.toString(16).padStart(2, '0'));
    const { removed, from, seen } = await this.#remove(IDEMPOTENCY_TABLE, key, 0, cursor);
    const counts = { reservations: seen, reservationsRemoved: removed };
    const next = { tenant, asOfMs, shard };
    return { counts, next: from === undefined ? { ...next, shard: shard + 1 } : { ...next, from } };
  }

  /** A page of the directory; undefined as `next` when the tenant is done. */
  async #results(
    cursor: Cursor,
    context: StepContext,
  ): Promise<{ counts: Counts; next: Cursor | undefined }> {
    const { tenant, asOfMs, shard } = cursor;
    const budget = this.tools.budget();
    const page = await budget.retry(() => this.tools.directory.partitionsAfter(tenant, cursor.after, PAGE));
    let counts: Counts = {};
    // Of the partition after `cursor.after`; should another have come in between, nothing in that one is old.
    let { from } = cursor;
    let after = cursor.after;
    for (const ref of page) {
      const here: Cursor = { tenant, asOfMs, shard, ...(after === undefined ? {} : { after }) };
      while (this.tools.recordTables.includes(ref.table)) {
        const key = partitionKey(tenant, ref.partition);
        const done = await this.#remove(ref.table, key, LIMITS.idempotencyGraceMs, { asOfMs, from });
        counts = addCounts(counts, { results: done.seen, resultsRemoved: done.removed });
        from = done.from;
        if (from === undefined) break;
        if (context.timeIsUp()) return { counts, next: { ...here, from } };
      }
      after = ref.listedAs;
      if (context.timeIsUp()) return { counts, next: { tenant, asOfMs, shard, after } };
    }
    if (page.length < PAGE || after === undefined) return { counts, next: undefined };
    return { counts, next: { tenant, asOfMs, shard, after } };
  }

  #remove(table: string, key: string, graceMs: number, at: { asOfMs: number; from?: string | undefined }) {
    const { asOfMs, from } = at;
    const range: ExpiryRange = {
      table,
      partitionKey: key,
      from: from ?? RANGE.from,
      to: RANGE.to,
      isExpired: (row) => hasExpired(row, graceMs, asOfMs),
    };
    return removeExpired(this.tools.tables, range, this.tools.budget());
  }
}
