import type { BlindIndex } from '../domain/blind-index.js';
import { isAppError } from '../domain/errors.js';
import { holdsOn } from '../domain/held.js';
import type { RecordType } from '../domain/record-type.js';
import type { Budget } from '../storage/backoff.js';
import { holdFactsOf, subjectHash } from '../storage/hold-content.js';
import { partitionKey, recordKey } from '../storage/keys.js';
import type { CallContext } from '../storage/manager-types.js';
import { isFault, type RecordTable, type Row } from '../storage/ports.js';
import type { RecordDisposer } from '../storage/record-disposer.js';
import { keyAfter } from '../storage/range.js';
import { RecordLocator } from '../storage/record-locator.js';
import type { RecordSubjects } from '../storage/record-subjects.js';
import type { IndexedSubject, SubjectIndex } from '../storage/subject-rows.js';
import { isTombstone, parseTombstone } from '../storage/tombstone-row.js';
import { isVoid } from '../storage/void-row.js';
import { assertNone, type HoldBook } from './hold-book.js';

export interface WholeRecordsTools {
  readonly tables: RecordTable;
  readonly index: SubjectIndex;
  readonly blindIndex: BlindIndex;
  readonly holds: Pick<HoldBook, 'activeOf'>;
  readonly disposer: Pick<RecordDisposer, 'dispose'>;
  readonly subjects: Pick<RecordSubjects, 'of'>;
  readonly types: readonly RecordType[];
  readonly budget: () => Budget;
}

/** What went in one call. */
export interface WentWhole {
  readonly deleted: Readonly<Record<string, number>>;
  /** The record that was looked at last; where the call began when there was none. */
  readonly upTo: string;
  /** There may be more behind it. */
  readonly more: boolean;
}

/** Records that are looked at in one call, and of these at once. */
const STEP_RECORDS = 40;
const AT_ONCE = 4;

/**
 * Disposes of what is about a subject alone, of types that say so (`erasedWhole`): a tombstone stays. What names anybody
 * else, in any revision or entry, stays, and so does what cannot be read: the key that goes is enough for it.
 */
export class WholeRecords {
  readonly #locator: RecordLocator;

  constructor(private readonly tools: WholeRecordsTools) {
    this.#locator = new RecordLocator(tools.tables);
  }

  /**
   * Forty of them, those behind `after` in the order of the index; fewer when time is up, and some at least. Counts those that
   * are gone by collection, those of an earlier attempt too. Each costs to be read whole, and to be disposed of. Before the
   * key of the subject is destroyed. Throws `record-on-hold`, asked right before each; `storage-unavailable`.
   */
  async dispose(
    call: CallContext,
    subject: string,
    after: string,
    timeIsUp: () => boolean,
  ): Promise<WentWhole> {
    const deleted: Record<string, number> = {};
    let upTo = after;
    let looked = 0;
    for await (const [type, page] of this.#pages(call.tenant, subject, after))
      for (let at = 0; at < page.length; at += AT_ONCE) {
        const some = page.slice(at, at + AT_ONCE);
        const went = await settled(some.map(({ recordId }) => this.#disposed(type, recordId, subject, call)));
        const count = went.filter(Boolean).length;
        if (count > 0) deleted[type.collection] = (deleted[type.collection] ?? 0) + count;
        looked += some.length;
        upTo = some.at(-1)?.recordId ?? upTo;
        if (looked >= STEP_RECORDS || timeIsUp()) return { deleted, upTo, more: true };
      }
    return { deleted, upTo, more: false };
  }

  /** Of each type that may go whole the records that are indexed, behind an id, ascending. */
  async *#pages(
    tenant: string,
    subject: string,
    after: string,
  ): AsyncGenerator<readonly [RecordType, readonly IndexedSubject[]]> {
    const types = this.tools.types.filter(({ erasedWhole }) => erasedWhole === true);
    for (const type of types.sort((a, b) => (a.idPrefix < b.idPrefix ? -1 : 1))) {
      const [first, last] = [`${type.idPrefix}_`, `${type.idPrefix}_~`];
      if (after > last) continue;
      const between = [after < first ? first : keyAfter(after), last] as const;
      for await (const page of this.tools.index.pagesOf(tenant, subject, { between, limit: STEP_RECORDS }))
        yield [type, page.filter(({ recordType }) => recordType === type.recordType)];
    }
  }

  async #disposed(type: RecordType, id: string, subject: string, call: CallContext): Promise<boolean> {
    const { tenant } = call;
    const row = await this.#row(type, tenant, id);
    if (row === undefined || isVoid(row)) return false;
    if (isTombstone(row)) return parseTombstone(row).cause === 'erasure';
    if (!(await this.#isWhole(type, tenant, id, subject))) return false;
    const mayGo = async (now: Row): Promise<boolean> => {
      const active = await this.tools.holds.activeOf(tenant, { fresh: true });
      assertNone('subject', holdsOn(active, holdFactsOf(type, now, [subject])));
      return true;
    };
    const order = { cause: 'erasure', details: { erasure: call.correlationId }, mayGo } as const;
    return (await this.tools.disposer.dispose(type, id, order, call)) === 'disposed';
  }

  async #isWhole(type: RecordType, tenant: string, id: string, subject: string): Promise<boolean> {
    try {
      const names = await this.tools.subjects.of(type, tenant, id);
      const hashes = await Promise.all(names.map((name) => subjectHash(this.tools.blindIndex, tenant, name)));
      return hashes.length > 0 && hashes.every((hash) => hash === subject);
    } catch (error) {
      if (isFault(error, 'archived') || (isAppError(error) && error.code !== 'storage-unavailable')) return false; // prettier-ignore
      throw error;
    }
  }

  async #row(type: RecordType, tenant: string, id: string): Promise<Row | undefined> {
    const { partition } = await this.#locator.locate(type, tenant, id, this.tools.budget());
    const key = partitionKey(tenant, partition);
    return this.tools.budget().retry(() => this.tools.tables.find(type.table, key, recordKey(id)));
  }
}

/** All results; the first failure once none is under way any more. */
async function settled<T>(work: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
