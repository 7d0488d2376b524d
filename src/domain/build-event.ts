import {
  EVENT_SCHEMA_VERSION,
  type AuditEvent,
  type AuditEventType,
  type AuditOutcome,
  type AuditSeverity,
} from './audit-event.js';
import type { JsonObject } from './canonical-json.js';
import { formatTime, type Entropy } from './clock.js';
import { commit, newSalt, type Secret, type Secrets } from './commitment.js';

/** What happened, as the code that did it knows it. */
export interface EventDraft {
  /** `evt_<UUIDv7>` made for `timestampMs`. */
  readonly eventId: string;
  /** Milliseconds since 1970; the time in the id. */
  readonly timestampMs: number;
  readonly tenant: string;
  /** Pseudonym `act_…`, never a name. */
  readonly actor: string;
  readonly eventType: AuditEventType;
  readonly severity: AuditSeverity;
  readonly action: string;
  readonly resourceType: string;
  readonly resourceId: string;
  readonly outcome: AuditOutcome;
  /** Holds no sensitive value. */
  readonly details: JsonObject;
  readonly correlationId: string;
  readonly ipAddress?: string | undefined;
  readonly sessionId?: string | undefined;
  /** Only for a change of a record. */
  readonly change?: {
    readonly recordType: string;
    readonly revision: number;
    readonly checksum: string;
    readonly previousChecksum?: string | undefined;
  };
}

/**
 * The event in its final form (audit-ledger.md, Events). Address and session become salted commitments; their secrets,
 * by JSON pointer, travel sealed beside the event and never in it.
 */
export function buildEvent(
  draft: EventDraft,
  entropy: Entropy,
): { readonly event: AuditEvent; readonly secrets: Secrets } {
  const secrets: Record<string, Secret> = {};
  const hide = (pointer: string, value: string): ReturnType<typeof commit> => {
    const secret = { salt: newSalt(entropy), value };
    secrets[pointer] = secret;
    return commit(secret);
  };
  const { change } = draft;
  const event: AuditEvent = {
    schema_version: EVENT_SCHEMA_VERSION,
    event_id: draft.eventId,
    event_type: draft.eventType,
    severity: draft.severity,
    timestamp: formatTime(draft.timestampMs),
    tenant: draft.tenant,
    actor: draft.actor,
    action: draft.action,
    resource_type: draft.resourceType,
    resource_id: draft.resourceId,
    outcome: draft.outcome,
    details: draft.details,
    correlation_id: draft.correlationId,
    ...(draft.ipAddress === undefined ? {} : { ip_address: hide('/ip_address', draft.ipAddress) }),
    ...(draft.sessionId === undefined ? {} : { session_id: hide('/session_id', draft.sessionId) }),
    ...(change === undefined
      ? {}
      : {
          record_type: change.recordType,
          revision: change.revision,
          checksum: change.checksum,
          ...(change.previousChecksum === undefined ? {} : { previous_checksum: change.previousChecksum }),
        }),
  };
  return { event, secrets };
}
