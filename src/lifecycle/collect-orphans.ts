import { isAppError } from '../domain/errors.js';
import type { RecordType } from '../domain/record-type.js';
import type { Budget } from '../storage/backoff.js';
import { BLOB_CONTAINERS, packKey, partitionKey, revisionKey } from '../storage/keys.js';
import { OperationStore } from '../storage/operations.js';
import { isFault, type StoragePorts } from '../storage/ports.js';
import type { Log } from '../telemetry/log.js';
import type { InboxBlob, LooseBlob, StreamPackBlob } from './blob-names.js';
import { fence } from './fence.js';
import { findRevisions } from './find-revisions.js';
import { addCounts, DAILY_MS, type Counts, type Job, type Step, type StepContext } from './job.js';
import { readCursor } from './job-cursor.js';
import { judgePack } from './orphan-packs.js';
import { judgeYear } from './orphan-years.js';
import { groupsOf, verdictOn, type Group, type Verdict } from './orphan-plan.js';

export interface CollectTools {
  readonly ports: StoragePorts;
  readonly types: readonly RecordType[];
  readonly budget: () => Budget;
  readonly log: Log;
}

interface Cursor {
  /** Continues the listing where this page begins. */
  readonly page?: string;
  /** The name of the page that was dealt with last. */
  readonly after?: string;
}

const { records } = BLOB_CONTAINERS;
/** What is counted of blobs by what became of them. */
const COUNTED = { named: 'named', unclear: 'unclear', orphan: 'collected' } as const;

/**
 * Deletes the blobs of container `records` that an attempt left which died before its commit (architecture.md, "Orphan
 * blobs"). A blob that a revision row names is seen to be so by range reads over its neighbours, and nobody is
 * disturbed. Of any other, in this order: fence, look for the revision row, delete. What the fence stops is a commit;
 * its writer writes another blob. Running it twice, or several at once, deletes nothing that one would not.
 */
export class CollectOrphans implements Job {
  readonly name = 'collect-orphans';
  readonly everyMs = DAILY_MS;
  readonly #operations: OperationStore;

  constructor(private readonly tools: CollectTools) {
    this.#operations = new OperationStore(tools.ports.tables);
  }

  /** A page of the listing, or as much of it as there is time for. */
  async step(cursor: string, context: StepContext): Promise<Step> {
    const { page, after } = readCursor<Cursor>(cursor);
    const { blobs } = this.tools.ports;
    const listed = await this.tools.budget().retry(() => blobs.list(records, '', page));
    const names = listed.names.filter((name) => after === undefined || name > after);
    let counts: Counts = {};
    for (const group of groupsOf(this.tools.types, names, context.nowMs)) {
      const done = await this.#collect(group, context);
      counts = addCounts(counts, done.counts);
      if (!context.timeIsUp()) continue;
      const listedSoFar = names.filter((name) => name <= done.last).length;
      const next: Cursor = { ...(page === undefined ? {} : { page }), after: done.last };
      return { counts: addCounts({ listed: listedSoFar }, counts), next: JSON.stringify(next) };
    }
    return {
      counts: addCounts({ listed: names.length }, counts),
      next: listed.next === undefined ? undefined : JSON.stringify({ page: listed.next }),
    };
  }

  async #collect(group: Group, context: StepContext): Promise<{ counts: Counts; last: string }> {
    if (group.kind === 'loose') return this.#collectLoose(group.blobs, context);
    const [{ name }] = group.blobs;
    const verdict = await this.#orUnclear(name, () => this.#judge(group));
    return { counts: { [COUNTED[verdict]]: 1 }, last: name };
  }

  #judge(group: Exclude<Group, { readonly kind: 'loose' }>): Promise<Verdict> {
    if (group.kind === 'pack') return judgePack(this.tools.ports, group.blobs[0], this.tools.budget());
    if (group.kind === 'year') return judgeYear(this.tools.ports.tables, group.blobs[0], this.tools.budget());
    if (group.kind === 'stream-pack') return this.#judgeStreamPack(group.blobs[0]);
    return this.#judgeInbox(group.blobs[0]);
  }

  async #collectLoose(
    blobs: readonly [LooseBlob, ...LooseBlob[]],
    context: StepContext,
  ): Promise<{ counts: Counts; last: string }> {
    const rows = await findRevisions(this.tools.ports.tables, blobs[0].ref, blobs, this.tools.budget());
    let counts: Counts = {};
    let last = blobs[0].name;
    for (const blob of blobs) {
      const row = rows.get(revisionKey(blob.id, blob.revision));
      let verdict: Verdict = verdictOn(blob.name, blob.revision, undefined, row);
      const asked = verdict === 'orphan';
      if (verdict === 'unclear') this.#warn(blob.name);
      if (asked) verdict = await this.#orUnclear(blob.name, () => this.#judgeLoose(blob));
      counts = addCounts(counts, { [COUNTED[verdict]]: 1 });
      last = blob.name;
      if (asked && context.timeIsUp()) break;
    }
    return { counts, last };
  }

  /** Fence, then look. */
  async #judgeLoose({ ref, id, revision, name }: LooseBlob): Promise<Verdict> {
    const budget = this.tools.budget();
    const { tables } = this.tools.ports;
    const fenced = await fence(tables, ref, id, budget);
    if (fenced.kind === 'damaged') return 'unclear';
    const rows = await findRevisions(tables, ref, [{ id, revision }], budget);
    return verdictOn(name, revision, fenced.record, rows.get(revisionKey(id, revision)));
  }

  /**
   * A pack of entries needs no fence either: its row comes before it, and goes only when everybody who could have named it was
   * fenced. While it has one it is for the job that packs them.
   */
  async #judgeStreamPack({ ref, uuid }: StreamPackBlob): Promise<Verdict> {
    const key = partitionKey(ref.tenant, ref.partition);
    const row = await this.tools.budget().retry(() => this.tools.ports.tables.find(ref.table, key, packKey(uuid))); // prettier-ignore
    return row === undefined ? 'orphan' : 'named';
  }

  /**
   * Inbox data needs no fence: the operation's row comes before its blob and never goes, so one that is not there will
   * not come, and one that has ended is not read again. That of a failed operation stays: its message is on the poison
   * queue, where it waits for an operator, and names the blob.
   */
  async #judgeInbox({ tenant, operationId }: InboxBlob): Promise<Verdict> {
    const operation = await this.#operations.find(tenant, operationId, this.tools.budget());
    return operation === undefined || operation.status === 'succeeded' ? 'orphan' : 'named';
  }

  /** Deletes what is judged to be an orphan. What cannot be judged stays, is counted and said, and stops nobody. */
  async #orUnclear(name: string, judge: () => Promise<Verdict>): Promise<Verdict> {
    try {
      const verdict = await judge();
      if (verdict === 'unclear') this.#warn(name);
      if (verdict === 'orphan')
        await this.tools.budget().retry(() => this.tools.ports.blobs.delete(records, name));
      return verdict;
    } catch (error) {
      // Only what rows name is ever archived.
      if (isFault(error, 'archived')) return 'named';
      if (!isAppError(error, 'integrity-failure') && !isFault(error, 'refused', 'range')) throw error;
      this.#warn(name);
      return 'unclear';
    }
  }

  #warn(name: string): void {
    this.tools.log.warn('a blob is kept: the rows that should say whose it is do not', { functionName: this.name, reason: name }); // prettier-ignore
  }
}
