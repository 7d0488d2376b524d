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
import { RecordLocator } from '../storage/record-locator.js';
import type { RecordSubjects } from '../storage/record-subjects.js';
import type { SubjectIndex } from '../storage/subject-rows.js';
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
   * How many there are by collection, those of an earlier attempt too. Each costs to be read whole, and to be disposed
   * of. Before the key of the subject is destroyed. Throws `record-on-hold`, asked right before each; `storage-unavailable`.
   */
  async dispose(call: CallContext, subject: string): Promise<Readonly<Record<string, number>>> {
    const deleted: Record<string, number> = {};
    for await (const page of this.tools.index.pagesOf(call.tenant, subject))
      for (const { recordType, recordId } of page) {
        const type = this.tools.types.find((one) => one.recordType === recordType);
        if (type?.erasedWhole !== true || !(await this.#disposed(type, recordId, subject, call))) continue;
        deleted[type.collection] = (deleted[type.collection] ?? 0) + 1;
      }
    return deleted;
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
