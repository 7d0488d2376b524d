import { z } from 'zod';
import { parseShape } from '../domain/apply-change.js';
import type { AuditEvent } from '../domain/audit-event.js';
import type { BlindIndex } from '../domain/blind-index.js';
import type { Json } from '../domain/canonical-json.js';
import { parseTime, type Clock, type Entropy } from '../domain/clock.js';
import { AppError, invalid } from '../domain/errors.js';
import { newId, parseId } from '../domain/ids.js';
import { jsonIssues } from '../domain/json-input.js';
import { LIMITS } from '../domain/limits.js';
import { dictionary, label, time } from '../domain/schema-parts.js';
import { Budget } from '../storage/backoff.js';
import { IdempotencyStore, type Reservation } from '../storage/idempotency.js';
import type { PromisedCollection } from '../storage/inbox.js';
import type { CallContext } from '../storage/manager-types.js';
import type { RecordTable } from '../storage/ports.js';
import type { AuditReader } from './audit-reader.js';
import type { AuditDraft, AuditEmitter } from './emitter.js';

/** REQ-DATA-006, as another system posts it. */
export const submittedEvent = z.strictObject({
  event_type: label(),
  action: label(),
  resource_type: label(),
  resource_id: label(),
  outcome: z.enum(['success', 'failure']),
  severity: z.enum(['info', 'warning', 'error', 'critical']).default('info'),
  timestamp: time().optional(),
  details: dictionary().default({}),
  ip_address: label().optional(),
  session_id: label().optional(),
});

export interface ExternalEventTools {
  readonly tables: RecordTable;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly emitter: AuditEmitter;
  readonly reader: AuditReader;
  readonly blindIndex: BlindIndex;
}

/**
 * Audit events of other systems (REQ-DATA-006): into the same stream as our own, as `external`, with what the other
 * system calls the event, and its details, in `details`. The actor is the caller.
 */
export class ExternalEvents implements PromisedCollection {
  readonly collection = 'audit-events';
  readonly #idempotency: IdempotencyStore;

  constructor(private readonly tools: ExternalEventTools) {
    this.#idempotency = new IdempotencyStore(tools.tables, tools.clock, tools.entropy, tools.blindIndex);
  }

  /** What an operation of the inbox fixes: the event's id, which carries its time. Throws as `store` does. */
  readonly accept: PromisedCollection['accept'] = (body, { nowMs, entropy }) => {
    const { timestampMs: createdMs } = accept(body, nowMs);
    return { id: newId('evt', createdMs, entropy), createdMs };
  };

  /** Stores the event of an operation; repeating is harmless. */
  async storePromised(
    body: unknown,
    promised: { readonly id: string; readonly createdMs: number },
    call: CallContext,
  ): Promise<void> {
    await this.tools.emitter.emit([draftOf(accept(body, promised.createdMs), promised, call)]);
  }

  /**
   * Stores an event: one transaction, and one insert more with a key. Throws `record-invalid`; `payload-too-large` when
   * the event is larger than 32 KiB.
   */
  async store(
    body: unknown,
    call: CallContext,
  ): Promise<{ readonly event: AuditEvent; readonly replayed: boolean }> {
    const { clock, entropy, emitter, reader } = this.tools;
    const budget = new Budget(clock, entropy);
    const accepted = accept(body, clock.now());
    const { timestampMs } = accepted;
    const reserved = await this.#reserve(call, newId('evt', timestampMs, entropy), budget);
    if ('replay' in reserved) return { event: reserved.replay, replayed: true };
    // The id carries the time: an attempt that takes over stores what the first one would have.
    const { id } = reserved;
    await emitter.emit([draftOf(accepted, { id, createdMs: parseId(id)?.ms ?? timestampMs }, call)]);
    return { event: await reader.get(id, call), replayed: false };
  }

  async #reserve(
    call: CallContext,
    fresh: string,
    budget: Budget,
  ): Promise<{ readonly id: string } | { readonly replay: AuditEvent }> {
    if (call.idempotency === undefined) return { id: fresh };
    const fingerprint = call.idempotency.fingerprint;
    const committed = async ({ ids, fingerprint: first }: Reservation) => {
      const stored = await this.tools.reader.find(ids[0] as string, call);
      if (stored === undefined) return undefined;
      const { leaf_index: _, ...event } = stored;
      return { fingerprint: first, result: () => Promise.resolve<AuditEvent>(event) };
    };
    const reserved = await this.#idempotency.reserve(call.tenant, { ...call.idempotency, fingerprint }, [fresh], committed, budget); // prettier-ignore
    return 'replay' in reserved ? reserved : { id: reserved.reservation.ids[0] as string };
  }
}

function draftOf(
  accepted: ReturnType<typeof accept>,
  { id, createdMs }: { readonly id: string; readonly createdMs: number },
  call: CallContext,
): AuditDraft {
  return {
    ...accepted,
    eventId: id,
    timestampMs: createdMs,
    tenant: call.tenant,
    actorName: call.actor,
    eventType: 'external',
    correlationId: call.correlationId,
  };
}

function accept(body: unknown, nowMs: number) {
  const issues = jsonIssues(body);
  if (issues.length > 0) throw invalid(issues);
  const event = parseShape(submittedEvent, body);
  const timestampMs = event.timestamp === undefined ? nowMs : (parseTime(event.timestamp) ?? nowMs);
  if (timestampMs > nowMs + LIMITS.createdAtAheadMs)
    throw invalid([{ pointer: '/timestamp', detail: 'must be at most 5 minutes ahead' }]);
  const details = { event_type: event.event_type, details: event.details as Json };
  // Far enough from the limit of the whole event that its other members always fit.
  if (Buffer.byteLength(JSON.stringify(details)) > LIMITS.eventBytes - 4096)
    throw new AppError('payload-too-large', 'The details of an audit event are at most 28 KiB.');
  return {
    timestampMs,
    severity: event.severity,
    action: event.action,
    resourceType: event.resource_type,
    resourceId: event.resource_id,
    outcome: event.outcome,
    details,
    ipAddress: event.ip_address,
    sessionId: event.session_id,
  };
}
