import { AppError } from '../domain/errors.js';
import type { IndexDeclaration, PartitionRule, RecordType } from '../domain/record-type.js';
import { Budget } from './backoff.js';
import { blindColumn, blindOf } from './blinds.js';
import { Cursors } from './cursor.js';
import { scanIndex, type IndexPage, type ScanTools } from './index-scan.js';
import { compoundKeyValue, partitionKey, recordKey } from './keys.js';
import { scanMerged, type MergeScan } from './merge-scan.js';
import type { IntegrityFinding, ListQuery, StorageManagerOptions, SummaryPage } from './manager-types.js';
import type { Row } from './ports.js';
import { summaryNames, summaryOf, type Summary } from './record-row.js';
import { rowIntact } from './row-checksum.js';
import { isTombstone } from './tombstone-row.js';
import { isVoid } from './void-row.js';

/** Lists records of a type by its declared indexes. */
export class RecordLister {
  readonly #cursors: Cursors;

  constructor(private readonly tools: StorageManagerOptions) {
    this.#cursors = new Cursors(tools.cursorKey);
  }

  /**
   * A page of summaries, newest first. The index that answers most of the filters is read; what is left is a bounded
   * residual filter, so a page may be short. Throws `request-malformed` for an unknown filter or a foreign cursor.
   * `found` collects index rows that do not hold together; their records are shown from the record row instead.
   */
  async list(
    type: RecordType,
    tenant: string,
    query: ListQuery,
    found: IntegrityFinding[],
  ): Promise<SummaryPage> {
    const unknown = Object.keys(query.filters).find((name) => !type.filters.includes(name));
    if (unknown !== undefined) throw new AppError('request-malformed', `${type.collection} cannot be filtered by ${unknown}.`); // prettier-ignore
    const shown = projectionOf(type, query.fields);
    const budget = new Budget(this.tools.clock, this.tools.entropy);
    const index = bestIndex(type, query.filters);
    const { partition: rule } = type;
    const answered = [...index.fields, ...(rule.kind === 'member' ? [rule.member] : [])];
    const wanted = await this.#wanted(type, tenant, query.filters);
    const residual = wanted.filter(({ field }) => !answered.includes(field));
    const name = queryName(type, tenant, query);
    const tools = { tables: this.tools.ports.tables, directory: this.tools.directory, budget };
    const scan = {
      tenant,
      table: type.table,
      index: index.name,
      value: compoundKeyValue(
        index.fields.map((name) => wanted.find(({ field }) => field === name)?.value ?? ''),
      ),
      fromMs: query.fromMs,
      toMs: query.toMs,
      limit: query.limit,
      after: query.cursor === undefined ? undefined : this.#cursors.decode(name, query.cursor),
      accept: residual.length === 0 ? undefined : (row: Row) => !rowIntact(row) || matches(row, residual),
    };
    const page = await scanBy(rule, tools, scan, query);
    const items: Summary[] = [];
    for (const row of page.rows) {
      const summary = rowIntact(row)
        ? summaryOf(type, row)
        : await this.#fromRecordRow(type, row, wanted, found, budget);
      if (summary !== undefined) items.push(shown(summary));
    }
    return { items, nextCursor: page.next === undefined ? null : this.#cursors.encode(name, page.next) };
  }

  /** An index row is derived: when it is damaged, the record row still says what the list should show. */
  async #fromRecordRow(
    type: RecordType,
    damaged: Row,
    wanted: readonly Wanted[],
    found: IntegrityFinding[],
    budget: Budget,
  ): Promise<Summary | undefined> {
    const id = damaged.rowKey.slice(damaged.rowKey.lastIndexOf(':') + 1);
    const key = recordPartitionKey(type, damaged, id);
    const row = await budget.retry(() => this.tools.ports.tables.find(type.table, key, recordKey(id)));
    const finding = { recordType: type.recordType, id, revision: Number(row?.properties['revision'] ?? 0) };
    found.push({ ...finding, what: 'index row' });
    if (row !== undefined && rowIntact(row) && isTombstone(row)) return undefined;
    if (row === undefined || !rowIntact(row) || isVoid(row)) {
      found.push({ ...finding, what: 'row' });
      return undefined;
    }
    // What the damaged row said of the filters proves nothing.
    return matches(row, wanted) ? summaryOf(type, row) : undefined;
  }

  /** What rows have of the values that are asked for; of sensitive members it is their hashes. */
  #wanted(type: RecordType, tenant: string, filters: ListQuery['filters']): Promise<readonly Wanted[]> {
    const { blindIndex } = this.tools;
    return Promise.all(
      Object.entries(filters).map(async ([field, value]) =>
        type.blindMembers.includes(field)
          ? {
              field,
              column: blindColumn(field),
              value: await blindOf(blindIndex, type, tenant, field, value),
            }
          : { field, column: field, value },
      ),
    );
  }
}

/** A filter as rows answer it. */
interface Wanted {
  readonly field: string;
  readonly column: string;
  readonly value: string;
}

/**
 * What is shown of a summary. Rows come from storage whole all the same: a row's checksum is over all of its columns, and
 * no row is shown that was not verified. Throws `request-malformed` for what is no member of this type's summaries.
 */
function projectionOf(
  type: RecordType,
  fields: readonly string[] | undefined,
): (summary: Summary) => Summary {
  if (fields === undefined) return (summary) => summary;
  const known = summaryNames(type);
  if (fields.length === 0 || fields.some((name) => !known.includes(name)))
    throw new AppError('request-malformed', `fields: a summary of ${type.collection} has ${known.join(', ')}.`); // prettier-ignore
  const wanted = new Set(['id', ...fields]);
  return (summary) => Object.fromEntries(Object.entries(summary).filter(([name]) => wanted.has(name)));
}

function scanBy(
  rule: PartitionRule,
  tools: ScanTools,
  scan: Omit<MergeScan, 'partition'>,
  query: ListQuery,
): Promise<IndexPage> {
  switch (rule.kind) {
    case 'member':
      return scanMerged(tools, { ...scan, partition: query.filters[rule.member] });
    case 'own':
      return scanMerged(tools, { ...scan, partition: rule.listedIn });
    case 'month-of-creation':
      return scanIndex(tools, { ...scan, granularity: 'month' });
  }
}

/** The partition of the record that an index row is of. */
function recordPartitionKey({ partition: rule }: RecordType, { partitionKey: key }: Row, id: string): string {
  return rule.kind === 'own' ? partitionKey(key.slice(0, key.indexOf(':')), id) : key;
}

function matches(row: Row, wanted: readonly Wanted[]): boolean {
  return wanted.every(({ column, value }) => row.properties[column] === value);
}

/** The declared index that covers most of the filters with its fields; the index of all records covers none. */
function bestIndex(type: RecordType, filters: Readonly<Record<string, string>>): IndexDeclaration {
  const usable = type.allIndexes.filter((index) =>
    index.fields.every((field) => filters[field] !== undefined),
  );
  return usable.reduce((best, index) => (index.fields.length > best.fields.length ? index : best));
}

/** Names a listing for its cursors: who, what, which filters and times; neither how many nor what of them is shown. */
function queryName(type: RecordType, tenant: string, query: ListQuery): string {
  const filters = Object.entries(query.filters).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(['list', tenant, type.collection, filters, query.fromMs ?? null, query.toMs ?? null]);
}
