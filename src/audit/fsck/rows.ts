import pLimit from 'p-limit';
import { isObject } from '../../domain/merge-patch.js';
import type { RecordType } from '../../domain/record-type.js';
import { LIMITS } from '../../domain/limits.js';
import type { PartitionRef } from '../../storage/directory.js';
import { partsHeadKey } from '../../storage/part-rows.js';
import { partitionKey, recordKey } from '../../storage/keys.js';
import type { Row } from '../../storage/ports.js';
import { listPartition, placeOf } from '../../storage/record-location.js';
import { rowIntact } from '../../storage/row-checksum.js';
import type { Found } from './findings.js';
import { ALL_ROWS, AT_ONCE, keyOf, rowAt, type Reads } from './tools.js';

/** What rows of a partition belong to a record, by the beginning of their keys. */
const OWNED = /^(?:v|p|n):([a-z]+_[0-9a-f-]{36}):/;

/**
 * Every row of a partition of records, parts or settings after a row key, one page: each is what was written, and none is left of
 * something that is not there. Resolves to the last row, undefined at the end.
 */
export async function checkRows(
  reads: Reads,
  type: RecordType | undefined,
  ref: PartitionRef,
  after: string | undefined,
  found: Found,
): Promise<string | undefined> {
  const key = keyOf(ref);
  const page = await reads.pageAfter(ref, ALL_ROWS, after, LIMITS.rangeRows);
  const owners = new Map<string, Row>();
  const indexed: Row[] = [];
  for (const row of page.rows) {
    const where = rowAt(ref.table, key, row.rowKey);
    const intact = rowIntact(row);
    const isIndex = row.rowKey.startsWith('i:');
    if (!intact && !isIndex) found('row.altered', where, 'its checksum does not hold', { sinceMs: row.timestampMs }); // prettier-ignore
    // Holds have keys of their own, and are looked at by themselves.
    const owner = type === undefined ? undefined : OWNED.exec(row.rowKey)?.[1];
    if (owner !== undefined) owners.set(`${row.rowKey.startsWith('v:') ? 'v' : 'p'} ${owner}`, row);
    if (isIndex) indexed.push(row);
  }
  const limit = pLimit(AT_ONCE);
  // The rows of a record in several indexes are often in one page.
  const read = new Map<string, Promise<Row | undefined>>();
  const ownerOf = (at: string, id: string): Promise<Row | undefined> => {
    const own = read.get(id) ?? reads.row(ref.table, at, recordKey(id));
    read.set(id, own);
    return own;
  };
  await Promise.all([
    ...[...owners].map(([name, row]) => limit(() => checkOwner(reads, ref, name, row, found))),
    ...indexed.map((row) => limit(() => checkIndexed(reads, type, ref, row, ownerOf, found))),
  ]);
  return reads.after(page);
}

/** Revisions have a record row; entries have a count. */
async function checkOwner(
  reads: Reads,
  ref: PartitionRef,
  name: string,
  row: Row,
  found: Found,
): Promise<void> {
  const [kind, id] = name.split(' ') as [string, string];
  const rowKey = kind === 'v' ? recordKey(id) : partsHeadKey(id);
  const owner = await reads.row(ref.table, keyOf(ref), rowKey);
  if (owner !== undefined && owner.properties['void'] !== true) return;
  const code = kind === 'v' ? 'record.missing' : 'part.missing';
  found(code, rowAt(ref.table, keyOf(ref), rowKey), `${row.rowKey} is there`, { sinceMs: row.timestampMs });
}

/** A record's row, in a partition by its key. */
type OwnerOf = (key: string, id: string) => Promise<Row | undefined>;

/** An index row is named by its record. */
async function checkIndexed(reads: Reads, type: RecordType | undefined, ref: PartitionRef, row: Row, ownerOf: OwnerOf, found: Found): Promise<void> {
  if (type === undefined || ref.table !== type.table) return;
  const id = row.rowKey.slice(row.rowKey.lastIndexOf(':') + 1);
  const elsewhere = listPartition(type, ref.tenant);
  const key = elsewhere?.partition === ref.partition ? ownKey(type, ref, id) : keyOf(ref);
  const owner = key === undefined ? undefined : await ownerOf(key, id);
  const keys = owner === undefined ? undefined : namedIn(owner);
  if (keys?.includes(row.rowKey) === true) return;
  // The record's own row is not what was written: what it would have named is not known.
  if (owner !== undefined && !rowIntact(owner)) return;
  const { tables } = reads.tools.ports;
  const remove = { kind: 'delete', rowKey: row.rowKey, etag: row.etag } as const;
  const guard = owner === undefined || key !== keyOf(ref) ? [] : [{ kind: 'replace', rowKey: owner.rowKey, properties: owner.properties, etag: owner.etag } as const];
  const repair = { name: `index row ${keyOf(ref)} ${row.rowKey}`, run: () => reads.budget().retry(() => tables.commit(ref.table, keyOf(ref), [remove, ...guard])) };
  found('index.extra', rowAt(ref.table, keyOf(ref), row.rowKey), `${id} does not name it`, { sinceMs: row.timestampMs, repair });
} // prettier-ignore

function ownKey(type: RecordType, { tenant }: PartitionRef, id: string): string | undefined {
  try {
    return partitionKey(tenant, placeOf(type, tenant, id, {}).partition);
  } catch {
    return undefined;
  }
}

function namedIn({ properties }: Row): readonly unknown[] {
  try {
    const keys: unknown = JSON.parse(String(properties['index_keys']));
    return Array.isArray(keys) || isObject(keys) ? Object.values(keys) : [];
  } catch {
    return [];
  }
}
