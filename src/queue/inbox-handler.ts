import type { ExternalEvents } from '../audit/external-events.js';
import { AppError, isAppError } from '../domain/errors.js';
import type { Clock, Entropy } from '../domain/clock.js';
import type { SecretBox } from '../domain/commitment.js';
import { parseId } from '../domain/ids.js';
import { parseJsonSource } from '../domain/json-source.js';
import { LIMITS } from '../domain/limits.js';
import type { RecordType } from '../domain/record-type.js';
import { Budget } from '../storage/backoff.js';
import { fingerprintOf, scopeOf } from '../storage/idempotency.js';
import { inboxPrefix, openContent, type InboxContent, type InboxMessage } from '../storage/inbox.js';
import { BLOB_CONTAINERS } from '../storage/keys.js';
import type { CallContext } from '../storage/manager-types.js';
import { OperationStore, type StoredOperation } from '../storage/operations.js';
import { isFault, type StoragePorts } from '../storage/ports.js';
import type { UnifiedStorageManager } from '../storage/unified-storage-manager.js';
import type { Delivery } from './delivery.js';
import { DISPOSITIONS } from './disposition.js';
import { parseInboxMessage, tenantOf } from './inbox-message.js';
import type { PoisonBox } from './poison-box.js';

/** Deliveries of a message before it is set aside; host.json's `maxDequeueCount` is the same number. */
export const MAX_DELIVERIES = 10;

export interface InboxHandlerOptions {
  readonly manager: UnifiedStorageManager;
  readonly types: { findByCollection(collection: string): RecordType | undefined };
  readonly externalEvents: ExternalEvents;
  readonly ports: StoragePorts;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly poison: PoisonBox;
  readonly secretBox: SecretBox;
}

/** Stores what a collection's messages bring, as a POST to it would; what was promised, under the promised id. */
interface Store {
  store(data: unknown, call: CallContext): Promise<unknown>;
  storePromised(
    data: unknown,
    promised: { readonly id: string; readonly createdMs: number },
    call: CallContext,
  ): Promise<unknown>;
}

/** Stores what inbox messages promise, by the same path as a POST. */
export class InboxHandler {
  readonly #operations: OperationStore;

  constructor(private readonly options: InboxHandlerOptions) {
    this.#operations = new OperationStore(options.ports.tables);
  }

  /**
   * One delivery. Returning means the message is done with; throwing means deliver it again. A message that can never
   * succeed is set aside at its first delivery, with the reason and an audit event; a transient failure is retried.
   */
  async handle(payload: unknown, delivery: Delivery): Promise<void> {
    const budget = new Budget(this.options.clock, this.options.entropy);
    let operation: StoredOperation | undefined;
    try {
      const message = parseInboxMessage(payload);
      operation = await this.#operationOf(message, budget);
      if (operation !== undefined && operation.status !== 'pending') return;
      const store = this.#storeOf(message.collection);
      const content = await this.#contentOf(message, budget);
      await this.#store(store, message, content, operation, delivery);
      if (operation !== undefined) await this.#operations.finish(operation, { status: 'succeeded' }, budget);
    } catch (error) {
      const reason = bounded(reasonOf(error));
      const hopeless = DISPOSITIONS[reason.code] === 'poison' || delivery.dequeueCount >= MAX_DELIVERIES;
      if (!hopeless) throw error;
      await this.options.poison.setAside(payload, tenantOf(payload), reason, delivery);
      if (operation !== undefined) {
        const errors = reason.issues.length === 0 ? {} : { errors: reason.issues };
        const problem = { code: reason.code, detail: reason.message, ...errors };
        await this.#operations.finish(operation, { status: 'failed', problem }, budget);
      }
    }
  }

