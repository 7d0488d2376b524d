import { LRUCache } from 'lru-cache';
import type { RecordName } from '../domain/apply-change.js';
import { AppError } from '../domain/errors.js';
import type { RecordType } from '../domain/record-type.js';
import type { Budget } from './backoff.js';
import type { PartitionRef } from './directory.js';
import { monthOf, nameKey, partitionKey, recordKey } from './keys.js';
import type { Properties, RecordTable, RowOperation } from './ports.js';
import { notFound, placeOf, timeOfId } from './record-location.js';
import { broken } from './record-row.js';
import { rowIntact, withRowChecksum } from './row-checksum.js';

/** Table of partitions by id, for types whose ids do not tell; partitioned by the month of the id. */
export const LOOKUPS_TABLE = 'lookups';
const REMEMBERED = 20_000;

/** A record that is about to be made, and where. */
export interface Placed {
  readonly id: string;
  readonly ref: PartitionRef;
}

/**
 * Finds the partition of a record. Where the id does not tell, `lookups` has a row for it that is written before the
 * record's commit and means nothing without it. It never changes, and a name's row goes only with its record, so both are
 * remembered, and names forgotten when a record turns out to be gone.
 */
export class RecordLocator {
  readonly #partitions = new LRUCache<string, string>({ max: REMEMBERED });
  readonly #names = new LRUCache<string, string>({ max: REMEMBERED });

  constructor(private readonly tables: RecordTable) {}

  /** Free, or one point read the first time. Throws `record-not-found`, `integrity-failure`. */
  async locate(type: RecordType, tenant: string, id: string, budget: Budget): Promise<PartitionRef> {
    const ms = timeOfId(type, id);
    if (type.partition.kind !== 'member') return placeOf(type, tenant, id, {});
    const known = this.#partitions.get(`${tenant}/${id}`);
    if (known !== undefined) return { tenant, table: type.table, partition: known };
    const key = lookupsKey(tenant, ms);
    const row = await budget.retry(() => this.tables.find(LOOKUPS_TABLE, key, recordKey(id)));
    if (row === undefined) throw notFound();
    if (!rowIntact(row) || row.properties['table'] !== type.table) throw broken(id, 0, 'lookup row');
    const partition = String(row.properties['partition']);
    this.#partitions.set(`${tenant}/${id}`, partition);
    return { tenant, table: type.table, partition };
  }

  /**
   * Makes records findable before they are committed: one transaction for each month of their ids, none for types whose
   * ids tell. Idempotent: whoever writes a record's row writes the same one.
   */
  async enroll(type: RecordType, placed: readonly Placed[], budget: Budget): Promise<void> {
    if (type.partition.kind !== 'member') return;
    const months = new Map<string, RowOperation[]>();
    for (const { id, ref } of placed) {
      const key = lookupsKey(ref.tenant, timeOfId(type, id));
      const rowKey = recordKey(id);
      const columns: Properties = { schema_version: '1.0', table: ref.table, partition: ref.partition };
      const operation = {
        kind: 'upsert',
        rowKey,
        properties: withRowChecksum(key, rowKey, columns),
      } as const;
      months.set(key, [...(months.get(key) ?? []), operation]);
    }
    for (const [key, operations] of months)
      await budget.retry(() => this.tables.commit(LOOKUPS_TABLE, key, operations));
  }

  /** After a record of the type was seen to be disposed of: its name may be another's by now. */
  forgetNames(type: RecordType): void {
    if (type.named !== undefined) this.#names.clear();
  }

  /** The id of the record that has a name; undefined when none has. Free unless `fresh`, or one point read. */
  async findNamed(
    type: RecordType,
    tenant: string,
    { partition, name }: RecordName,
    budget: Budget,
    fresh = false,
  ): Promise<string | undefined> {
    const key = partitionKey(tenant, partition);
    const rowKey = nameKey(name);
    const remembered = `${type.table}/${key}/${rowKey}`;
    const known = fresh ? undefined : this.#names.get(remembered);
    if (known !== undefined) return known;
    const row = await budget.retry(() => this.tables.find(type.table, key, rowKey));
    if (row === undefined) return undefined;
    const id = String(row.properties['id']);
    if (!rowIntact(row) || row.properties['name'] !== name) throw broken(id, 0, 'name row');
    this.#names.set(remembered, id);
    this.#partitions.set(`${tenant}/${id}`, partition);
    return id;
  }
}

/** Throws `record-exists` when the name of a new record is another's. */
export async function assertNameFree(
  locator: Pick<RecordLocator, 'findNamed'>,
  type: RecordType,
  { id, ref }: Placed,
  data: Readonly<Record<string, unknown>>,
  budget: Budget,
): Promise<void> {
  if (type.named === undefined) return;
  const at = { partition: ref.partition, name: String(data[type.named.member]) };
  const owner = await locator.findNamed(type, ref.tenant, at, budget);
  if (owner === undefined || owner === id) return;
  throw new AppError('record-exists', 'A record of this name exists already.', { evidence: { id } });
}

function lookupsKey(tenant: string, ms: number): string {
  return partitionKey(tenant, monthOf(ms));
}

/** The row that gives a name to a new record, create-only: of several creates under one name one is committed. */
export function nameOperation(
  type: RecordType,
  ref: PartitionRef,
  id: string,
  data: Readonly<Record<string, unknown>>,
): readonly RowOperation[] {
  if (type.named === undefined) return [];
  const name = String(data[type.named.member]);
  const rowKey = nameKey(name);
  const key = partitionKey(ref.tenant, ref.partition);
  const properties = withRowChecksum(key, rowKey, { schema_version: '1.0', id, name });
  return [{ kind: 'insert', rowKey, properties }];
}
