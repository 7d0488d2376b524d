import pLimit from 'p-limit';
import { createData, type AcceptedCreate } from '../domain/apply-change.js';
import { AppError } from '../domain/errors.js';
import { newId, parseId } from '../domain/ids.js';
import { linksOf } from '../domain/links.js';
import type { RecordData, RecordType } from '../domain/record-type.js';
import { acceptBatch } from './accept-batch.js';
import { Budget } from './backoff.js';
import { chunksOf, keyOf, packOf, resultOf, writtenOf, type Chunk, type Packed } from './batch-chunks.js';
import { commitPlan } from './commit.js';
import { IdempotencyStore, type Reservation } from './idempotency.js';
import { findKeyedResult, findOwnResult, keyedRow } from './keyed-result.js';
import { BLOB_CONTAINERS, partitionKey, revisionKey } from './keys.js';
import { enrollLinks } from './lineage-rows.js';
import type { ListRefresh } from './list-refresh.js';
import type { CallContext, StorageManagerOptions, WrittenBatch, WrittenItems } from './manager-types.js';
import { factsOf, newRevision, type NewRevision } from './new-revision.js';
import { isFault, type Row, type RowOperation } from './ports.js';
import { packBlobName, placeOf } from './record-location.js';
import { assertNameFree, type Placed, type RecordLocator } from './record-locator.js';
import type { RecordReader } from './record-reader.js';
import { parseRevisionRow, type RevisionFacts } from './record-row.js';
import { revisionOperations, type WritePlan } from './write-plan.js';

/** Transactions of one batch that are under way at once. */
const PARALLEL = 4;

/** A batch on its way: what its chunks have in common. */
interface Batch {
  readonly type: RecordType;
  readonly call: CallContext;
  readonly items: ReadonlyMap<string, Item>;
  readonly reservation: Reservation | undefined;
  readonly budget: Budget;
  /** What was committed. */
  readonly written: RowOperation[];
}

/** What a record of a batch is made of. */
interface Item {
  readonly accepted: AcceptedCreate;
  /** What `accepted` has come to. */
  readonly data: RecordData;
}

/** Rows that a chunk replaces where there should be none: void rows by id, and the key's row of an earlier life. */
interface InTheWay {
  readonly voids: ReadonlyMap<string, string>;
  readonly key: string | undefined;
}

const NOTHING: InTheWay = { voids: new Map(), key: undefined };

/**
 * Creates up to 100 records: their details as one pack, their rows in as few transactions as the service allows. Not
 * atomic against a storage fault: interrupted is 503, and the same idempotency key completes it.
 */
export class BatchWriter {
  readonly #idempotency: IdempotencyStore;

