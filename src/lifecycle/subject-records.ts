import { sha256Hex } from '../domain/canonical-json.js';
import { holdsOn, holdsOnSubject, type ActiveHold, type HoldFacts } from '../domain/held.js';
import { parseId } from '../domain/ids.js';
import { AppError, isAppError } from '../domain/errors.js';
import type { RecordType } from '../domain/record-type.js';
import type { Budget } from '../storage/backoff.js';
import { holdFactsOf } from '../storage/hold-content.js';
import { partitionKey, recordKey } from '../storage/keys.js';
import type { RecordTable, Row } from '../storage/ports.js';
import { RecordLocator } from '../storage/record-locator.js';
import type { IndexedSubject, SubjectIndex } from '../storage/subject-rows.js';
import { isVoid } from '../storage/void-row.js';
import { assertNone, type HoldBook } from './hold-book.js';

/** What there is of a subject. */
export interface FoundRecords {
  /** How many, by collection. */
  readonly records: Readonly<Record<string, number>>;
  /** Of these, those something of which was sealed before there were data keys. */
  readonly older: number;
}

export interface SubjectRecordsTools {
  readonly tables: RecordTable;
  readonly index: SubjectIndex;
  readonly holds: Pick<HoldBook, 'activeOf'>;
  readonly types: readonly RecordType[];
  readonly budget: () => Budget;
}

/** How often holds may change while records are held against them. */
const LOOKS = 5;
/** Records whose rows are read at once where a hold is on a query. */
const AT_ONCE = 16;

/** Finds the records that are about a subject, and holds each of them against the legal holds in force. */
export class SubjectRecords {
  readonly #locator: RecordLocator;

  constructor(private readonly tools: SubjectRecordsTools) {
    this.#locator = new RecordLocator(tools.tables);
  }

  /**
   * What there is of a subject, given as its hash, and that no hold is on it or on any of that: asked afresh when it begins
   * and when it ends, and again where that was not the same. One range read for each 1,000 records; for each of these and
   * each hold on another subject one more; where a query holds in their collection, the row of each record. Throws
   * `record-on-hold`, `integrity-failure`, `storage-unavailable`.
   */
  async find(tenant: string, subject: string): Promise<FoundRecords> {
    let active = await this.#active(tenant);
    for (let look = 1; look <= LOOKS; look += 1) {
      assertNone('subject', holdsOnSubject(active, subject));
      const found = await this.#count(tenant, subject, active);
      const now = await this.#active(tenant);
      const ids = new Set(active.map(({ holdId }) => holdId));
      if (now.every(({ holdId }) => ids.has(holdId))) return found;
      active = now;
    }
    throw new AppError('storage-unavailable', 'Legal holds are being placed all the time.', {
      retryAfterS: 5,
    });
  }

  /** What stands for the holds that are in force, whoever they are on: another one, and it is another. One range read. */
  async holdsInForce(tenant: string): Promise<string> {
    const active = await this.#active(tenant);
    return sha256Hex(active.map(({ holdId }) => holdId).sort().join(' ')); // prettier-ignore
  }

  async #count(tenant: string, subject: string, active: readonly ActiveHold[]): Promise<FoundRecords> {
    const records: Record<string, number> = {};
    for await (const page of this.tools.index.pagesOf(tenant, subject)) {
      if (active.length > 0) await this.#assertFree(tenant, page, active);
      for (const { recordType } of page) {
        const name = this.#typeOf(recordType)?.collection ?? recordType;
        records[name] = (records[name] ?? 0) + 1;
      }
    }
    let older = 0;
    for await (const page of this.tools.index.pagesOf(tenant, subject, { older: true })) older += page.length;
    return { records, older };
  }

  async #assertFree(
    tenant: string,
    page: readonly IndexedSubject[],
    active: readonly ActiveHold[],
  ): Promise<void> {
    const alsoAbout = await this.#alsoAbout(tenant, page, active);
    const queried = new Set(
      active.flatMap(({ scope }) => (scope.kind === 'query' ? [scope.collection] : [])),
    );
    const factsOf = async ({ recordType, recordId }: IndexedSubject): Promise<HoldFacts | undefined> => {
      const type = this.#typeOf(recordType);
      if (type === undefined) return undefined;
      const subjects = alsoAbout.get(recordId) ?? [];
      if (queried.has(type.collection)) return this.#factsOf(type, tenant, recordId, subjects);
      return { collection: type.collection, id: recordId, createdMs: parseId(recordId)?.ms ?? 0, fields: {}, subjects }; // prettier-ignore
    };
    for (let at = 0; at < page.length; at += AT_ONCE)
      for (const facts of await settled(page.slice(at, at + AT_ONCE).map(factsOf)))
        if (facts !== undefined) assertNone('subject', holdsOn(active, facts));
  }

  /** Whom of those that are held the records of a page are about as well. */
  async #alsoAbout(
    tenant: string,
    page: readonly IndexedSubject[],
    active: readonly ActiveHold[],
  ): Promise<ReadonlyMap<string, readonly string[]>> {
    const [first, last] = [page[0]?.recordId ?? '', page.at(-1)?.recordId ?? ''];
    const ids = new Set(page.map(({ recordId }) => recordId));
    const about = new Map<string, string[]>();
    for (const { scope } of active) {
      if (scope.kind !== 'subject') continue;
      for await (const theirs of this.tools.index.pagesOf(tenant, scope.subject, { between: [first, last] }))
        for (const { recordId } of theirs)
          if (ids.has(recordId)) about.set(recordId, [...(about.get(recordId) ?? []), scope.subject]);
    }
    return about;
  }

  /** Undefined for a record that is not there any more: nothing holds what is gone. */
  async #factsOf(
    type: RecordType,
    tenant: string,
    id: string,
    subjects: readonly string[],
  ): Promise<HoldFacts | undefined> {
    const budget = this.tools.budget();
    let row: Row | undefined;
    try {
      const { partition } = await this.#locator.locate(type, tenant, id, budget);
      const key = partitionKey(tenant, partition);
      row = await budget.retry(() => this.tools.tables.find(type.table, key, recordKey(id)));
    } catch (error) {
      if (!isAppError(error, 'record-not-found')) throw error;
    }
    return row === undefined || isVoid(row) ? undefined : holdFactsOf(type, row, subjects);
  }

  #typeOf(recordType: string): RecordType | undefined {
    return this.tools.types.find((type) => type.recordType === recordType);
  }

  #active(tenant: string): Promise<readonly ActiveHold[]> {
    return this.tools.holds.activeOf(tenant, { fresh: true });
  }
}

/** All results; the first failure once none is under way any more. */
async function settled<T>(work: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