  async #operationOf(message: InboxMessage, budget: Budget): Promise<StoredOperation | undefined> {
    if (message.operation_id === undefined) return undefined;
    const operation = await this.#operations.find(message.tenant, message.operation_id, budget);
    // The row is written before the message is sent and outlives it.
    if (operation === undefined)
      throw new AppError('record-not-found', 'The message names an unknown operation.');
    if (operation.collection !== message.collection) {
      throw new AppError('record-invalid', 'The operation is of another collection.');
    }
    return operation;
  }

  /** Whose data a message brings: our own messages are sealed, those of other producers in clear. */
  async #contentOf(message: InboxMessage, budget: Budget): Promise<InboxContent> {
    const { actor, sealed, data_ref: name } = message;
    if (sealed !== undefined) return this.#opened(message, sealed);
    if (name === undefined) return { actor, data: message.data };
    const data = await this.#referredTo(name, message, budget);
    // No collection takes a text for a body: it is one of ours.
    return typeof data === 'string' ? this.#opened(message, data) : { actor, data };
  }

  #opened({ tenant, operation_id: operation = '' }: InboxMessage, sealed: string): Promise<InboxContent> {
    return openContent(this.options.secretBox, tenant, operation, sealed);
  }

  async #referredTo(name: string, message: InboxMessage, budget: Budget): Promise<unknown> {
    const bytes = await this.#blobOf(name, message.tenant, budget);
    if (bytes.length > LIMITS.recordBytes)
      throw new AppError('payload-too-large', 'The data is larger than 8 MiB.');
    let text: string;
    try {
      text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    } catch {
      throw new AppError('request-malformed', 'The blob of data_ref is not UTF-8.');
    }
    return parseJsonSource(text, 'The blob of data_ref');
  }

  /** One byte more than any record has tells one that is too large, however large it is. */
  async #blobOf(name: string, tenant: string, budget: Budget): Promise<Uint8Array> {
    // A storage client takes dots in a name for what they mean in a path, and would leave the folder.
    if (!name.startsWith(inboxPrefix(tenant)) || /\\|(^|\/)\.{1,2}(\/|$)/.test(name)) {
      throw new AppError('record-invalid', 'data_ref must name a blob of the tenant.');
    }
    const range = { offset: 0, length: LIMITS.recordBytes + 1 };
    try {
      const content = await budget.retry(() =>
        this.options.ports.blobs.find(BLOB_CONTAINERS.records, name, range),
      );
      if (content !== undefined) return content.bytes;
    } catch (error) {
      if (!isFault(error, 'range')) throw error;
      return new Uint8Array();
    }
    throw new AppError('record-invalid', 'data_ref names a blob that is not there.');
  }

  /** Who stores what is meant for a collection. Throws `record-not-found`. */
  #storeOf(collection: string): Store {
    const { manager, types, externalEvents } = this.options;
    if (collection === externalEvents.collection) return externalEvents;
    const type = types.findByCollection(collection);
    if (type === undefined) throw new AppError('record-not-found', 'There is no such collection.');
    return {
      store: (data, call) => manager.create(type, data, call),
      storePromised: (data, promised, call) => manager.createPromised(type, data, promised, call),
    };
  }

  async #store(
    store: Store,
    message: InboxMessage,
    { actor, data }: InboxContent,
    operation: StoredOperation | undefined,
    delivery: Delivery,
  ): Promise<void> {
    const call: CallContext = {
      tenant: message.tenant,
      actor,
      correlationId: operation?.id ?? delivery.messageId,
    };
    if (operation !== undefined) {
      const createdMs = parseId(operation.recordId)?.ms ?? operation.createdMs;
      await store.storePromised(data, { id: operation.recordId, createdMs }, call);
      return;
    }
    const scope = scopeOf(actor, `/api/${message.collection}`);
    const idempotency = { key: message.idempotency_key, scope, fingerprint: fingerprintOf(data) };
    await store.store(data, { ...call, idempotency });
  }
}

/** Of the faults of a message, so many and so much of each are told: the reason has to fit into a message and a row. */
const ISSUES_AT_MOST = 20;
const POINTER_CHARS = 256;

function bounded(reason: AppError): AppError {
  if (reason.issues.length === 0) return reason;
  const issues = reason.issues
    .slice(0, ISSUES_AT_MOST)
    .map(({ pointer, detail }) => ({ pointer: pointer.slice(0, POINTER_CHARS), detail }));
  return new AppError(reason.code, reason.message, { cause: reason, issues });
}

function reasonOf(error: unknown): AppError {
  if (isAppError(error)) return error;
  const code = isFault(error, 'unavailable') ? 'storage-unavailable' : 'internal-error';
  return new AppError(code, 'The message could not be stored.', { cause: error });
}
