import pLimit from 'p-limit';
import { createData, acceptCreate, type AcceptedCreate } from '../domain/apply-change.js';
import { AppError, invalid, isAppError, type Issue } from '../domain/errors.js';
import type { EnvelopeHead } from '../domain/envelope.js';
import { newId, parseId } from '../domain/ids.js';
import { LIMITS } from '../domain/limits.js';
import type { RecordType } from '../domain/record-type.js';
import { Budget } from './backoff.js';
import { commitPlan } from './commit.js';
import type { PartitionRef } from './directory.js';
import { IdempotencyStore, type Reservation } from './idempotency.js';
import { findKeyedResult, findOwnResult, keyedRow, partHash, type KeyedResult } from './keyed-result.js';
import { BLOB_CONTAINERS, partitionKey, revisionKey } from './keys.js';
import type { CallContext, StorageManagerOptions, WrittenBatch } from './manager-types.js';
import { factsOf, newRevision, type NewRevision } from './new-revision.js';
import { isFault, type Row } from './ports.js';
import { packBlobName, partitionOf } from './record-location.js';
import { envelopeHead, parseRevisionRow } from './record-row.js';
import { revisionOperations, type WritePlan } from './write-plan.js';

/** Transactions of one batch that are under way at once. */
const PARALLEL = 4;

/** The items of a batch that are committed together: same partition, at most 100 rows with the key's row. */
interface Chunk {
  readonly part: number;
  readonly ref: PartitionRef;
  readonly ids: readonly string[];
}

/**
 * Creates up to 100 records: their details as one pack, their rows in as few transactions as the service allows. Not
 * atomic against a storage fault: interrupted is 503, and the same idempotency key completes it.
 */
export class BatchWriter {
  readonly #idempotency: IdempotencyStore;

  constructor(private readonly tools: StorageManagerOptions) {
    this.#idempotency = new IdempotencyStore(tools.ports.tables, tools.clock, tools.entropy);
  }

