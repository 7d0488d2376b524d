import type { BlindIndex } from '../domain/blind-index.js';
import type { Clock, Entropy } from '../domain/clock.js';
import { AppError } from '../domain/errors.js';
import { everySubjectOf } from '../domain/held.js';
import { LIMITS } from '../domain/limits.js';
import type { SubjectRules } from '../domain/subjects.js';
import { Budget } from './backoff.js';
import { partitionKey, prefixRange } from './keys.js';
import { isFault, type RecordTable, type Row, type RowOperation } from './ports.js';
import { keyAfter } from './range.js';
import { broken } from './record-row.js';
import { rowIntact, withRowChecksum } from './row-checksum.js';

/** Table of the index of subjects (docs/erasure.md): which records are about whom, and no name. */
export const SUBJECTS_TABLE = 'subjects';
/** Columns of a pending row with the hashes of whom the change names, until the index has them. */
export const SUBJECTS_COLUMN = 'subjects';
const SCHEMA_VERSION = '1.0';
/** What is sealed of it was sealed before there were data keys: no destroyed key takes it away. */
const OLDER = 'sealed_before_data_keys';
const COMPLETE_KEY = 'c:complete';

/** That a record, or an entry of it, names somebody. */
export interface NamedSubject {
  /** Blind hash of the name, the same as its key is found by (docs/keys.md). */
  readonly subject: string;
  readonly recordType: string;
  readonly recordId: string;
  /** Something of it was sealed before there were data keys. */
  readonly older?: boolean;
}

/** What the index has, and the row it is in. */
export interface IndexedSubject extends NamedSubject {
  readonly rowKey: string;
  readonly etag: string;
  /** When it was last written, by the service's clock. */
  readonly storedMs: number;
}

/**
 * Blind hashes of everybody that a record or an entry names, in the order of the hashes: what is said of it in the index.
 * Costs nothing where nobody is named. Throws `payload-too-large` for more than `LIMITS.subjectsNamed`.
 */
export async function namedIn(
  blindIndex: BlindIndex,
  tenant: string,
  data: unknown,
  rules?: SubjectRules,
): Promise<readonly string[]> {
  const names = everySubjectOf(data, rules);
  if (names.length > LIMITS.subjectsNamed)
    throw new AppError('payload-too-large', `A record names at most ${String(LIMITS.subjectsNamed)} people.`);
  const hashes = await Promise.all(names.map((name) => blindIndex.blind(tenant, 'subject', name)));
  return [...new Set(hashes)].sort();
}

/** Rows of one subject: `s:` for each record, `w:` where something of it no destroyed key takes away. */
const rowKeyOf = ({ subject, recordId, older }: NamedSubject): string => `${older === true ? 'w' : 's'}:${subject}:${recordId}`; // prettier-ignore
const partitionOf = (tenant: string, subject: string): string => partitionKey(tenant, subject.slice(0, 2));

/** Reads and writes the index. All calls throw `storage-unavailable`. */
export class SubjectIndex {
  constructor(
    private readonly tables: RecordTable,
    private readonly clock: Clock,
    private readonly entropy: Entropy,
  ) {}

  /** One transaction for each two digits of the hashes and each 100 rows; repeating is harmless. */
  async add(tenant: string, named: readonly NamedSubject[]): Promise<void> {
    const budget = new Budget(this.clock, this.entropy);
    const groups = new Map<string, Map<string, RowOperation>>();
    for (const one of named) {
      const key = partitionOf(tenant, one.subject);
      const rowKey = rowKeyOf(one);
      const columns = { schema_version: SCHEMA_VERSION, record_type: one.recordType, record_id: one.recordId, ...(one.older === true ? { [OLDER]: true } : {}) }; // prettier-ignore
      const row = { kind: 'upsert', rowKey, properties: withRowChecksum(key, rowKey, columns) } as const;
      groups.set(key, (groups.get(key) ?? new Map<string, RowOperation>()).set(rowKey, row));
    }
    for (const [key, group] of groups) {
      const rows = [...group.values()];
      for (let from = 0; from < rows.length; from += LIMITS.transactionRows)
        await budget.retry(() => this.tables.commit(SUBJECTS_TABLE, key, rows.slice(from, from + LIMITS.transactionRows))); // prettier-ignore
    }
  }

