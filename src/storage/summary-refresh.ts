import type { RecordType } from '../domain/record-type.js';
import type { Budget } from './backoff.js';
import { blindColumnsIn } from './blinds.js';
import type { PartitionRef } from './directory.js';
import { partitionKey, recordKey } from './keys.js';
import type { StorageManagerOptions } from './manager-types.js';
import type { PartReader } from './part-reader.js';
import { isFault, type Row, type RowOperation } from './ports.js';
import type { RecordLocator } from './record-locator.js';
import type { RecordReader } from './record-reader.js';
import { parseRecordRow, recordRowColumns, summaryColumns, summaryMembers } from './record-row.js';
import { withRowChecksum } from './row-checksum.js';
import { isTombstone } from './tombstone-row.js';
import { isVoid } from './void-row.js';

/**
 * Brings what lists show of a record in line with its parts. It is derived: the revision stays what it is, the rows are
 * replaced under the record row's ETag, and read again when somebody else has changed the record meanwhile.
 */
export class SummaryRefresh {
  constructor(
    private readonly tools: StorageManagerOptions,
    private readonly records: RecordReader,
    private readonly parts: PartReader,
    private readonly locator: RecordLocator,
  ) {}

  /**
   * Two point reads, and one transaction when something is out of date; again for as long as others change the row
   * meanwhile, because what they wrote may rest on an older head. Throws `storage-unavailable`.
   */
  async refresh(type: RecordType, tenant: string, id: string, budget: Budget): Promise<void> {
    const ref = await this.locator.locate(type, tenant, id, budget);
    for (;;) {
      const operations = await this.#operations(type, ref, id, budget);
      if (operations.length === 0) return;
      try {
        const key = partitionKey(tenant, ref.partition);
        await budget.retry(() => this.tools.ports.tables.commit(ref.table, key, operations));
        return;
      } catch (error) {
        if (!isFault(error, 'conflict', 'missing')) throw error;
        await budget.pause(error, 5, 250);
      }
    }
  }

  /** What brings the rows up to date; nothing where they are. */
  async #operations(
    type: RecordType,
    { tenant, table, partition }: PartitionRef,
    id: string,
    budget: Budget,
  ): Promise<readonly RowOperation[]> {
    const key = partitionKey(tenant, partition);
    const stored = await budget.retry(() => this.tools.ports.tables.find(table, key, recordKey(id)));
    if (stored === undefined || isVoid(stored) || isTombstone(stored)) return [];
    const row = parseRecordRow(stored, id);
    const { envelope } = await this.records.ofRow(type, tenant, row, budget);
    const shown = summaryMembers(type, await this.parts.listed(type, tenant, id, envelope.data, budget));
    const summary = { ...shown, ...blindColumnsIn(type, stored.properties) };
    // Totals of a series may come back to what the row says while a change is under way with those between: its commit
    // fails only if the row has moved. Totals of other parts never come back.
    if (type.parts?.series === undefined && !differs(stored, summary)) return [];
    const sealed = (rowKey: string, columns: Row['properties']) => withRowChecksum(key, rowKey, columns);
    const columns = recordRowColumns(type, row, row.createdAt, row.indexKeys, summary, row.links, row.history); // prettier-ignore
    const listed = summaryColumns(type, row, row.createdAt, summary);
    return [
      { kind: 'replace', rowKey: recordKey(id), properties: sealed(recordKey(id), columns), etag: row.etag },
      ...row.indexKeys.map((rowKey) => ({ kind: 'upsert', rowKey, properties: sealed(rowKey, listed) }) as const), // prettier-ignore
    ];
  }
}

function differs(row: Row, summary: Readonly<Record<string, unknown>>): boolean {
  return Object.entries(summary).some(([member, value]) => row.properties[member] !== value);
}
