import type { AuditEvent } from '../domain/audit-event.js';
import type { SealedSecrets } from '../domain/commitment.js';
import type { AddingDeclaration } from '../domain/parts.js';
import type { RecordType } from '../domain/record-type.js';
import { callEvent } from './call-event.js';
import type { CallContext, StorageManagerOptions } from './manager-types.js';

/** The event of an entry: of the record, but of none of its revisions. */
export async function partEvent(
  tools: Pick<StorageManagerOptions, 'entropy' | 'pseudonym' | 'secretBox'>,
  type: RecordType,
  { verb }: AddingDeclaration,
  id: string,
  call: CallContext,
  nowMs: number,
  details: AuditEvent['details'],
): Promise<{ readonly event: AuditEvent; readonly sealed: SealedSecrets }> {
  const resource = { resourceType: type.recordType, resourceId: id };
  return callEvent(tools, call, { eventType: 'record.action', action: verb, ...resource, timestampMs: nowMs, details }); // prettier-ignore
}
