import { AppError } from '../domain/errors.js';
import { parseId } from '../domain/ids.js';
import type { RecordData, RecordType } from '../domain/record-type.js';
import type { PartitionRef } from './directory.js';
import { keyValue, monthOf, valueOfKey } from './keys.js';

/** `record-not-found`, the same for another tenant's record, a malformed id and one that never existed. */
export function notFound(): AppError {
  return new AppError('record-not-found', 'There is no such record.');
}

/** The time an id carries, milliseconds. Throws `record-not-found` for a malformed id or one of another type. */
export function timeOfId(type: RecordType, id: string): number {
  const parsed = parseId(id);
  if (parsed?.prefix !== type.idPrefix) throw notFound();
  return parsed.ms;
}

/**
 * The partition of a record from its id and its data: all that is needed to place a new one. Throws `record-not-found`
 * for a malformed or foreign id.
 */
export function placeOf(type: RecordType, tenant: string, id: string, data: RecordData): PartitionRef {
  const ms = timeOfId(type, id);
  const { partition: rule, table } = type;
  switch (rule.kind) {
    case 'member':
      return { tenant, table, partition: String(data[rule.member]) };
    case 'own':
      return { tenant, table, partition: id };
    case 'month-of-creation':
      return { tenant, table, partition: monthOf(ms) };
  }
}

/** The partition of a type's index rows where they are not beside their records; undefined where they are. */
export function listPartition(type: RecordType, tenant: string): PartitionRef | undefined {
  const { partition: rule, table } = type;
  return rule.kind === 'own' ? { tenant, table, partition: rule.listedIn } : undefined;
}

/** The partition that a blob's name says, given as in a key; undefined when it says none of this type. */
export function placeOfKey(
  type: RecordType,
  tenant: string,
  id: string,
  encoded: string,
): PartitionRef | undefined {
  const { partition: rule } = type;
  const value = rule.kind === 'member' ? valueOfKey(encoded) : undefined;
  if (rule.kind === 'member' && value === undefined) return undefined;
  return placeOf(type, tenant, id, rule.kind === 'member' ? { [rule.member]: value } : {});
}

/** Blob of one revision; it holds the event id of the attempt, so a dead attempt never blocks the next one. */
export function detailBlobName(
  type: RecordType,
  ref: PartitionRef,
  id: string,
  revision: number,
  eventId: string,
): string {
  return `${ref.tenant}/${type.recordType}/${keyValue(ref.partition)}/${id}/${String(revision)}-${eventId}.json`;
}

/** What the names of all blobs of one record, and of no other, begin with. */
export function recordBlobs(type: RecordType, ref: PartitionRef, id: string): string {
  return `${ref.tenant}/${type.recordType}/${keyValue(ref.partition)}/${id}/`;
}

/** Blob of many envelopes, one a line. */
export function packBlobName(type: RecordType, tenant: string, uuid: string): string {
  return `${tenant}/${type.recordType}/_packs/${uuid}.jsonl`;
}
