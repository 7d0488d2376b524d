import type { AuditEvent } from '../domain/audit-event.js';
import { buildEvent } from '../domain/build-event.js';
import type { SealedSecrets } from '../domain/commitment.js';
import { newId } from '../domain/ids.js';
import type { AddingDeclaration } from '../domain/parts.js';
import type { RecordType } from '../domain/record-type.js';
import type { CallContext, StorageManagerOptions } from './manager-types.js';
import { sealEvent } from './pending-event.js';

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
  const { entropy, pseudonym, secretBox } = tools;
  const { event, secrets } = buildEvent(
    {
      eventId: newId('evt', nowMs, entropy),
      timestampMs: nowMs,
      tenant: call.tenant,
      actor: await pseudonym(call.tenant, call.actor),
      eventType: 'record.action',
      severity: 'info',
      action: verb,
      resourceType: type.recordType,
      resourceId: id,
      outcome: 'success',
      details,
      correlationId: call.correlationId,
      ipAddress: call.ipAddress,
      sessionId: call.sessionId,
    },
    entropy,
  );
  return { event, sealed: await sealEvent(secretBox, event, secrets, call.actor) };
}
