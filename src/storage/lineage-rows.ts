import pLimit from 'p-limit';
import { parseId } from '../domain/ids.js';
import { LIMITS } from '../domain/limits.js';
import type { RecordType } from '../domain/record-type.js';
import type { Budget } from './backoff.js';
import type { PartitionRef } from './directory.js';
import { partitionKey, prefixRange } from './keys.js';
import { partsPartition } from './part-rows.js';
import { isFault, type Properties, type RecordTable, type Row, type RowOperation } from './ports.js';
import type { Placed } from './record-locator.js';
import { rowIntact, withRowChecksum } from './row-checksum.js';

/** Table of what was derived from what, the way back from a record to those that link to it. */
export const LINEAGE_TABLE = 'lineage';
/** Transactions of one write that are under way at once. */
const PARALLEL = 8;

/** A record that is about to say it is derived from others. */
export interface Linked extends Placed {
  readonly links: readonly string[];
}

/**
 * Where the rows of everything derived from `ancestor` lie: like parts by the month of the id, and by its last digit to
 * share the load. Undefined for what is no id.
 */
export function lineageKey(tenant: string, ancestor: string): string | undefined {
  const parsed = parseId(ancestor);
  return parsed === undefined ? undefined : partitionKey(tenant, partsPartition(parsed.ms, ancestor));
}

/** `d:<ancestor>:<descendant>`. */
const descentKey = (ancestor: string, descendant: string): string => `d:${ancestor}:${descendant}`;
export const descentRange = (ancestor: string): { from: string; to: string } => prefixRange(`d:${ancestor}:`);

/**
 * Writes the rows of links before the commit that makes the links: they mean nothing without it, and stay when it fails
 * or when a link is taken back, so whoever reads one looks whether the record really links. Idempotent; one transaction
 * for each partition and 100 links, none where there are no links.
 */
export async function enrollLinks(
  tables: RecordTable,
  type: RecordType,
  linked: readonly Linked[],
  budget: Budget,
): Promise<void> {
  const groups = new Map<string, RowOperation[]>();
  for (const { id, ref, links } of linked)
    for (const ancestor of links) {
      const key = lineageKey(ref.tenant, ancestor);
      if (key === undefined) continue;
      const rowKey = descentKey(ancestor, id);
      const columns: Properties = { schema_version: '1.0', record_type: type.recordType, table: ref.table, partition: ref.partition }; // prettier-ignore
      const group = groups.get(key) ?? [];
      group.push({ kind: 'upsert', rowKey, properties: withRowChecksum(key, rowKey, columns) });
      groups.set(key, group);
    }
  const limit = pLimit(PARALLEL);
  const transactions = [...groups].flatMap(([key, operations]) =>
    Array.from({ length: Math.ceil(operations.length / LIMITS.transactionRows) }, (_, at) => {
      const rows = operations.slice(at * LIMITS.transactionRows, (at + 1) * LIMITS.transactionRows);
      return limit(() => budget.retry(() => tables.commit(LINEAGE_TABLE, key, rows)));
    }),
  );
  await Promise.all(transactions);
}

/** Deletes the rows of links that a record made which is gone; those that are not there are passed over. */
export async function forgetLinks(
  tables: RecordTable,
  tenant: string,
  id: string,
  links: readonly string[],
  budget: Budget,
): Promise<void> {
  const limit = pLimit(PARALLEL);
  const forget = async (ancestor: string): Promise<void> => {
    const key = lineageKey(tenant, ancestor);
    if (key === undefined) return;
    const operation = { kind: 'delete', rowKey: descentKey(ancestor, id), etag: '*' } as const;
    try {
      await budget.retry(() => tables.commit(LINEAGE_TABLE, key, [operation]));
    } catch (error) {
      if (!isFault(error, 'missing')) throw error;
    }
  };
  await Promise.all(links.map((ancestor) => limit(() => forget(ancestor))));
}

/** What a row of a link says: who is derived, and where that record lies; that only where the row is as it was written. */
export function parseDescent(
  tenant: string,
  row: Row,
): { readonly id: string; readonly ref: PartitionRef | undefined } {
  const id = row.rowKey.slice(row.rowKey.lastIndexOf(':') + 1);
  const { table, partition } = row.properties;
  return {
    id,
    ref: rowIntact(row) ? { tenant, table: String(table), partition: String(partition) } : undefined,
  };
}
