import type { ErrorCode, Issue } from '../domain/errors.js';
import { formatTime } from '../domain/clock.js';
import { parseId } from '../domain/ids.js';
import type { Budget } from './backoff.js';
import { dayOf, partitionKey, recordKey } from './keys.js';
import { isFault, type Properties, type RecordTable, type Row } from './ports.js';
import { broken } from './record-row.js';
import { rowIntact, withRowChecksum } from './row-checksum.js';

export const OPERATION_PREFIX = 'op';
export const OPERATIONS_TABLE = 'operations';
const TABLE = OPERATIONS_TABLE;

/** Why an operation failed: the code and what a caller may know of it. */
export interface OperationProblem {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly errors?: readonly Issue[];
}

/** A promised write: fixes the record's id and time, so that its message may be delivered any number of times. */
export interface StoredOperation {
  readonly id: string;
  readonly tenant: string;
  readonly collection: string;
  readonly recordId: string;
  readonly createdMs: number;
  readonly status: 'pending' | 'succeeded' | 'failed';
  readonly problem: OperationProblem | undefined;
  /** Of the body, for replays of the request that made it. */
  readonly fingerprint: string;
  /** What it promises, where that is not a write: a record that is brought back from the archive. */
  readonly kind?: 'rehydration';
  readonly etag: string;
}

/** Table `operations`, one row each, partitioned by day of the operation's id. */
export class OperationStore {
  constructor(private readonly tables: RecordTable) {}

  /** Inserts a pending operation; false when it is there already. */
  async insert(operation: Omit<StoredOperation, 'etag'>, budget: Budget): Promise<boolean> {
    const { partition, rowKey } = place(operation.tenant, operation.id);
    const properties = withRowChecksum(partition, rowKey, columns(operation));
    try {
      await budget.retry(() =>
        this.tables.commit(TABLE, partition, [{ kind: 'insert', rowKey, properties }]),
      );
      return true;
    } catch (error) {
      if (isFault(error, 'exists')) return false;
      throw error;
    }
  }

  /** Undefined when there is none of that id in the tenant. Throws `integrity-failure` for a damaged row. */
  async find(tenant: string, id: string, budget: Budget): Promise<StoredOperation | undefined> {
    if (parseId(id)?.prefix !== OPERATION_PREFIX) return undefined;
    const { partition, rowKey } = place(tenant, id);
    const row = await budget.retry(() => this.tables.find(TABLE, partition, rowKey));
    return row === undefined ? undefined : parse(row, tenant);
  }

  /** Moves a pending operation to its end; one that has ended stays as it is. */
  async finish(
    operation: StoredOperation,
    end: { readonly status: 'succeeded' } | { readonly status: 'failed'; readonly problem: OperationProblem },
    budget: Budget,
  ): Promise<void> {
    if (operation.status !== 'pending') return;
    const { partition, rowKey } = place(operation.tenant, operation.id);
    const next = {
      ...operation,
      status: end.status,
      problem: end.status === 'failed' ? end.problem : undefined,
    };
    const properties = withRowChecksum(partition, rowKey, columns(next));
    try {
      await budget.retry(() =>
        this.tables.commit(TABLE, partition, [{ kind: 'replace', rowKey, properties, etag: operation.etag }]),
      );
    } catch (error) {
      // Another delivery of the same message came first; its end is as true as ours.
      if (!isFault(error, 'conflict', 'missing')) throw error;
    }
  }
}

function place(tenant: string, id: string): { partition: string; rowKey: string } {
  return { partition: partitionKey(tenant, dayOf(parseId(id)?.ms ?? 0)), rowKey: recordKey(id) };
}

function columns(operation: Omit<StoredOperation, 'etag'>): Properties {
  return {
    schema_version: '1.0',
    operation_id: operation.id,
    collection: operation.collection,
    record_id: operation.recordId,
    created_at: formatTime(operation.createdMs),
    status: operation.status,
    fingerprint: operation.fingerprint,
    ...(operation.kind === undefined ? {} : { kind: operation.kind }),
    ...(operation.problem === undefined ? {} : { problem: JSON.stringify(operation.problem) }),
  };
}

function parse(row: Row, tenant: string): StoredOperation {
  if (!rowIntact(row)) throw broken(row.rowKey.slice(2), 0, 'operation row');
  const text = (name: string): string => String(row.properties[name]);
  const problem = row.properties['problem'];
  return {
    id: text('operation_id'),
    tenant,
    collection: text('collection'),
    recordId: text('record_id'),
    createdMs: Date.parse(text('created_at')),
    status: text('status') as StoredOperation['status'],
    problem: typeof problem === 'string' ? (JSON.parse(problem) as OperationProblem) : undefined,
    fingerprint: text('fingerprint'),
    ...(row.properties['kind'] === 'rehydration' ? { kind: 'rehydration' } : {}),
    etag: row.etag,
  };
}