  constructor(
    private readonly tools: StorageManagerOptions,
    private readonly reader: RecordReader,
    private readonly locator: RecordLocator,
    private readonly lists: ListRefresh,
  ) {
    this.#idempotency = new IdempotencyStore(
      tools.ports.tables,
      tools.clock,
      tools.entropy,
      tools.blindIndex,
    );
  }

  /** Throws `record-invalid` with pointers below `/items` when any item is invalid; nothing is stored then. */
  async create(type: RecordType, bodies: readonly unknown[], call: CallContext): Promise<WrittenBatch> {
    const budget = new Budget(this.tools.clock, this.tools.entropy);
    const accepted = acceptBatch(type, bodies, this.tools.clock.now());
    const fresh = accepted.map((item) => newId(type.idPrefix, item.createdMs, this.tools.entropy));
    const nowMs = this.tools.clock.now();
    const placed = (known: readonly string[]) =>
      known.map((id, at) => {
        const data = createData(type, accepted[at] as AcceptedCreate, { id, nowMs, actor: call.actor });
        return { id, ref: placeOf(type, call.tenant, id, data), data, links: linksOf(type, id, data) };
      });
    const reserved = await this.#reserve(type, call, fresh, placed, budget);
    if ('replay' in reserved) return { ...reserved.replay, replayed: true };
    const { reservation } = reserved;
    const ids = reservation?.ids ?? fresh;
    const places = placed(ids);
    const items = new Map(
      places.map(({ id, data }, at) => [id, { accepted: accepted[at] as AcceptedCreate, data }]),
    );
    const batch: Batch = { type, call, items, reservation, budget, written: [] };
    await this.#assertNamesFree(batch, places);
    const chunks = chunksOf(type, places);
    const announced = chunks.map((chunk) => budget.retry(() => this.tools.directory.announce(chunk.ref)));
    const enrolled = [
      this.locator.enroll(type, places, budget),
      enrollLinks(this.tools.ports.tables, type, places, budget),
    ];
    const [packed] = await Promise.all([this.#pack(batch, ids), ...enrolled, ...announced]);
    const limit = pLimit(PARALLEL);
    const stored = await Promise.all(
      chunks.map((chunk) => {
        const members = packed.filter(({ revision }) => chunk.ids.includes(revision.id));
        return limit(() => this.#store(batch, chunk, members));
      }),
    );
    await this.lists.committed(type, call.tenant, batch.written);
    const earlier = chunks.filter((_, at) => stored[at] === undefined);
    await this.#caughtUp(batch, earlier.flatMap((chunk) => chunk.ids)); // prettier-ignore
    return { ...(await this.#heads(batch, ids, stored)), replayed: false };
  }

  /**
   * One point read for each name, before anything is written. Throws `record-exists` for one that another record has;
   * what is taken meanwhile is refused by its commit.
   */
  async #assertNamesFree(
    { type, call, reservation, budget }: Batch,
    places: readonly (Placed & { readonly data: RecordData })[],
  ): Promise<void> {
    if (type.named === undefined) return;
    const limit = pLimit(PARALLEL);
    await this.#idempotency.opening(
      call.tenant,
      reservation,
      budget,
      () =>
      Promise.all(places.map((placed) => limit(() => assertNameFree(this.locator, type, placed, placed.data, budget)))), // prettier-ignore
    );
  }

  /** One blob for the details of all `ids`. */
  async #pack(batch: Batch, ids: readonly string[]): Promise<readonly Packed[]> {
    const { type, call, budget } = batch;
    const revisions = await this.#revisions(batch, ids);
    const uuid = newId('x', this.tools.clock.now(), this.tools.entropy).slice(2);
    const name = packBlobName(type, call.tenant, uuid);
    const { bytes, packed } = packOf(name, revisions);
    await budget.retry(async (attempt) => {
      try {
        await this.tools.ports.blobs.putOnce(BLOB_CONTAINERS.records, name, bytes, 'application/x-ndjson');
      } catch (error) {
        if (attempt === 1 || !isFault(error, 'exists')) throw error;
      }
    });
    return packed;
  }

  /** At once, so that keys of many subjects, where they are not known yet, are not waited for one after the other. */
  async #revisions({ type, call, items }: Batch, ids: readonly string[]): Promise<readonly NewRevision[]> {
    const nowMs = this.tools.clock.now();
    const limit = pLimit(PARALLEL);
    const make = (id: string): Promise<NewRevision> => {
      const { accepted, data } = items.get(id) as Item;
      // The id carries the time: an attempt that takes over stores what the first one would have.
      const createdMs = parseId(id)?.ms ?? accepted.createdMs;
      const own =
        createdMs === accepted.createdMs
          ? data
          : createData(type, { ...accepted, createdMs }, { id, nowMs, actor: call.actor });
      const name = { eventType: 'record.created', action: 'create', details: {} } as const;
      return newRevision(this.tools, type, id, own, undefined, name, call);
    };
    return Promise.all(ids.map((id) => limit(make, id)));
  }

  /** Commits a chunk. Resolves to what was stored; undefined when an earlier attempt under the key had stored it. */
  async #store(
    batch: Batch,
    chunk: Chunk,
    packed: readonly Packed[],
  ): Promise<readonly NewRevision[] | undefined> {
    const { budget, call, reservation } = batch;
    let members = packed;
    let replaced = NOTHING;
    for (;;) {
      const plan = this.#plan(batch, chunk, members, replaced);
      const outcome = await commitPlan({ ...this.tools, budget }, plan);
      if (outcome === 'committed') {
        this.tools.onCommitted?.(plan.partition);
        batch.written.push(...plan.operations);
        return members.map(({ revision }) => revision);
      }
      const found = await this.#inTheWay(batch, chunk);
      if (found === undefined) return undefined;
      await this.#idempotency.assertHeld(call.tenant, reservation, budget);
      await budget.pause(outcome, 5, 250);
      replaced = found;
      // Whoever put void rows there may have collected the pack: these records get a new one.
      if (found.voids.size > 0) members = await this.#pack(batch, chunk.ids);
    }
  }

  /** The rows naming the pack, offset and length; with the key's row if there is a key. */
  #plan(batch: Batch, chunk: Chunk, members: readonly Packed[], replaced: InTheWay): WritePlan {
    const { type, call, reservation } = batch;
    const operations = members.flatMap(({ revision, location }) => {
      const facts = factsOf(revision, location, undefined);
      const { event, sealedEvent, blinds, subjects, detail } = revision;
      const voidEtag = replaced.voids.get(revision.id);
      return revisionOperations(chunk.ref, { type, facts, data: detail.data, blinds, subjects, event, sealedEvent, previous: undefined, voidEtag }); // prettier-ignore
    });
    if (reservation !== undefined) {
      const partition = partitionKey(call.tenant, chunk.ref.partition);
      const { hash } = keyOf(chunk, reservation);
      const result = resultOf(chunk, reservation);
      operations.push(keyedRow(partition, hash, result, this.tools.clock.now(), replaced.key));
    }
    const first = (members[0] as Packed).revision;
    const witness = { rowKey: revisionKey(first.id, 1), eventId: first.event.event_id };
    return { partition: chunk.ref, blob: undefined, operations, witness };
  }

  /**
   * Why a chunk's commit was refused; undefined when an earlier attempt under the same key has committed it. Throws
   * `record-exists` when it is nothing that may be replaced.
   */
  async #inTheWay({ type, call, reservation, budget }: Batch, chunk: Chunk): Promise<InTheWay | undefined> {
    const keyed =
      reservation === undefined
        ? undefined
        : await findOwnResult(this.tools.ports.tables, chunk.ref, keyOf(chunk, reservation), budget);
    if (keyed?.revisions.some(({ id }) => chunk.ids.includes(id)) === true) return undefined;
    // Other records' ids: the key was used before, and forgotten, and the sweeper has not come to this row yet.
    if (keyed !== undefined && keyed.expiresMs > this.tools.clock.now()) {
      throw new AppError('storage-unavailable', 'An earlier use of this Idempotency-Key is being cleared away.', { retryAfterS: 60 }); // prettier-ignore
    }
    const limit = pLimit(PARALLEL);
    const places = await Promise.all(
      chunk.ids.map((id) => limit(() => this.reader.placeOf(type, call.tenant, id, budget))),
    );
    const voids = new Map(
      places.flatMap((place, at) => (place.kind === 'void' ? [[chunk.ids[at] as string, place.etag]] : [])),
    );
    const taken = places.some(({ kind }) => kind === 'record');
    if (taken || (voids.size === 0 && keyed === undefined)) {
      throw new AppError('record-exists', 'A record of the batch exists already.');
    }
    return { voids, key: keyed?.etag };
  }

  async #reserve(
    type: RecordType,
    call: CallContext,
    ids: readonly string[],
    placed: (ids: readonly string[]) => readonly Placed[],
    budget: Budget,
  ): Promise<{ readonly reservation: Reservation | undefined } | { readonly replay: WrittenItems }> {
    if (call.idempotency === undefined) return { reservation: undefined };
    const committed = async (reservation: Reservation) => {
      // Another number of items is another body, and finds nothing that fits.
      if (reservation.ids.length !== ids.length) return undefined;
      const chunks = chunksOf(type, placed(reservation.ids));
      const found = await Promise.all(
        chunks.map((chunk) =>
          findKeyedResult(this.tools.ports.tables, chunk.ref, keyOf(chunk, reservation).hash, budget),
        ),
      );
      const fingerprint = found.find((keyed) => keyed !== undefined)?.fingerprint;
      const own = found.every((keyed, at) => keyed?.revisions[0]?.id === chunks[at]?.ids[0]);
      if (fingerprint === undefined || !own) return undefined;
      const result = async () => {
        await this.#caughtUp({ type, call }, reservation.ids);
        return this.#storedHeads(type, call, reservation.ids, budget);
      };
      return { fingerprint, result };
    };
    return this.#idempotency.reserve(call.tenant, call.idempotency, ids, committed, budget);
  }

  /** From what this attempt stored; from storage when an earlier attempt had stored a part. */
  async #heads(
    { type, call, budget }: Batch,
    ids: readonly string[],
    stored: readonly (readonly NewRevision[] | undefined)[],
  ): Promise<WrittenItems> {
    if (stored.includes(undefined)) return this.#storedHeads(type, call, ids, budget);
    const nowhere = { blob: '', offset: 0, length: 0 };
    const revisions = stored.flatMap((part) => part ?? []);
    const facts = new Map(
      revisions.map((revision) => [revision.id, factsOf(revision, nowhere, undefined)] as const),
    );
    return writtenOf(type, call, ids.map((id) => facts.get(id) as RevisionFacts)); // prettier-ignore
  }

  #caughtUp({ type, call }: Pick<Batch, 'type' | 'call'>, ids: readonly string[]): Promise<void> {
    return this.lists.caughtUp(type, call.tenant, ids.map((id) => ({ id, revision: 1 }))); // prettier-ignore
  }

  async #storedHeads(
    type: RecordType,
    call: CallContext,
    ids: readonly string[],
    budget: Budget,
  ): Promise<WrittenItems> {
    const limit = pLimit(PARALLEL);
    const rows = ids.map((id) => limit(() => this.#firstRevision(type, call.tenant, id, budget)));
    const facts = (await Promise.all(rows)).map((row, at) => parseRevisionRow(row, ids[at] as string));
    return writtenOf(type, call, facts);
  }

  async #firstRevision(type: RecordType, tenant: string, id: string, budget: Budget): Promise<Row> {
    const ref = await this.locator.locate(type, tenant, id, budget);
    const key = partitionKey(tenant, ref.partition);
    const row = await budget.retry(() => this.tools.ports.tables.find(ref.table, key, revisionKey(id, 1)));
    if (row === undefined) throw new AppError('integrity-failure', 'A record of an answered batch is missing.', { evidence: { id, revision: 1, what: 'revision row missing' } }); // prettier-ignore
    return row;
  }
}
