import { acceptCreate, createData } from '../domain/apply-change.js';
import type { BlindIndex } from '../domain/blind-index.js';
import type { Json } from '../domain/canonical-json.js';
import type { Clock, Entropy } from '../domain/clock.js';
import type { SecretBox } from '../domain/commitment.js';
import { everySubjectOf } from '../domain/held.js';
import { newId, parseId } from '../domain/ids.js';
import { LIMITS } from '../domain/limits.js';
import type { RecordType } from '../domain/record-type.js';
import { Budget } from './backoff.js';
import { IdempotencyStore, type Reservation } from './idempotency.js';
import { BLOB_CONTAINERS, QUEUES } from './keys.js';
import type { CallContext, IntegrityFinding } from './manager-types.js';
import {
  OPERATION_PREFIX,
  OperationStore,
  type OperationProblem,
  type StoredOperation,
} from './operations.js';
import { isFault, type StoragePorts } from './ports.js';
import { notFound } from './record-location.js';
import { integrityEvidence } from './record-row.js';
import { openWhole, sealWhole, type WholePlace } from './sealed-text.js';

/** A message of `records-inbox` (http-api.md, Queue). */
export interface InboxMessage {
  readonly schema_version: '1.0';
  readonly tenant: string;
  readonly collection: string;
  readonly idempotency_key: string;
  /** Name of the caller; in our own messages the pseudonym, for the name is sealed. */
  readonly actor: string;
  readonly data?: unknown;
  /** Our own messages: caller and data, encrypted for the operation. */
  readonly sealed?: string;
  /**
   * Blob of container `records`, below the tenant's `_inbox/`, when the data is too large for a message: the data, or, in
   * our own messages, a JSON text like `sealed`.
   */
  readonly data_ref?: string;
  readonly operation_id?: string;
}

/** What our own messages seal. */
export interface InboxContent {
  readonly actor: string;
  readonly data: unknown;
}

/** What the content of a message is sealed for. */
const contentPlace = (tenant: string, operationId: string): WholePlace => ({ tenant, type: 'inbox_message', id: operationId }); // prettier-ignore

/** Throws `integrity-failure` for a text that is not what was sealed for the operation. */
export async function openContent(
  secretBox: SecretBox,
  tenant: string,
  operationId: string,
  sealed: string,
): Promise<InboxContent> {
  return (await openWhole(secretBox, contentPlace(tenant, operationId), sealed)) as unknown as InboxContent;
}

/** What the API says of an operation. */
export interface OperationView {
  readonly operation_id: string;
  readonly status: 'pending' | 'succeeded' | 'failed';
  readonly record_id: string | null;
  readonly problem: OperationProblem | null;
}

/** What may be promised: records of a type, or something else that is stored under an id that is known before. */
export interface PromisedCollection {
  /** Path segment, e.g. `decisions`. */
  readonly collection: string;
  /** Fixes id and time of what a body will be stored as. Throws `record-invalid` and whatever a POST would refuse. */
  readonly accept: (
    body: unknown,
    context: { readonly nowMs: number; readonly entropy: Entropy; readonly actor: string },
  ) => PromisedContent;
}

/** What a body will be stored as. */
export interface PromisedContent {
  readonly id: string;
  readonly createdMs: number;
  /** Whom it is about, by name; its caller besides. */
  readonly subjects?: readonly string[];
}

/** An operation that was accepted now, or before under the same key. */
export interface AcceptedOperation {
  readonly operation: OperationView;
  readonly replayed: boolean;
}

export interface InboxTools {
  readonly ports: StoragePorts;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly secretBox: SecretBox;
  readonly blindIndex: BlindIndex;
  /** The pseudonym that stands for a caller where others can read it. */
  readonly pseudonym: (tenant: string, name: string) => Promise<string>;
  /** What became of an operation that waits for storage, and not for a message. */
  readonly look?: (operation: StoredOperation, call: CallContext) => Promise<StoredOperation>;
  /** Audits a damaged operation. Must not throw. */
  readonly onIntegrityFailure?: (finding: IntegrityFinding, call: CallContext) => Promise<void>;
}

/** Accepts writes that are stored later. The operation's row is the promise; the message is only its reminder. */
export class Inbox {
  readonly #operations: OperationStore;
  readonly #idempotency: IdempotencyStore;

