import type { RecordType } from '../domain/record-type.js';
import type { Budget } from '../storage/backoff.js';
import type { Directory } from '../storage/directory.js';
import type { CallContext, IntegrityFinding } from '../storage/manager-types.js';
import type { SubjectIndex } from '../storage/subject-rows.js';
import type { SubjectScan } from '../storage/subject-scan.js';
import type { Job, Step } from './job.js';
import { readCursor } from './job-cursor.js';

export interface IndexSubjectsTools {
  readonly directory: Directory;
  readonly types: readonly RecordType[];
  readonly index: SubjectIndex;
  readonly scan: Pick<SubjectScan, 'page'>;
  readonly budget: () => Budget;
  /** Audits a finding. Must not throw. */
  readonly report: (finding: IntegrityFinding, call: CallContext) => Promise<void>;
}

interface Cursor {
  readonly tenant: string;
  /** The partition that was passed last, as the directory lists it. */
  readonly after?: string | undefined;
  /** In the one that is under way, the row that was looked at last. */
  readonly row?: string | undefined;
  /** Something of the tenant could not be read: its index is not complete. */
  readonly damaged?: boolean;
}

const NAME = 'index-subjects';
const PARTITIONS = 200;

/**
 * Brings into the index of subjects what was written before there was one: every revision and every entry of a tenant is
 * read once, and a row says that it was done. Until then nobody of that tenant is erased, for nobody would know which of
 * their records are on legal hold. A tenant that is done costs one point read a round.
 */
export class IndexSubjects implements Job {
  readonly name = NAME;
  readonly everyMs = 5 * 60_000;

  constructor(private readonly tools: IndexSubjectsTools) {}

  /** A page of a partition, or the way to the next one, or to the next tenant. */
  async step(text: string): Promise<Step> {
    const { directory, index, scan } = this.tools;
    const budget = this.tools.budget();
    const cursor = readCursor<Cursor>(text);
    const tenant = cursor.tenant ?? (await this.#tenantAfter(undefined, budget));
    if (tenant === undefined) return { counts: {}, next: undefined };
    if (text === '' || (cursor.after === undefined && cursor.row === undefined && cursor.damaged !== true)) {
      if (await index.isComplete(tenant)) return this.#next(tenant, { tenants: 1 }, budget);
    }
    const page = await budget.retry(() => directory.partitionsAfter(tenant, cursor.after, PARTITIONS));
    for (const [at, ref] of page.entries()) {
      const type = this.tools.types.find(({ table, parts }) => ref.table === table || ref.table === parts?.table); // prettier-ignore
      if (type === undefined) continue;
      const before = page[at - 1]?.listedAs ?? cursor.after;
      const { named, seen, damaged, last } = await scan.page(type, ref, cursor.row);
      await index.add(tenant, named);
      for (const finding of damaged) await this.tools.report(finding, { tenant, actor: `job:${NAME}`, correlationId: NAME }); // prettier-ignore
      const counts = { lookedAt: seen, named: named.length, damaged: damaged.length };
      const sick = cursor.damaged === true || damaged.length > 0;
      const place: Cursor = last === undefined ? { tenant, after: ref.listedAs } : { tenant, after: before, row: last }; // prettier-ignore
      return { counts, next: JSON.stringify(sick ? { ...place, damaged: true } : place) };
    }
    const last = page.length < PARTITIONS ? undefined : page.at(-1);
    if (last !== undefined)
      return {
        counts: {},
        next: JSON.stringify({ ...cursor, tenant, after: last.listedAs, row: undefined }),
      };
    if (cursor.damaged === true) return this.#next(tenant, { incomplete: 1 }, budget);
    await index.markComplete(tenant);
    return this.#next(tenant, { tenants: 1 }, budget);
  }

  async #next(tenant: string, counts: Step['counts'], budget: Budget): Promise<Step> {
    const following = await this.#tenantAfter(tenant, budget);
    return { counts, next: following === undefined ? undefined : JSON.stringify({ tenant: following }) };
  }

  async #tenantAfter(after: string | undefined, budget: Budget): Promise<string | undefined> {
    return (await budget.retry(() => this.tools.directory.tenantsAfter(after, 1)))[0];
  }
}
