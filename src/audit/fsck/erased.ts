import type { PartitionRef } from '../../storage/directory.js';
import type { StoredErasure } from '../../storage/erasure-rows.js';
import { partitionKey, prefixRange } from '../../storage/keys.js';
import type { Row } from '../../storage/ports.js';
import { rowIntact } from '../../storage/row-checksum.js';
import { SUBJECTS_TABLE } from '../../storage/subject-rows.js';
import { ACTORS_TABLE } from '../actors.js';
import type { Found } from './findings.js';
import { rowAt, type Reads } from './tools.js';

/** Partition and table of wrapped keys. */
const KEYS = 'keys';
/** Rows of a subject that are looked at: one that is too old is one too many. */
const ROWS = 100;

/**
 * What an erasure that is said to be done has destroyed is destroyed: the key by its row, the pseudonym and what the index of
 * subjects led to by being gone. Of a name that came back later, rows are there again: those alone are found that are older,
 * by the service's clock, than the destruction. Two point reads and a range read; nothing is opened.
 */
export async function checkErased(
  reads: Reads,
  { tenant }: PartitionRef,
  row: Row,
  { erasureId, state, keyId = '', certificate, subject, actor }: StoredErasure,
  found: Found,
): Promise<void> {
  // Where there was no key nothing tells what is older than the erasure.
  if ((state !== 'provisional' && state !== 'complete') || keyId === '') return;
  const since = { sinceMs: row.timestampMs };
  const keys = partitionKey(tenant, KEYS);
  const [key, ofSubject] = await Promise.all([reads.row(KEYS, keys, `k:${keyId}`), reads.row(KEYS, keys, `s:${subject}`)]); // prettier-ignore
  // That it is altered is said where rows are walked.
  if (key !== undefined && !rowIntact(key)) return;
  const at = key?.properties['destroyed_at'];
  const opens = key?.properties['wrapped'] !== undefined || ofSubject?.properties['data_key'] === keyId;
  if (key === undefined || opens || at === undefined || at !== certificate?.key_destroyed_at) {
    found('erasure.key', rowAt(KEYS, keys, `k:${keyId}`), `${erasureId} says that it was destroyed at ${String(certificate?.key_destroyed_at)}`, since); // prettier-ignore
    return;
  }
  const left = (table: string, one: Row): void => {
    if (one.timestampMs < key.timestampMs) found('erasure.left', rowAt(table, one.partitionKey, one.rowKey), `${erasureId} is ${state}`, since); // prettier-ignore
  };
  const actors = partitionKey(tenant, 'actors');
  const named = await reads.row(ACTORS_TABLE, actors, `n:${actor}`);
  if (named !== undefined) left(ACTORS_TABLE, named);
  const index = partitionKey(tenant, subject.slice(0, 2));
  const indexed = await reads.page(SUBJECTS_TABLE, index, prefixRange(`s:${subject}:`), ROWS);
  for (const one of indexed.rows) left(SUBJECTS_TABLE, one);
}
