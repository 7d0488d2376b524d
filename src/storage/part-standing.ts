import { checksumOf, type Json } from '../domain/canonical-json.js';
import type { PartsDeclaration } from '../domain/parts.js';
import type { RecordData } from '../domain/record-type.js';
import type { PartitionRef } from './directory.js';
import type { Reservation } from './idempotency.js';
import { keyedRow } from './keyed-result.js';
import { idempotencyKey, partitionKey } from './keys.js';
import type { StoredRecord } from './manager-types.js';
import { committedOf, openingsIn } from './part-reader.js';
import { nameRow, type PartsHead, type StoredPart } from './part-rows.js';
import type { OpenPart } from './part-sealing.js';
import type { RowOperation } from './ports.js';
import type { WritePlan } from './write-plan.js';

/** The entry that stands for a name, and the version of the row that says so; number 0 came with the record. */
export type Standing = OpenPart & { readonly nameEtag: string | undefined };

/** The row that says which entry stands for its name. */
export function namedOperations(
  { nameMember }: PartsDeclaration,
  key: string,
  id: string,
  { entry, seq }: StoredPart,
  etag: string | undefined,
): readonly RowOperation[] {
  if (nameMember === undefined) return [];
  const row = nameRow(key, id, String(entry[nameMember]), seq);
  return [etag === undefined ? { kind: 'insert', ...row } : { kind: 'replace', ...row, etag }];
}

/** The entry of a name that came with the record, under the record's own commitments. */
export function cameWith(
  { nameMember, came }: PartsDeclaration,
  record: StoredRecord,
  name: unknown,
): Standing | undefined {
  if (nameMember === undefined) return undefined;
  const entry = came?.(committedOf(record)).find((one) => one[nameMember] === name);
  if (entry === undefined) return undefined;
  const checksum = checksumOf(entry as Json);
  const openings = openingsIn(record);
  return {
    seq: 0,
    replaces: undefined,
    entry,
    openings,
    checksum,
    eventId: '',
    addedAt: '',
    nameEtag: undefined,
  };
}

/** The event that tells of a standing entry: its own, or that of the record it came with. */
export function toldBy(record: StoredRecord, standing: OpenPart | undefined): string | undefined {
  return standing === undefined || standing.seq === 0 ? record.eventId : standing.eventId;
}

/** The latest time that entries have had with this one. */
export function latestTime(
  { timeMember }: PartsDeclaration,
  entry: RecordData,
  before: string | undefined,
): string | undefined {
  if (timeMember === undefined) return undefined;
  const time = String(entry[timeMember]);
  return before === undefined || before < time ? time : before;
}

/** The plan of an answer that nothing was added for: the row of its key, which names what was shown, and nothing else. */
export function unchangedPlan(
  { nameMember }: PartsDeclaration,
  ref: PartitionRef,
  { envelope: { id, revision } }: StoredRecord,
  { seq, totals }: PartsHead,
  standing: Standing | undefined,
  { hash, fingerprint }: Reservation,
  nowMs: number,
): WritePlan {
  const name = String(standing?.entry[nameMember ?? '']);
  const part = { seq, totals, ...(standing === undefined ? {} : { standing: { seq: standing.seq, name } }) };
  const result = { fingerprint, revisions: [{ id, revision }], part };
  const key = partitionKey(ref.tenant, ref.partition);
  // No event tells this attempt from another under the key: after a lost answer the row itself is the answer.
  const witness = { rowKey: idempotencyKey(hash), eventId: '' };
  return { partition: ref, blob: undefined, operations: [keyedRow(key, hash, result, nowMs)], witness };
}
