import type { Budget } from './backoff.js';
import { SYSTEM_TABLE, type PartitionRef } from './directory.js';
import { partitionKey, SYSTEM_TENANT } from './keys.js';
import { isFault, type RecordTable, type Row } from './ports.js';
import { keyAfter } from './range.js';

/**
 * What was asked to be brought back from the archive, of all tenants, until its copies are gone again: a row for each
 * operation in the system table, written before anything else, so that nothing of it is ever forgotten.
 */
export interface RehydrationWork {
  readonly ref: PartitionRef;
  readonly recordType: string;
  readonly id: string;
  readonly operationId: string;
  /** The service's clock when it was written, milliseconds. */
  readonly writtenMs: number;
}

const PARTITION = partitionKey(SYSTEM_TENANT, 'rehydrations');
const rowKeyOf = ({ ref, operationId }: Pick<RehydrationWork, 'ref' | 'operationId'>): string => `${ref.tenant}:${operationId}`; // prettier-ignore

/** Writes the row; again is harmless. */
export async function addWork(
  tables: RecordTable,
  work: Omit<RehydrationWork, 'writtenMs'>,
  budget: Budget,
): Promise<void> {
  const { ref, recordType, id, operationId } = work;
  const properties = {
    schema_version: '1.0',
    tenant: ref.tenant,
    table: ref.table,
    partition: ref.partition,
    record_type: recordType,
    record_id: id,
    operation_id: operationId,
  };
  const operation = { kind: 'upsert', rowKey: rowKeyOf(work), properties } as const;
  await budget.retry(() => tables.commit(SYSTEM_TABLE, PARTITION, [operation]));
}

/** Up to `limit` of them after one, in the order of their keys. One range read. */
export async function workAfter(
  tables: RecordTable,
  after: string | undefined,
  limit: number,
  budget: Budget,
): Promise<{
  readonly work: readonly { readonly rowKey: string; readonly work: RehydrationWork }[];
  readonly more: boolean;
}> {
  const query = { from: after === undefined ? '!' : keyAfter(after), to: '~', limit };
  const { rows, more } = await budget.retry(() => tables.range(SYSTEM_TABLE, PARTITION, query));
  return { work: rows.map((row) => ({ rowKey: row.rowKey, work: parse(row) })), more };
}

/** Forgets one that there is nothing left of. */
export async function removeWork(tables: RecordTable, work: RehydrationWork, budget: Budget): Promise<void> {
  const operation = { kind: 'delete', rowKey: rowKeyOf(work), etag: '*' } as const;
  try {
    await budget.retry(() => tables.commit(SYSTEM_TABLE, PARTITION, [operation]));
  } catch (error) {
    if (!isFault(error, 'missing')) throw error;
  }
}

function parse({ properties, timestampMs }: Row): RehydrationWork {
  const text = (name: string): string => String(properties[name]);
  return {
    ref: { tenant: text('tenant'), table: text('table'), partition: text('partition') },
    recordType: text('record_type'),
    id: text('record_id'),
    operationId: text('operation_id'),
    writtenMs: timestampMs,
  };
}
