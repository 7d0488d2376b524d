import { LRUCache } from 'lru-cache';
import type { EventDraft } from '../domain/build-event.js';
import type { Clock, Entropy } from '../domain/clock.js';
import { isAppError } from '../domain/errors.js';
import { newId } from '../domain/ids.js';
import type { CallContext, IntegrityFinding } from '../storage/manager-types.js';
import { saidOf, type Log } from '../telemetry/log.js';
import type { AuditEmitter } from './emitter.js';

export interface IntegrityAuditorTools {
  readonly emitter: Pick<AuditEmitter, 'emit'>;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
}

/** One event per finding, hour and process: reading a damaged record again and again must not flood the log. */
const QUIET_MS = 3_600_000;

/** In whose name a finding is told when the name of who met it is part of the damage. */
const NOBODY = 'integrity-auditor';

/** Puts what does not hold together into the audit trail (REQ-STO-023, data integrity violations). */
export class IntegrityAuditor {
  readonly #reported: LRUCache<string, true>;

  constructor(private readonly tools: IntegrityAuditorTools) {
    const perf = { now: () => tools.clock.monotonic() };
    this.#reported = new LRUCache({ max: 10_000, ttl: QUIET_MS, ttlResolution: 0, perf });
  }

  /** Emits `integrity.failed`. Never throws: a finding that cannot be stored is logged. */
  async report(finding: IntegrityFinding, call: CallContext): Promise<void> {
    const key = JSON.stringify([call.tenant, finding.id, finding.revision, finding.what]);
    if (this.#reported.has(key)) return;
    this.#reported.set(key, true);
    const { log } = this.tools;
    log.warn('a stored record does not hold together', {
      tenant: call.tenant,
      reason: `${finding.id} ${finding.what}`,
    });
    try {
      await this.#emit(finding, call);
    } catch (error) {
      this.#reported.delete(key);
      log.warn('an integrity failure could not be audited', { tenant: call.tenant, reason: saidOf(error) });
    }
  }

  /** In the caller's name, or, when that very name cannot be read, in nobody's: then without address and session. */
  async #emit(finding: IntegrityFinding, call: CallContext): Promise<void> {
    const draft = this.#draftOf(finding, call);
    const { ipAddress, sessionId } = call;
    try {
      await this.tools.emitter.emit([{ ...draft, actorName: call.actor, ipAddress, sessionId }]);
    } catch (error) {
      if (!isAppError(error, 'integrity-failure')) throw error;
      await this.tools.emitter.emit([{ ...draft, actorName: NOBODY }]);
    }
  }

  #draftOf(
    { recordType, id, revision, what }: IntegrityFinding,
    { tenant, correlationId }: CallContext,
  ): Omit<EventDraft, 'actor'> {
    const timestampMs = this.tools.clock.now();
    return {
      eventId: newId('evt', timestampMs, this.tools.entropy),
      timestampMs,
      tenant,
      eventType: 'integrity.failed',
      severity: 'critical',
      action: 'read',
      resourceType: recordType,
      resourceId: id,
      outcome: 'failure',
      details: { revision, what },
      correlationId,
    };
  }
}