  constructor(private readonly tools: InboxTools) {
    this.#operations = new OperationStore(tools.ports.tables);
    this.#idempotency = new IdempotencyStore(
      tools.ports.tables,
      tools.clock,
      tools.entropy,
      tools.blindIndex,
    );
  }

  /**
   * Validates now, stores the operation, then sends the message. Throws `record-invalid` and stores nothing for a bad
   * body. A crash between row and message is mended by repeating the request with its key: a pending operation's
   * message is then sent again, and a duplicate stores nothing twice.
   */
  accept(type: RecordType, body: unknown, call: CallContext): Promise<AcceptedOperation> {
    return this.promise(recordsOf(type), body, call);
  }

  /** As `accept`, for what is no record. */
  async promise(target: PromisedCollection, body: unknown, call: CallContext): Promise<AcceptedOperation> {
    const { clock, entropy } = this.tools;
    const budget = new Budget(clock, entropy);
    const nowMs = clock.now();
    const {
      id: recordId,
      createdMs,
      subjects = [],
    } = target.accept(body, { nowMs, entropy, actor: call.actor });
    const fresh = newId(OPERATION_PREFIX, nowMs, entropy);
    const reserved = await this.#reserve(call, [fresh, recordId], budget);
    if ('replay' in reserved) {
      if (reserved.replay.status === 'pending')
        await this.#send(target, body, subjects, call, reserved.replay, budget);
      return { operation: viewOf(reserved.replay), replayed: true };
    }
    const [id, fixedRecordId] = reserved.ids as [string, string];
    const operation = {
      id,
      tenant: call.tenant,
      collection: target.collection,
      recordId: fixedRecordId,
      createdMs: parseId(fixedRecordId)?.ms ?? createdMs,
      status: 'pending' as const,
      problem: undefined,
      fingerprint: reserved.fingerprint,
    };
    await this.#operations.insert(operation, budget);
    await this.#send(target, body, subjects, call, operation, budget);
    return { operation: viewOf(operation), replayed: false };
  }

  /** Throws `record-not-found`. */
  async getOperation(id: string, call: CallContext): Promise<OperationView> {
    const budget = new Budget(this.tools.clock, this.tools.entropy);
    try {
      const operation = await this.#operations.find(call.tenant, id, budget);
      if (operation === undefined) throw notFound();
      return viewOf((await this.tools.look?.(operation, call)) ?? operation);
    } catch (error) {
      const evidence = integrityEvidence(error);
      if (evidence !== undefined)
        await this.tools.onIntegrityFailure?.({ recordType: 'operation', ...evidence }, call);
      throw error;
    }
  }

  async #reserve(
    call: CallContext,
    ids: readonly string[],
    budget: Budget,
  ): Promise<
    { readonly ids: readonly string[]; readonly fingerprint: string } | { readonly replay: StoredOperation }
  > {
    // Without a key there is no request that could come again.
    if (call.idempotency === undefined) return { ids, fingerprint: 'none' };
    const committed = async (reservation: Reservation) => {
      const operation = await this.#operations.find(call.tenant, reservation.ids[0] as string, budget);
      if (operation === undefined) return undefined;
      return { fingerprint: operation.fingerprint, result: () => Promise.resolve(operation) };
    };
    const reserved = await this.#idempotency.reserve(call.tenant, call.idempotency, ids, committed, budget);
    return 'replay' in reserved ? reserved : reserved.reservation;
  }

  async #send(
    { collection }: PromisedCollection,
    body: unknown,
    subjects: readonly string[],
    call: CallContext,
    operation: Pick<StoredOperation, 'id'>,
    budget: Budget,
  ): Promise<void> {
    const head = {
      schema_version: '1.0' as const,
      tenant: call.tenant,
      collection,
      idempotency_key: operation.id,
      actor: await this.tools.pseudonym(call.tenant, call.actor),
      operation_id: operation.id,
    };
    const content = { actor: call.actor, data: body as Json };
    const about = [call.actor, ...subjects];
    const sealed = await sealWhole(this.tools, contentPlace(call.tenant, operation.id), content, about);
    const whole = JSON.stringify({ ...head, sealed } satisfies InboxMessage);
    const text = fitsMessage(whole) ? whole : await this.#checkIn(head, sealed, budget);
    await budget.retry(() => this.tools.ports.queues.send(QUEUES.inbox, text));
  }

  /** Claim check: data too large for a message waits in a blob that the message names. */
  async #checkIn(head: InboxMessage, sealed: string, budget: Budget): Promise<string> {
    const name = `${inboxPrefix(head.tenant)}${head.operation_id ?? ''}.json`;
    const bytes = Buffer.from(JSON.stringify(sealed), 'utf8');
    try {
      await budget.retry(() =>
        this.tools.ports.blobs.putOnce(BLOB_CONTAINERS.records, name, bytes, 'application/json'),
      );
    } catch (error) {
      // Named by the operation: whoever wrote it sealed the same body.
      if (!isFault(error, 'exists')) throw error;
    }
    return JSON.stringify({ ...head, data_ref: name } satisfies InboxMessage);
  }
}

function recordsOf(type: RecordType): PromisedCollection {
  return {
    collection: type.collection,
    accept: (body, { nowMs, entropy, actor }) => {
      const accepted = acceptCreate(type, body, nowMs);
      const id = newId(type.idPrefix, accepted.createdMs, entropy);
      const data = createData(type, accepted, { id, nowMs, actor });
      return { id, createdMs: accepted.createdMs, subjects: everySubjectOf(data, type.subjects) };
    },
  };
}

/** Blobs that messages of a tenant may refer to begin with this. */
export function inboxPrefix(tenant: string): string {
  return `${tenant}/_inbox/`;
}

/** Whether a text is carried in one message once it is base64. */
export function fitsMessage(text: string): boolean {
  return Math.ceil(Buffer.byteLength(text) / 3) * 4 <= LIMITS.messageBytes;
}

/** An operation as the API shows it. */
export function viewOf(operation: Omit<StoredOperation, 'etag'>): OperationView {
  return {
    operation_id: operation.id,
    status: operation.status,
    record_id: operation.status === 'succeeded' ? operation.recordId : null,
    problem: operation.problem ?? null,
  };
}
