import { createHash } from 'node:crypto';
import { v7 } from 'uuid';
import type { AuditEmitter } from '../audit/emitter.js';
import type { Clock } from '../domain/clock.js';
import { formatTime } from '../domain/clock.js';
import type { AppError } from '../domain/errors.js';
import { fitsMessage } from '../storage/inbox.js';
import { BLOB_CONTAINERS, QUEUES, SYSTEM_TENANT } from '../storage/keys.js';
import { isFault, type StoragePorts } from '../storage/ports.js';
import type { Delivery } from './delivery.js';
import { jsonText } from './json-text.js';

/** Sets messages aside that can never succeed; they stay until an operator acts. */
export class PoisonBox {
  constructor(
    private readonly ports: StoragePorts,
    private readonly clock: Clock,
    private readonly audit: Pick<AuditEmitter, 'emit'>,
  ) {}

  /**
   * Audits, then puts the message with its reason on `records-inbox-poison`. The event's id follows from the message's,
   * so a delivery that is repeated after a crash adds no second event.
   */
  async setAside(
    payload: unknown,
    tenant: string | undefined,
    reason: AppError,
    delivery: Delivery,
  ): Promise<void> {
    const timestampMs = delivery.insertedMs ?? this.clock.now();
    const owner = tenant ?? SYSTEM_TENANT;
    await this.audit.emit([
      {
        eventId: `evt_${v7({ msecs: timestampMs, random: createHash('sha256').update(delivery.messageId).digest() })}`,
        timestampMs,
        tenant: owner,
        actorName: QUEUES.inbox,
        eventType: 'message.poisoned',
        severity: 'error',
        action: 'poison',
        resourceType: 'message',
        resourceId: delivery.messageId,
        outcome: 'failure',
        details: { code: reason.code, deliveries: delivery.dequeueCount, queue: QUEUES.inbox },
        correlationId: delivery.invocationId,
      },
    ]);
    const head = {
      schema_version: '1.0',
      message_id: delivery.messageId,
      poisoned_at: formatTime(this.clock.now()),
      deliveries: delivery.dequeueCount,
      reason: { code: reason.code, detail: reason.message, ...(reason.issues.length > 0 ? { errors: reason.issues } : {}) }, // prettier-ignore
    };
    const message = jsonText(payload);
    const whole = `${JSON.stringify(head).slice(0, -1)},"message":${message}}`;
    const text = fitsMessage(whole) ? whole : await this.#checkIn(head, message, owner);
    await this.ports.queues.send(QUEUES.inboxPoison, text);
  }

  /** A message that is too large once the reason is added waits in a blob. */
  async #checkIn(head: { readonly message_id: string }, message: string, owner: string): Promise<string> {
    const name = `${owner}/_poison/${head.message_id}.json`;
    try {
      const bytes = Buffer.from(message, 'utf8');
      await this.ports.blobs.putOnce(BLOB_CONTAINERS.records, name, bytes, 'application/json');
    } catch (error) {
      if (!isFault(error, 'exists')) throw error;
    }
    return JSON.stringify({ ...head, message_ref: name });
  }
}
