import type { RecordType } from '../domain/record-type.js';
import type { Budget } from './backoff.js';
import { partitionKey, recordKey } from './keys.js';
import type { StorageManagerOptions } from './manager-types.js';
import type { PartReader } from './part-reader.js';
import { isFault, type Row, type RowOperation } from './ports.js';
import type { RecordLocator } from './record-locator.js';
import type { RecordReader } from './record-reader.js';
import { parseRecordRow, recordRowColumns, summaryColumns, summaryMembers } from './record-row.js';
import { withRowChecksum } from './row-checksum.js';
import { isVoid } from './void-row.js';

/**
 * Brings what lists show of a record in line with its parts. It is derived: the revision stays what it is, the rows are
 * replaced under the record row's ETag, and whoever changes the record meanwhile writes the same or newer.
 */
export class SummaryRefresh {
  constructor(
    private readonly tools: StorageManagerOptions,
    private readonly records: RecordReader,
    private readonly parts: PartReader,
    private readonly locator: RecordLocator,
  ) {}

  /** Two point reads, and one transaction when something is out of date. */
  async refresh(type: RecordType, tenant: string, id: string, budget: Budget): Promise<void> {
    const { tables } = this.tools.ports;
    const ref = await this.locator.locate(type, tenant, id, budget);
    const key = partitionKey(tenant, ref.partition);
    const stored = await budget.retry(() => tables.find(ref.table, key, recordKey(id)));
    if (stored === undefined || isVoid(stored)) return;
    const row = parseRecordRow(stored, id);
    const { envelope } = await this.records.ofRow(type, tenant, row, budget);
    const summary = summaryMembers(type, await this.parts.listed(type, tenant, id, envelope.data, budget));
    if (!differs(stored, summary)) return;
    const sealed = (rowKey: string, columns: Row['properties']) => withRowChecksum(key, rowKey, columns);
    const columns = recordRowColumns(type, row, row.createdAt, row.indexKeys, summary, row.links);
    const listed = summaryColumns(type, row, row.createdAt, summary);
    const operations: RowOperation[] = [
      { kind: 'replace', rowKey: recordKey(id), properties: sealed(recordKey(id), columns), etag: row.etag },
      ...row.indexKeys.map((rowKey) => ({ kind: 'upsert', rowKey, properties: sealed(rowKey, listed) }) as const), // prettier-ignore
    ];
    try {
      await budget.retry(() => tables.commit(ref.table, key, operations));
    } catch (error) {
      // Somebody changed the record, or did the same: what is there now is not older.
      if (!isFault(error, 'conflict', 'missing')) throw error;
    }
  }
}

function differs(row: Row, summary: Readonly<Record<string, unknown>>): boolean {
  return Object.entries(summary).some(([member, value]) => row.properties[member] !== value);
}
