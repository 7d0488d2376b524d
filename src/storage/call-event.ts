import type { AuditEvent } from '../domain/audit-event.js';
import { buildEvent, type EventDraft } from '../domain/build-event.js';
import type { SealedSecrets } from '../domain/commitment.js';
import { newId } from '../domain/ids.js';
import type { CallContext, StorageManagerOptions } from './manager-types.js';
import { sealEvent } from './pending-event.js';

/** What a call did, and to what. */
export type CallDeed = Pick<
  EventDraft,
  'timestampMs' | 'eventType' | 'action' | 'resourceType' | 'resourceId' | 'details' | 'change'
> &
  Partial<Pick<EventDraft, 'outcome'>>;

/** The event of something that a call did, in the name of its caller, and what of it is sealed. */
export async function callEvent(
  { entropy, pseudonym, secretBox }: Pick<StorageManagerOptions, 'entropy' | 'pseudonym' | 'secretBox'>,
  call: CallContext,
  deed: CallDeed,
): Promise<{ readonly event: AuditEvent; readonly sealed: SealedSecrets }> {
  const { event, secrets } = buildEvent(
    {
      ...deed,
      eventId: newId('evt', deed.timestampMs, entropy),
      tenant: call.tenant,
      actor: await pseudonym(call.tenant, call.actor),
      severity: 'info',
      outcome: deed.outcome ?? 'success',
      correlationId: call.correlationId,
      ipAddress: call.ipAddress,
      sessionId: call.sessionId,
    },
    entropy,
  );
  return { event, sealed: await sealEvent(secretBox, event, secrets, call.actor) };
}
