import { canonicalJson, type Json, type JsonObject } from './canonical-json.js';
import type { Commitment } from './commitment.js';
import { AppError } from './errors.js';
import { LIMITS } from './limits.js';

/** Version of the event's shape, part of its bytes. */
export const EVENT_SCHEMA_VERSION = '1.0';

/** What the sealed parts of any event are bound to: this type, the event's id, and revision 0. */
export const SEALED_EVENT_TYPE = 'audit_event';

export type AuditEventType =
  | 'record.created'
  | 'record.updated'
  | 'record.action'
  | 'record.archived'
  | 'record.rehydrated'
  | 'record.disposed'
  | 'record.read'
  | 'subject.erased'
  | 'erasure.requested'
  | 'hold.placed'
  | 'hold.released'
  | 'access.refused'
  | 'integrity.failed'
  | 'job.completed'
  | 'message.poisoned'
  | 'configuration.changed'
  | 'checkpoint.logged'
  | 'external';
export type AuditSeverity = 'info' | 'warning' | 'error' | 'critical';
export type AuditOutcome = 'success' | 'failure';

/** REQ-DATA-006 plus what makes it provable (audit-ledger.md, Events). Optional members are absent, never null. */
export interface AuditEvent {
  readonly schema_version: typeof EVENT_SCHEMA_VERSION;
  /** `evt_<UUIDv7>`; its time is `timestamp`. */
  readonly event_id: string;
  readonly event_type: AuditEventType;
  readonly severity: AuditSeverity;
  /** RFC 3339, UTC, milliseconds. */
  readonly timestamp: string;
  readonly tenant: string;
  /** Pseudonym `act_…`, never a name. */
  readonly actor: string;
  /** The verb: create, patch, vote, … */
  readonly action: string;
  readonly resource_type: string;
  readonly resource_id: string;
  readonly outcome: AuditOutcome;
  readonly details: JsonObject;
  readonly correlation_id: string;
  readonly ip_address?: Commitment;
  readonly session_id?: Commitment;
  /** These four only on a change of a record; `previous_checksum` from the second revision on. */
  readonly record_type?: string;
  readonly revision?: number;
  readonly checksum?: string;
  readonly previous_checksum?: string;
}

/**
 * The final bytes of an event, as text: RFC 8785 canonical JSON. A stream line is exactly these bytes and a newline.
 * Throws `internal-error` above 32 KiB: callers keep details small.
 */
export function eventText(event: AuditEvent): string {
  const text = canonicalJson(event as unknown as Json);
  if (Buffer.byteLength(text) > LIMITS.eventBytes) {
    throw new AppError('internal-error', 'An audit event exceeds 32 KiB.', {
      evidence: { event_id: event.event_id },
    });
  }
  return text;
}
