import { AppError } from '../domain/errors.js';
import { parseId } from '../domain/ids.js';
import type { RecordType } from '../domain/record-type.js';
import type { PartitionRef } from './directory.js';
import { keyValue, monthOf } from './keys.js';

/** `record-not-found`, the same for another tenant's record, a malformed id and one that never existed. */
export function notFound(): AppError {
  return new AppError('record-not-found', 'There is no such record.');
}

/** The partition of a record, from its id alone. Throws `record-not-found` for a malformed or foreign id. */
export function partitionOf(type: RecordType, tenant: string, id: string): PartitionRef {
  const parsed = parseId(id);
  if (parsed?.prefix !== type.idPrefix) throw notFound();
  return { tenant, table: type.table, partition: monthOf(parsed.ms) };
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

/** Blob of many envelopes, one a line. */
export function packBlobName(type: RecordType, tenant: string, uuid: string): string {
  return `${tenant}/${type.recordType}/_packs/${uuid}.jsonl`;
}
