import pLimit from 'p-limit';
import type { Budget } from '../storage/backoff.js';
import type { Directory, PartitionRef } from '../storage/directory.js';
import { partitionKey, prefixRange } from '../storage/keys.js';
import type { RecordTable } from '../storage/ports.js';
import { DAILY_MS, type Job, type Step } from './job.js';
import { readCursor } from './job-cursor.js';

export interface CheckTools {
  readonly tables: RecordTable;
  readonly directory: Directory;
  readonly budget: () => Budget;
}

const PAGE = 200;
const AT_ONCE = 8;

interface Cursor {
  readonly tenant?: string;
  /** The partition of that tenant that was checked last, as the directory lists it. */
  readonly after?: string;
}

/**
 * Looks once a day into every partition there is for pending events, whatever the dirty rows say (architecture.md,
 * "Finding work without scanning"). What it finds it announces; sealing is the sweep's. One range read per partition.
 */
export class CheckPartitions implements Job {
  readonly name = 'check-partitions';
  readonly everyMs = DAILY_MS;

  constructor(private readonly tools: CheckTools) {}

  /** A page of a tenant's partitions. */
  async step(cursor: string): Promise<Step> {
    const { directory } = this.tools;
    const budget = this.tools.budget();
    const { tenant = await this.#tenantAfter(undefined, budget), after } = readCursor<Cursor>(cursor);
    if (tenant === undefined) return { counts: {}, next: undefined };
    const page = await budget.retry(() => directory.partitionsAfter(tenant, after, PAGE));
    const limit = pLimit(AT_ONCE);
    const found = await Promise.all(page.map((ref) => limit(() => this.#check(ref))));
    const counts = { partitions: page.length, pending: found.filter(Boolean).length };
    const last = page.length < PAGE ? undefined : page.at(-1);
    if (last !== undefined) return { counts, next: JSON.stringify({ tenant, after: last.listedAs }) };
    const following = await this.#tenantAfter(tenant, budget);
    return { counts, next: following === undefined ? undefined : JSON.stringify({ tenant: following }) };
  }

  async #tenantAfter(tenant: string | undefined, budget: Budget): Promise<string | undefined> {
    return (await budget.retry(() => this.tools.directory.tenantsAfter(tenant, 1)))[0];
  }

  /** True when something is pending. Announcing what is dirty anyway is harmless: it only stays dirty for longer. */
  async #check(ref: PartitionRef): Promise<boolean> {
    const { tables, directory } = this.tools;
    const budget = this.tools.budget();
    const key = partitionKey(ref.tenant, ref.partition);
    const page = await budget.retry(() => tables.range(ref.table, key, { ...prefixRange('o:'), limit: 1 }));
    if (page.rows.length === 0 && !page.more) return false;
    await budget.retry(() => directory.markDirty(ref));
    return true;
  }
}