  /**
   * Records that a subject is named by, ascending by id, a page of up to 1,000 at a time or `limit`, one range read each; with
   * `older` those alone of which something was sealed before there were data keys, with `between` those alone with ids from
   * the first to the last. Throws `integrity-failure` for a row that is not what was written: what it would have led to is not
   * known.
   */
  async *pagesOf(
    tenant: string,
    subject: string,
    {
      older = false,
      between,
      limit = LIMITS.rangeRows,
    }: {
      readonly older?: boolean;
      readonly between?: readonly [string, string];
      readonly limit?: number;
    } = {},
  ): AsyncGenerator<readonly IndexedSubject[]> {
    const key = partitionOf(tenant, subject);
    const prefix = `${older ? 'w' : 's'}:${subject}:`;
    const range = between === undefined ? prefixRange(prefix) : { from: prefix + between[0], to: keyAfter(prefix + between[1]) }; // prettier-ignore
    let { from } = range;
    for (;;) {
      const start = from;
      const page = await new Budget(this.clock, this.entropy).retry(() =>
        this.tables.range(SUBJECTS_TABLE, key, { from: start, to: range.to, limit }),
      );
      const last = page.rows.at(-1);
      if (last === undefined) return;
      yield page.rows.map((row) => parse(subject, row));
      if (!page.more) return;
      from = keyAfter(last.rowKey);
    }
  }

  /** Deletes what was read, 100 rows a transaction; what was written again meanwhile stays, for it is of a later time. */
  async remove(tenant: string, read: readonly IndexedSubject[]): Promise<void> {
    for (let from = 0; from < read.length; from += LIMITS.transactionRows)
      await this.#remove(tenant, read.slice(from, from + LIMITS.transactionRows));
  }

  async #remove(tenant: string, rows: readonly IndexedSubject[]): Promise<void> {
    const [first] = rows;
    if (first === undefined) return;
    const key = partitionOf(tenant, first.subject);
    const operations = rows.map(({ rowKey, etag }) => ({ kind: 'delete', rowKey, etag }) as const);
    try {
      await new Budget(this.clock, this.entropy).retry(() =>
        this.tables.commit(SUBJECTS_TABLE, key, operations),
      );
    } catch (error) {
      if (!isFault(error, 'conflict', 'missing')) throw error;
      if (rows.length === 1) return;
      const half = Math.ceil(rows.length / 2);
      await this.#remove(tenant, rows.slice(0, half));
      await this.#remove(tenant, rows.slice(half));
    }
  }

  /** Whether everything that was written before there was an index is in it. One point read. */
  async isComplete(tenant: string): Promise<boolean> {
    const key = partitionKey(tenant, 'complete');
    const row = await new Budget(this.clock, this.entropy).retry(() =>
      this.tables.find(SUBJECTS_TABLE, key, COMPLETE_KEY),
    );
    return row !== undefined && rowIntact(row);
  }

  /** Says that it is. */
  async markComplete(tenant: string): Promise<void> {
    const key = partitionKey(tenant, 'complete');
    const properties = withRowChecksum(key, COMPLETE_KEY, { schema_version: SCHEMA_VERSION });
    await new Budget(this.clock, this.entropy).retry(() =>
      this.tables.commit(SUBJECTS_TABLE, key, [{ kind: 'upsert', rowKey: COMPLETE_KEY, properties }]),
    );
  }
}

function parse(subject: string, row: Row): IndexedSubject {
  const { properties, rowKey, etag, timestampMs: storedMs } = row;
  const recordId = String(properties['record_id']);
  const named = { subject, recordType: String(properties['record_type']), recordId, older: properties[OLDER] === true }; // prettier-ignore
  if (!rowIntact(row) || rowKeyOf(named) !== rowKey) throw broken(recordId, 0, 'subject row');
  return { ...named, rowKey, etag, storedMs };
}
