import { createHash } from 'node:crypto';
import { v7 } from 'uuid';
import type { AuditEmitter } from '../audit/emitter.js';
import { formatTime, type Clock, type Entropy } from '../domain/clock.js';
import type { SecretBox } from '../domain/commitment.js';
import { AppError } from '../domain/errors.js';
import { everySubjectOf } from '../domain/held.js';
import { isObject } from '../domain/merge-patch.js';
import type { RecordType } from '../domain/record-type.js';
import { fitsMessage } from '../storage/inbox.js';
import { BLOB_CONTAINERS, QUEUES, SYSTEM_TENANT } from '../storage/keys.js';
import { isFault, type StoragePorts } from '../storage/ports.js';
import { openWhole, sealWhole, type WholePlace } from '../storage/sealed-text.js';
import type { Delivery } from './delivery.js';
import { jsonText } from './json-text.js';

export interface PoisonTools {
  readonly ports: StoragePorts;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly secretBox: SecretBox;
  readonly types: { findByCollection(collection: string): RecordType | undefined };
  readonly audit: Pick<AuditEmitter, 'emit'>;
}

/** What says of a poisoned message everything but what it brought. */
interface PoisonHead {
  readonly message_id: string;
  /** Whose message it is; the platform's own where it names no tenant. */
  readonly tenant: string;
}

/**
 * Sets messages aside that can never succeed; they stay until an operator acts. What they bring may be anything, so all of
 * it is sealed, under the keys of everybody that it names as whom it is about, so that it is erased with them; where it names
 * nobody, under that of the tenant that it names, or the platform's own.
 */
export class PoisonBox {
  constructor(private readonly tools: PoisonTools) {}

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
    const { audit, clock, ports } = this.tools;
    const timestampMs = delivery.insertedMs ?? clock.now();
    const owner = tenant ?? SYSTEM_TENANT;
    await audit.emit([
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
      tenant: owner,
      poisoned_at: formatTime(clock.now()),
      deliveries: delivery.dequeueCount,
      reason: { code: reason.code, detail: reason.message, ...(reason.issues.length > 0 ? { errors: reason.issues } : {}) }, // prettier-ignore
    };
    const message = await sealWhole(this.tools, placeOf(head), jsonText(payload), this.#namedIn(payload));
    const whole = JSON.stringify({ ...head, message });
    const text = fitsMessage(whole) ? whole : await this.#checkIn(head, message);
    await ports.queues.send(QUEUES.inboxPoison, text);
  }

  /**
   * The JSON text of the message that was set aside, as it came: put on `records-inbox` again, it is tried again. `poisoned`
   * is a message of `records-inbox-poison`. Throws `integrity-failure` where it is not what was set aside,
   * `storage-unavailable`.
   */
  async original(poisoned: PoisonHead & { readonly message?: string; readonly message_ref?: string }): Promise<string> {
    const sealed = poisoned.message ?? (await this.#checkedIn(poisoned));
    return (await openWhole(this.tools.secretBox, placeOf(poisoned), sealed)) as string;
  } // prettier-ignore

  /** Its sender, and whom its data names by the rules of its type, as far as it has any of that. */
  #namedIn(payload: unknown): readonly string[] {
    if (!isObject(payload)) return [];
    const { actor, collection, data } = payload;
    const type = typeof collection === 'string' ? this.tools.types.findByCollection(collection) : undefined;
    const own = typeof actor === 'string' && actor !== '' ? [actor] : [];
    // What is half a character is nobody's name: no record could have it.
    return [...new Set([...own, ...everySubjectOf(data, type?.subjects)])].filter((name) =>
      name.isWellFormed(),
    );
  }

  /** A message that is too large once the reason is added waits in a blob. */
  async #checkIn(head: PoisonHead, message: string): Promise<string> {
    const name = blobName(head);
    try {
      const bytes = Buffer.from(JSON.stringify(message), 'utf8');
      await this.tools.ports.blobs.putOnce(BLOB_CONTAINERS.records, name, bytes, 'application/json');
    } catch (error) {
      if (!isFault(error, 'exists')) throw error;
    }
    return JSON.stringify({ ...head, message_ref: name });
  }

  async #checkedIn(head: PoisonHead): Promise<string> {
    const found = await this.tools.ports.blobs.find(BLOB_CONTAINERS.records, blobName(head));
    if (found === undefined) throw new AppError('integrity-failure', 'What was set aside is gone.');
    return JSON.parse(Buffer.from(found.bytes).toString('utf8')) as string;
  }
}

const blobName = ({ tenant, message_id: id }: PoisonHead): string => `${tenant}/_poison/${id}.json`;
const placeOf = ({ tenant, message_id: id }: PoisonHead): WholePlace => ({ tenant, type: 'poison_message', id }); // prettier-ignore
