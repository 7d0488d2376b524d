import pLimit from 'p-limit';
import type { RecordType, RecordData } from '../../domain/record-type.js';
import type { SubjectRules } from '../../domain/subjects.js';
import { isAppError } from '../../domain/errors.js';
import { partitionKey, recordKey } from '../../storage/keys.js';
import type { Row } from '../../storage/ports.js';
import { keyAfter } from '../../storage/range.js';
import { rowIntact } from '../../storage/row-checksum.js';
import { namedIn, SubjectIndex, SUBJECTS_TABLE } from '../../storage/subject-rows.js';
import type { Found } from './findings.js';
import { ALL_ROWS, AT_ONCE, keyOf, rowAt, type Reads } from './tools.js';

/** Where the walk of the index is: which partition, and after which row of it. */
export interface SubjectsPlace {
  readonly shard: number;
  readonly after?: string | undefined;
}

export const SUBJECTS_BEGIN: SubjectsPlace = { shard: 0 };
const SHARDS = 256;
/** Partitions that are looked into together, and rows of one that are held. */
const SHARDS_AT_ONCE = 32;
const ROWS = 200;
const COMPLETE = 'complete';
const OF_A_RECORD = /^[sw]:([0-9a-f]+):([a-z]+_[0-9a-f-]{36})$/;
/** Table and partition of wrapped keys. */
const KEYS = 'keys';

/**
 * Partitions of the index of subjects from a place on: every row is what was written and names a record that is there, or a
 * tombstone. One range read for each partition and 200 rows, and one or two point reads for each row. Resolves to the next
 * place, undefined at the end.
 */
export async function checkSubjects(
  reads: Reads,
  tenant: string,
  { shard, after }: SubjectsPlace,
  found: Found,
): Promise<SubjectsPlace | undefined> {
  if (shard === 0 && after === undefined) await checkComplete(reads, tenant, found);
  const limit = pLimit(AT_ONCE);
  const from = after === undefined ? ALL_ROWS.from : keyAfter(after);
  const shards = Array.from({ length: after === undefined ? Math.min(SHARDS_AT_ONCE, SHARDS - shard) : 1 }, (_, n) => shard + n); // prettier-ignore
  const pages = await Promise.all(
    shards.map((one) => limit(() => reads.page(SUBJECTS_TABLE, keyOfShard(tenant, one), { from, to: ALL_ROWS.to }, ROWS))), // prettier-ignore
  );
  for (const [at, { rows, more }] of pages.entries()) {
    const here = shard + at;
    await Promise.all(rows.map((row) => limit(() => checkIndexed(reads, tenant, here, row, found))));
    const last = rows.at(-1)?.rowKey;
    if (more && last !== undefined) return { shard: here, after: last };
  }
  const next = shard + shards.length;
  return next < SHARDS ? { shard: next } : undefined;
}

const nameOfShard = (shard: number): string => shard.toString(16).padStart(2, '0');
const keyOfShard = (tenant: string, shard: number): string => partitionKey(tenant, nameOfShard(shard));

async function checkComplete(reads: Reads, tenant: string, found: Found): Promise<void> {
  const key = partitionKey(tenant, COMPLETE);
  const { rows } = await reads.page(SUBJECTS_TABLE, key, ALL_ROWS, 1);
  for (const row of rows)
    if (!rowIntact(row)) found('row.altered', rowAt(SUBJECTS_TABLE, key, row.rowKey), 'its checksum does not hold', { sinceMs: row.timestampMs }); // prettier-ignore
}

async function checkIndexed(
  reads: Reads,
  tenant: string,
  shard: number,
  row: Row,
  found: Found,
): Promise<void> {
  const where = rowAt(SUBJECTS_TABLE, keyOfShard(tenant, shard), row.rowKey);
  const since = { sinceMs: row.timestampMs };
  const [, subject, id] = OF_A_RECORD.exec(row.rowKey) ?? [];
  const own = subject?.startsWith(nameOfShard(shard)) === true && row.properties['record_id'] === id;
  if (!rowIntact(row) || !own || id === undefined) {
    found('row.altered', where, 'it is not what was written', since);
    return;
  }
  if (reads.isLater(id)) return;
  const type = reads.tools.types.find(({ recordType }) => recordType === row.properties['record_type']);
  if (type === undefined || !(await isThere(reads, type, tenant, id)))
    found('subject.extra', where, `there is no ${id}, and no tombstone of it`, since);
}

async function isThere(reads: Reads, type: RecordType, tenant: string, id: string): Promise<boolean> {
  try {
    const ref = await reads.locator.locate(type, tenant, id, reads.budget());
    const row = await reads.row(ref.table, keyOf(ref), recordKey(id));
    return row !== undefined && row.properties['void'] !== true;
  } catch (error) {
    if (isAppError(error, 'record-not-found', 'integrity-failure')) return false;
    throw error;
  }
}

/** What names people, opened. */
export interface Naming {
  readonly type: RecordType;
  readonly tenant: string;
  readonly id: string;
  readonly data: RecordData;
  readonly rules: SubjectRules | undefined;
}

/**
 * Whoever a revision or an entry names is in the index: else an erasure would not know of it, nor would a hold. Only where the
 * index is said to be complete, and of people who have a key: who was erased is not in it any more.
 */
export async function checkNamed(reads: Reads, { type, tenant, id, data, rules }: Naming, found: Found): Promise<void> {
  const { blindIndex, ports, clock, entropy } = reads.tools;
  const hashes = await namedIn(blindIndex, tenant, data, rules);
  if (hashes.length === 0) return;
  const index = new SubjectIndex(ports.tables, clock, entropy);
  if (!(await index.isComplete(tenant))) return;
  for (const subject of hashes) {
    const key = partitionKey(tenant, subject.slice(0, 2));
    const rowKey = `s:${subject}:${id}`;
    if ((await reads.row(SUBJECTS_TABLE, key, rowKey)) !== undefined) continue;
    const standing = await reads.row(KEYS, partitionKey(tenant, KEYS), `s:${subject}`);
    if ((standing?.properties['data_key'] ?? '') === '') continue;
    const run = () => index.add(tenant, [{ subject, recordType: type.recordType, recordId: id }]);
    found('subject.missing', rowAt(SUBJECTS_TABLE, key, rowKey), `${id} names them`, { repair: { name: `subject ${key} ${rowKey}`, run } });
  }
} // prettier-ignore
