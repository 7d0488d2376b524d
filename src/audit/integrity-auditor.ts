import { LRUCache } from 'lru-cache';
import type { Clock, Entropy } from '../domain/clock.js';
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
    const { clock, entropy, emitter, log } = this.tools;
    log.warn('a stored record does not hold together', {
      tenant: call.tenant,
      reason: `${finding.id} ${finding.what}`,
    });
    try {
      const timestampMs = clock.now();
      await emitter.emit([
        {
          eventId: newId('evt', timestampMs, entropy),
          timestampMs,
          tenant: call.tenant,
          actorName: call.actor,
          eventType: 'integrity.failed',
          severity: 'critical',
          action: 'read',
          resourceType: finding.recordType,
          resourceId: finding.id,
          outcome: 'failure',
          details: { revision: finding.revision, what: finding.what },
          correlationId: call.correlationId,
          ipAddress: call.ipAddress,
          sessionId: call.sessionId,
        },
      ]);
    } catch (error) {
      this.#reported.delete(key);
      log.warn('an integrity failure could not be audited', { tenant: call.tenant, reason: saidOf(error) });
    }
  }
}