  /** Throws `record-invalid` with pointers below `/items` when any item is invalid; nothing is stored then. */
  async create(type: RecordType, bodies: readonly unknown[], call: CallContext): Promise<WrittenBatch> {
    const budget = new Budget(this.tools.clock, this.tools.entropy);
    const accepted = acceptAll(type, bodies, this.tools.clock.now());
    const ids = accepted.map((item) => newId(type.idPrefix, item.createdMs, this.tools.entropy));
    const reserved = await this.#reserve(type, call, ids, budget);
    if ('replay' in reserved) return { items: reserved.replay, replayed: true };
    const { reservation } = reserved;
    const fixedIds = reservation?.ids ?? ids;
    const revisions = await this.#revisions(type, accepted, fixedIds, call);
    const plans = await this.#writePack(type, revisions, call, reservation, budget);
    const limit = pLimit(PARALLEL);
    await Promise.all(
      plans.map(({ plan, chunk }) => limit(() => this.#commit(plan, chunk, reservation, budget))),
    );
    return { items: await this.#heads(type, call, revisions, reservation, budget), replayed: false };
  }

  async #revisions(
    type: RecordType,
    accepted: readonly AcceptedCreate[],
    ids: readonly string[],
    call: CallContext,
  ): Promise<NewRevision[]> {
    const nowMs = this.tools.clock.now();
    const revisions: NewRevision[] = [];
    for (const [at, item] of accepted.entries()) {
      const id = ids[at] as string;
      // The id carries the time: an attempt that takes over stores what the first one would have.
      const createdMs = parseId(id)?.ms ?? item.createdMs;
      const data = createData(type, { ...item, createdMs }, { id, nowMs, actor: call.actor });
      const name = { eventType: 'record.created', action: 'create', details: {} } as const;
      revisions.push(await newRevision(this.tools, type, id, data, undefined, name, call));
    }
    return revisions;
  }

  /** One blob for all details; then one plan per chunk, each row naming the pack, offset and length. */
  async #writePack(
    type: RecordType,
    revisions: readonly NewRevision[],
    call: CallContext,
    reservation: Reservation | undefined,
    budget: Budget,
  ): Promise<{ plan: WritePlan; chunk: Chunk }[]> {
    const uuid = newId('x', this.tools.clock.now(), this.tools.entropy).slice(2);
    const blob = packBlobName(type, call.tenant, uuid);
    const newline = Buffer.from('\n');
    const bytes = Buffer.concat(revisions.flatMap((revision) => [revision.bytes, newline]));
    const offsets = new Map<string, number>();
    let offset = 0;
    for (const revision of revisions) {
      offsets.set(revision.id, offset);
      offset += revision.bytes.length + newline.length;
    }
    const chunks = chunksOf(type, call.tenant, revisions.map((revision) => revision.id)); // prettier-ignore
    const announced = chunks.map((chunk) => budget.retry(() => this.tools.directory.announce(chunk.ref)));
    await Promise.all([this.#put(blob, bytes, budget), ...announced]);
    return chunks.map((chunk) => {
      const members = revisions.filter((revision) => chunk.ids.includes(revision.id));
      const operations = members.flatMap((revision) => {
        const location = { blob, offset: offsets.get(revision.id) ?? 0, length: revision.bytes.length };
        const facts = factsOf(revision, location, undefined);
        const { event, sealedEvent, detail } = revision;
        return revisionOperations(chunk.ref, { type, facts, data: detail.data, event, sealedEvent, previous: undefined }); // prettier-ignore
      });
      const first = members[0] as NewRevision;
      const keyed = reservation === undefined ? [] : [this.#keyedRow(chunk, call, reservation)];
      const witness = { rowKey: revisionKey(first.id, 1), eventId: first.event.event_id };
      return {
        chunk,
        plan: { partition: chunk.ref, blob: undefined, operations: [...operations, ...keyed], witness },
      };
    });
  }

  async #put(name: string, bytes: Uint8Array, budget: Budget): Promise<void> {
    await budget.retry(async (attempt) => {
      try {
        await this.tools.ports.blobs.putOnce(BLOB_CONTAINERS.records, name, bytes, 'application/x-ndjson');
      } catch (error) {
        if (attempt === 1 || !isFault(error, 'exists')) throw error;
      }
    });
  }

  async #commit(
    plan: WritePlan,
    chunk: Chunk,
    reservation: Reservation | undefined,
    budget: Budget,
  ): Promise<void> {
    const outcome = await commitPlan({ ...this.tools, budget }, plan);
    if (outcome === 'committed') {
      this.tools.onCommitted?.(plan.partition);
      return;
    }
    // An earlier attempt under the same key may have committed this part already.
    const keyed =
      reservation === undefined
        ? undefined
        : await findOwnResult(this.tools.ports.tables, chunk.ref, keyOf(chunk, reservation), budget);
    if (keyed === undefined) throw new AppError('record-exists', 'A record of the batch exists already.');
  }

  #keyedRow(chunk: Chunk, call: CallContext, reservation: Reservation) {
    const revisions = chunk.ids.map((id) => ({ id, revision: 1 }));
    const result: KeyedResult = { fingerprint: reservation.fingerprint, revisions };
    const partition = partitionKey(call.tenant, chunk.ref.partition);
    return keyedRow(partition, keyOf(chunk, reservation).hash, result, this.tools.clock.now());
  }

  async #reserve(
    type: RecordType,
    call: CallContext,
    ids: readonly string[],
    budget: Budget,
  ): Promise<
    { readonly reservation: Reservation | undefined } | { readonly replay: readonly EnvelopeHead[] }
  > {
    if (call.idempotency === undefined) return { reservation: undefined };
    const committed = async (reservation: Reservation) => {
      const chunks = chunksOf(type, call.tenant, reservation.ids);
      const found = await Promise.all(
        chunks.map((chunk) =>
          findKeyedResult(this.tools.ports.tables, chunk.ref, keyOf(chunk, reservation).hash, budget),
        ),
      );
      const fingerprint = found.find((keyed) => keyed !== undefined)?.fingerprint;
      if (fingerprint === undefined || found.includes(undefined)) return undefined;
      return { fingerprint, result: () => this.#storedHeads(type, call, reservation.ids, budget) };
    };
    return this.#idempotency.reserve(call.tenant, call.idempotency, ids, committed, budget);
  }

  /** A first attempt answers from what it wrote; one that took over, from what is stored, parts of it by others. */
  async #heads(
    type: RecordType,
    call: CallContext,
    revisions: readonly NewRevision[],
    reservation: Reservation | undefined,
    budget: Budget,
  ): Promise<readonly EnvelopeHead[]> {
    if (reservation !== undefined && !reservation.first) {
      return this.#storedHeads(type, call, reservation.ids, budget);
    }
    const nowhere = { blob: '', offset: 0, length: 0 };
    return revisions.map((revision) =>
      envelopeHead(type, call.tenant, factsOf(revision, nowhere, undefined)),
    );
  }

