import type { JsonObject } from '../domain/canonical-json.js';
import type { Clock, Entropy } from '../domain/clock.js';
import { newId } from '../domain/ids.js';
import { LIMITS } from '../domain/limits.js';
import type { CallContext } from '../storage/manager-types.js';
import type { Log } from '../telemetry/log.js';
import type { AuditDraft, AuditEmitter } from './emitter.js';
import { EventBuffer } from './event-buffer.js';

/** How what was shown was asked for: the `action` of its event. */
export type ReadAction =
  'read' | 'as_of' | 'revision' | 'view' | 'list' | 'list_parts' | 'list_revisions' | 'lineage' | 'proof';

/** What an answer shows of records. */
export interface ReadShown {
  readonly action: ReadAction;
  readonly resourceType: string;
  /** `-` for a list: it shows a little of many. */
  readonly resourceId: string;
  /** `sensitive`: whether it may show sensitive values in clear. No value of a record. */
  readonly details: JsonObject & { readonly sensitive: boolean };
}

export interface ReadAuditorTools {
  readonly emitter: Pick<AuditEmitter, 'emit'>;
  readonly clock: Clock;
  /** For waiting that must not keep the process alive. */
  readonly backgroundClock: Pick<Clock, 'sleep'>;
  readonly entropy: Entropy;
  readonly log: Log;
}

/** `AUDIT_READS` (audit-ledger.md, Events). */
export type ReadAuditing = 'buffered' | 'off';

/** Stored within a second: half of it held, half of it for storage. */
const HOLD_MS = 500;
const RETRY_MS = 2000;
/** Tenants that are told of what was dropped at a time; each takes a place of its own, beside those of reads. */
const TOLD_TENANTS = 1000;
const NOBODY = 'read-auditor';

/** A read, or how many reads of a tenant found no room. */
type Entry = { readonly read: AuditDraft } | { readonly tenant: string; dropped: number };

/**
 * Puts into the audit trail who was shown which records (`record.read`), off the caller's path: a read costs no call of
 * storage more. What is held is bounded, and what finds no room is counted and told in one event; what is held is lost
 * with a process that is killed.
 */
export class ReadAuditor {
  readonly #buffer: EventBuffer<Entry>;

  constructor(
    private readonly tools: ReadAuditorTools,
    private readonly mode: ReadAuditing,
    /** Reads whose events may wait at a time. */
    private readonly most: number = LIMITS.readEvents,
  ) {
    this.#buffer = new EventBuffer<Entry>(
      {
        emitter: tools.emitter,
        clock: tools.backgroundClock,
        draftOf: (entry) => ('read' in entry ? entry.read : this.#droppedDraft(entry)),
        onError: (error, lost) => {
          const message = lost === undefined ? 'reads are not audited yet' : 'a read cannot be audited';
          tools.log.warn(message, { reason: String(error), ...(lost === undefined ? {} : { tenant: lost.tenant }) }); // prettier-ignore
        },
      },
      { holdMs: HOLD_MS, retryMs: RETRY_MS, most: most + TOLD_TENANTS },
    );
  }

  /** What a caller was shown. Returns at once and never throws. */
  note({ action, resourceType, resourceId, details }: ReadShown, call: CallContext): void {
    if (this.mode === 'off') return;
    if (this.#buffer.waiting >= this.most) return this.#drop(call.tenant);
    const timestampMs = this.tools.clock.now();
    const eventId = newId('evt', timestampMs, this.tools.entropy);
    const read: AuditDraft = {
      eventId,
      timestampMs,
      tenant: call.tenant,
      actorName: call.actor,
      eventType: 'record.read',
      severity: 'info',
      action,
      resourceType,
      resourceId,
      outcome: 'success',
      details,
      correlationId: call.correlationId,
      ipAddress: call.ipAddress,
      sessionId: call.sessionId,
    };
    this.#buffer.add(eventId, { read });
  }

  /** Stores now what is held. Throws `storage-unavailable` when some of it may not be stored; it is tried again. */
  flush(): Promise<void> {
    return this.#buffer.flush();
  }

  /** Before the process ends: stores what is held, for at most `deadlineMs`. */
  drain(deadlineMs: number): Promise<void> {
    return this.#buffer.drain(deadlineMs);
  }

  #drop(tenant: string): void {
    const key = `dropped ${tenant}`;
    const known = this.#buffer.find(key);
    if (known !== undefined && 'dropped' in known) known.dropped += 1;
    else if (!this.#buffer.add(key, { tenant, dropped: 1 }))
      this.tools.log.warn('a read was neither audited nor counted', { tenant });
  }

  #droppedDraft({ tenant, dropped }: { readonly tenant: string; readonly dropped: number }): AuditDraft {
    const timestampMs = this.tools.clock.now();
    const eventId = newId('evt', timestampMs, this.tools.entropy);
    return {
      eventId,
      timestampMs,
      tenant,
      actorName: NOBODY,
      eventType: 'record.read',
      severity: 'warning',
      action: 'drop',
      resourceType: 'audit_event',
      resourceId: '-',
      outcome: 'failure',
      details: { dropped, sensitive: false },
      correlationId: eventId,
    };
  }
}
