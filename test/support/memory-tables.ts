import type { Clock } from '../../src/domain/clock.js';
import {
  StorageFault,
  type Properties,
  type RangePage,
  type RangeQuery,
  type RecordTable,
  type Row,
  type RowOperation,
} from '../../src/storage/ports.js';
import { checkKey, checkRange, checkTransaction } from '../../src/storage/row-limits.js';
import { SortedKeys } from './sorted-keys.js';

/** Rows of one partition with their keys in order, so that a range costs what it returns. */
class Partition {
  readonly rows = new Map<string, Row>();
  readonly #keys = new SortedKeys();

  put(row: Row): void {
    if (!this.rows.has(row.rowKey)) this.#keys.add(row.rowKey);
    this.rows.set(row.rowKey, row);
  }

  remove(rowKey: string): void {
    if (this.rows.delete(rowKey)) this.#keys.remove(rowKey);
  }

  range({ from, to, limit }: RangeQuery): RangePage {
    const rows: Row[] = [];
    for (const key of this.#keys.from(from)) {
      if (key >= to) break;
      if (rows.length === limit) return { rows, more: true };
      rows.push(copy(this.rows.get(key) as Row));
    }
    return { rows, more: false };
  }
}

function copy(row: Row): Row {
  return { ...row, properties: { ...row.properties } };
}

/** Table Storage does not tell -0 from 0. */
function stored(properties: Properties): Properties {
  const entries = Object.entries(properties);
  return Object.fromEntries(entries.map(([name, value]) => [name, value === 0 ? 0 : value]));
}

/** `RecordTable` in memory, to the letter of its contract. With `names`, any other table is missing. */
export class MemoryTables implements RecordTable {
  readonly #tables = new Map<string, Map<string, Partition>>();
  #version = 0;

  constructor(
    private readonly clock: Clock,
    private readonly names?: readonly string[],
  ) {}

  async find(table: string, partitionKey: string, rowKey: string): Promise<Row | undefined> {
    checkKey('partition key', partitionKey);
    checkKey('row key', rowKey);
    const row = this.#partition(table, partitionKey).rows.get(rowKey);
    return row === undefined ? undefined : copy(row);
  }

  async range(table: string, partitionKey: string, query: RangeQuery): Promise<RangePage> {
    checkKey('partition key', partitionKey);
    checkRange(query);
    return this.#partition(table, partitionKey).range(query);
  }

  async commit(
    table: string,
    partitionKey: string,
    operations: readonly RowOperation[],
  ): Promise<readonly string[]> {
    checkTransaction(partitionKey, operations);
    const partition = this.#partition(table, partitionKey);
    for (const operation of operations) assertApplies(operation, partition.rows.get(operation.rowKey));
    return operations.map((operation) => this.#apply(partition, partitionKey, operation));
  }

  /** Every row of every table. */
  *all(): Generator<{ readonly table: string; readonly row: Row }> {
    for (const [table, partitions] of this.#tables)
      for (const partition of partitions.values())
        for (const row of partition.rows.values()) yield { table, row };
  }

  #apply(partition: Partition, partitionKey: string, operation: RowOperation): string {
    const { kind, rowKey } = operation;
    if (kind === 'delete') {
      partition.remove(rowKey);
      return '';
    }
    const before = kind === 'merge' ? partition.rows.get(rowKey)?.properties : undefined;
    const properties = { ...before, ...stored(operation.properties) };
    const etag = `W/"${++this.#version}"`;
    partition.put({ partitionKey, rowKey, etag, timestampMs: this.clock.now(), properties });
    return etag;
  }

  #partition(table: string, partitionKey: string): Partition {
    if (this.names !== undefined && !this.names.includes(table))
      throw new StorageFault('refused', `the table ${table} does not exist`);
    const partitions = this.#tables.get(table) ?? new Map<string, Partition>();
    this.#tables.set(table, partitions);
    const partition = partitions.get(partitionKey) ?? new Partition();
    partitions.set(partitionKey, partition);
    return partition;
  }
}

function assertApplies(operation: RowOperation, row: Row | undefined): void {
  if (operation.kind === 'upsert') return;
  if (operation.kind === 'insert') {
    if (row !== undefined) throw new StorageFault('exists', 'the row exists already');
    return;
  }
  if (row === undefined) throw new StorageFault('missing', 'there is no such row');
  if (operation.etag !== '*' && operation.etag !== row.etag)
    throw new StorageFault('conflict', 'the row has another version');
}