  async #storedHeads(
    type: RecordType,
    call: CallContext,
    ids: readonly string[],
    budget: Budget,
  ): Promise<readonly EnvelopeHead[]> {
    const limit = pLimit(PARALLEL);
    const rows = ids.map((id) => limit(() => this.#firstRevision(type, call.tenant, id, budget)));
    return (await Promise.all(rows)).map((row, at) =>
      envelopeHead(type, call.tenant, parseRevisionRow(row, ids[at] as string)),
    );
  }

  async #firstRevision(type: RecordType, tenant: string, id: string, budget: Budget): Promise<Row> {
    const ref = partitionOf(type, tenant, id);
    const key = partitionKey(tenant, ref.partition);
    const row = await budget.retry(() => this.tools.ports.tables.find(ref.table, key, revisionKey(id, 1)));
    if (row === undefined) throw new AppError('integrity-failure', 'A record of an answered batch is missing.', { evidence: { id, revision: 1, what: 'revision row missing' } }); // prettier-ignore
    return row;
  }
}

/** Parses every item; issues carry pointers below `/items/<index>`. */
function acceptAll(type: RecordType, bodies: readonly unknown[], nowMs: number): readonly AcceptedCreate[] {
  if (bodies.length === 0 || bodies.length > LIMITS.batchItems) {
    throw invalid([{ pointer: '/items', detail: `must hold 1 to ${String(LIMITS.batchItems)} items` }]);
  }
  const issues: Issue[] = [];
  const accepted = bodies.flatMap((body, at) => {
    try {
      const item = acceptCreate(type, body, nowMs);
      // Rules across members are checked now too: a batch is validated as a whole before anything is stored.
      createData(type, item, { id: newId(type.idPrefix, item.createdMs, NO_ENTROPY), nowMs, actor: '-' });
      return [item];
    } catch (error) {
      if (!isAppError(error, 'record-invalid')) throw error;
      issues.push(
        ...error.issues.map((issue) => ({ ...issue, pointer: `/items/${String(at)}${issue.pointer}` })),
      );
      return [];
    }
  });
  if (issues.length > 0) throw invalid(issues.slice(0, 100));
  return accepted;
}

const NO_ENTROPY = { bytes: (count: number) => new Uint8Array(count) };

/** Groups ids by partition and cuts the groups; depends on nothing but the ids, so every attempt cuts alike. */
function chunksOf(type: RecordType, tenant: string, ids: readonly string[]): readonly Chunk[] {
  const rowsPerItem = 3 + type.allIndexes.length;
  const size = Math.floor((LIMITS.transactionRows - 1) / rowsPerItem);
  const groups = new Map<string, { ref: PartitionRef; ids: string[] }>();
  for (const id of ids) {
    const ref = partitionOf(type, tenant, id);
    const group = groups.get(ref.partition) ?? { ref, ids: [] };
    group.ids.push(id);
    groups.set(ref.partition, group);
  }
  const cut = [...groups.values()].flatMap((group) =>
    Array.from({ length: Math.ceil(group.ids.length / size) }, (_, at) => ({
      ref: group.ref,
      ids: group.ids.slice(at * size, (at + 1) * size),
    })),
  );
  return cut.map((chunk, part) => ({ ...chunk, part }));
}

/** The key row that a chunk's transaction inserts. */
function keyOf(
  chunk: Chunk,
  reservation: Reservation,
): { readonly hash: string; readonly fingerprint: string } {
  return { hash: partHash(reservation.hash, chunk.part), fingerprint: reservation.fingerprint };
}
