import pLimit from 'p-limit';
import { sha256Hex } from '../domain/canonical-json.js';
import { verifyStored } from '../domain/envelope.js';
import { isAppError } from '../domain/errors.js';
import { newId, parseId } from '../domain/ids.js';
import type { RecordType } from '../domain/record-type.js';
import { agedSinceMs } from '../domain/tiering.js';
import { Budget } from './backoff.js';
import { findNamedBytes } from './blob-range.js';
import type { PartitionRef } from './directory.js';
import { BLOB_CONTAINERS, partitionKey } from './keys.js';
import type { StorageManagerOptions } from './manager-types.js';
import { packRow, type Pack } from './pack-rows.js';
import { isFault, type Row, type RowOperation } from './ports.js';
import { detailBlobName, packBlobName } from './record-location.js';
import { envelopeHead, parseRevisionRow, type DetailLocation, type RevisionFacts } from './record-row.js';
import { RevisionMover, type MoverTools, type RecordMove } from './revision-mover.js';

/** A record's row and the rows of those of its revisions that are to move, in ascending order, as they were read. */
export interface Candidate {
  readonly record: Row;
  readonly revisions: readonly Row[];
}

export interface ArchiverTools extends MoverTools, Pick<StorageManagerOptions, 'onIntegrityFailure'> {}

/** What became of what was to be packed: revisions, but for `records`. */
export interface Packed {
  readonly records: number;
  readonly moved: number;
  /** They do not hold together, and are left where they are. */
  readonly damaged: number;
  /** Somebody else was there first. */
  readonly overtaken: number;
}

/** An envelope that was held against its row. */
interface Sound {
  readonly row: Row;
  readonly facts: RevisionFacts;
  readonly bytes: Uint8Array;
}

const { records: CONTAINER } = BLOB_CONTAINERS;
const AT_ONCE = 8;
const RECORDS_AT_ONCE = 4;
const NOTHING: Packed = { records: 0, moved: 0, damaged: 0, overtaken: 0 };
const NEWLINE = Buffer.from('\n');

/**
 * Puts the envelopes of revisions into one blob of a cheaper tier (REQ-STO-008), in steps of which each may be the last:
 * verified, a row that says there is a pack, the blob, read back and compared, its tier, then the rows of the records under
 * their ETags, and only then are the blobs deleted that had them. What died on the way is a pack that is `writing`, which
 * upkeep looks at, and blobs that no row names, which the collector does.
 */
export class RecordArchiver {
  readonly #mover: RevisionMover;

  constructor(private readonly tools: ArchiverTools) {
    this.#mover = new RevisionMover(tools);
  }

  /**
   * Packs revisions of one partition. `free` is asked right before rows are changed and says which of them may be moved:
   * none that a hold is on. Costs a blob read and a delete for each revision, a transaction for each record and 70 of its
   * revisions, and seven calls for the pack. Throws `storage-unavailable`.
   */
  async pack(
    type: RecordType,
    ref: PartitionRef,
    candidates: readonly Candidate[],
    free: (candidates: readonly Candidate[]) => Promise<readonly Candidate[]>,
  ): Promise<Packed> {
    const { sound, damaged } = await this.#verified(type, ref, candidates);
    if (sound.size === 0) return { ...NOTHING, damaged };
    const { pack, bytes, places } = this.#contentOf(type, ref, [...sound.values()].flat());
    if (!(await this.#written(type, ref, pack, bytes))) return { ...NOTHING, damaged };
    const limit = pLimit(RECORDS_AT_ONCE);
    const unheld = (await free(candidates)).filter(({ record }) => sound.has(record));
    const moves = await settled(
      unheld.map(({ record }) =>
        limit(() => this.#move(type, ref, pack, record, sound.get(record) ?? [], places)),
      ),
    );
    const moved = moves.flat();
    await this.#settle(ref, pack, moved);
    await this.#deleteLoose(type, ref, moved);
    const asked = unheld.reduce((sum, { record }) => sum + (sound.get(record)?.length ?? 0), 0);
    const records = moves.filter((one) => one.length > 0).length;
    return { records, moved: moved.length, damaged, overtaken: asked - moved.length };
  }

  /** The envelopes that hold, by the rows of their records. What does not is audited. */
  async #verified(
    type: RecordType,
    ref: PartitionRef,
    candidates: readonly Candidate[],
  ): Promise<{ readonly sound: ReadonlyMap<Row, readonly Sound[]>; readonly damaged: number }> {
    const limit = pLimit(AT_ONCE);
    let damaged = 0;
    const all = candidates.map(async ({ record, revisions }) => {
      const read = await Promise.all(revisions.map((row) => limit(() => this.#envelope(type, ref, row))));
      damaged += read.filter((one) => one === 'damaged').length;
      return [record, read.filter((one) => typeof one === 'object')] as const;
    });
    const found = await settled(all);
    return { sound: new Map(found.filter(([, sound]) => sound.length > 0)), damaged };
  }

  /** `moved` where another process has put it elsewhere meanwhile. */
  async #envelope(type: RecordType, ref: PartitionRef, row: Row): Promise<Sound | 'damaged' | 'moved'> {
    const facts = parsed(row);
    // A row that was altered says nothing of its envelope; whoever reads it has it audited.
    if (facts === undefined) return 'damaged';
    const { blob, ...range } = facts.location;
    const { blobs, tables } = this.tools.ports;
    const budget = this.#budget();
    const bytes = await findNamedBytes(blobs, blob, range, budget);
    if (bytes === undefined) {
      const now = await budget.retry(() => tables.find(ref.table, row.partitionKey, row.rowKey));
      if (now?.properties['blob'] !== blob) return 'moved';
    }
    const stored = bytes === undefined ? { broken: 'blob missing' } : verifyStored(bytes, envelopeHead(type, ref.tenant, facts)); // prettier-ignore
    if (bytes !== undefined && !('broken' in stored)) return { row, facts, bytes };
    const { id, revision } = facts;
    const finding = { recordType: type.recordType, id, revision, what: 'broken' in stored ? stored.broken : '' }; // prettier-ignore
    await this.tools.onIntegrityFailure?.(finding, { tenant: ref.tenant, actor: 'job:archive', correlationId: 'job:archive' }); // prettier-ignore
    return 'damaged';
  }

  /** The blob, and where in it each envelope lies. */
  #contentOf(type: RecordType, ref: PartitionRef, sound: readonly Sound[]) {
    const uuid = newId('x', this.tools.clock.now(), this.tools.entropy).slice(2);
    const blob = packBlobName(type, ref.tenant, uuid);
    const places = new Map<Row, DetailLocation>();
    let offset = 0;
    for (const { row, bytes } of sound) {
      places.set(row, { blob, offset, length: bytes.length });
      offset += bytes.length + NEWLINE.length;
    }
    const bytes = Buffer.concat(sound.flatMap((one) => [one.bytes, NEWLINE]));
    const times = sound.map(({ facts }) =>
      agedSinceMs(type, { createdMs: parseId(facts.id)?.ms ?? 0, storedMs: Date.parse(facts.storedAt) }),
    );
    const pack: Pack = {
      uuid,
      recordType: type.recordType,
      blob,
      tier: 'cool',
      state: 'writing',
      bytes: bytes.length,
      checksum: sha256Hex(bytes),
      members: sound.map(({ facts: { id, revision } }) => ({ id, revision })),
      oldestMs: times.reduce((a, b) => Math.min(a, b)),
      youngestMs: times.reduce((a, b) => Math.max(a, b)),
    };
    return { pack, bytes, places };
  }

  /** Says that there is a pack, writes it, reads it back and moves it to its tier. False where it came back otherwise. */
  async #written(type: RecordType, ref: PartitionRef, pack: Pack, bytes: Uint8Array): Promise<boolean> {
    const budget = this.#budget();
    const { blobs } = this.tools.ports;
    await this.#putRow(ref, pack, 'insert', budget);
    await budget.retry(async (attempt) => {
      try {
        await blobs.putOnce(CONTAINER, pack.blob, bytes, 'application/x-ndjson');
      } catch (error) {
        if (attempt === 1 || !isFault(error, 'exists')) throw error;
      }
    });
    const back = await budget.retry(() => blobs.find(CONTAINER, pack.blob));
    if (back === undefined || Buffer.compare(back.bytes, bytes) !== 0) {
      const finding = { recordType: type.recordType, id: pack.uuid, revision: 0, what: 'pack' };
      await this.tools.onIntegrityFailure?.(finding, { tenant: ref.tenant, actor: 'job:archive', correlationId: 'job:archive' }); // prettier-ignore
      return false;
    }
    await budget.retry(() => blobs.setTier(CONTAINER, pack.blob, pack.tier));
    return true;
  }

  async #move(
    type: RecordType,
    ref: PartitionRef,
    { blob, tier }: Pack,
    record: Row,
    sound: readonly Sound[],
    places: ReadonlyMap<Row, DetailLocation>,
  ): Promise<readonly Sound[]> {
    const revisions = sound.map(({ row }) => ({ row, to: places.get(row) as DetailLocation }));
    const move: RecordMove = { record, revisions };
    const moved = await this.#mover.move(type, ref, move, { tier, pack: blob });
    return sound.slice(0, moved.length);
  }

  /** Says which revisions are in it; a pack that no row names is nothing. */
  async #settle(ref: PartitionRef, pack: Pack, moved: readonly Sound[]): Promise<void> {
    const budget = this.#budget();
    const members = moved.map(({ facts: { id, revision } }) => ({ id, revision }));
    if (members.length > 0) return this.#putRow(ref, { ...pack, state: 'stored', members }, 'upsert', budget);
    await this.remove(ref, pack, budget);
  }

  /** Deletes a pack that no row names, and then its row. */
  async remove(ref: PartitionRef, pack: Pack, budget: Budget): Promise<void> {
    const { blobs, tables } = this.tools.ports;
    await budget.retry(() => blobs.delete(CONTAINER, pack.blob));
    const key = partitionKey(ref.tenant, ref.partition);
    const { rowKey } = packRow(key, pack);
    try {
      await budget.retry(() => tables.commit(ref.table, key, [{ kind: 'delete', rowKey, etag: '*' }]));
    } catch (error) {
      if (!isFault(error, 'missing')) throw error;
    }
  }

  async #putRow(ref: PartitionRef, pack: Pack, kind: 'insert' | 'upsert', budget: Budget): Promise<void> {
    const key = partitionKey(ref.tenant, ref.partition);
    const operation: RowOperation = { kind, ...packRow(key, pack) };
    await budget.retry(() => this.tools.directory.register(ref));
    await budget.retry(async (attempt) => {
      try {
        await this.tools.ports.tables.commit(ref.table, key, [operation]);
      } catch (error) {
        // Its name is ours alone.
        if (attempt === 1 || !isFault(error, 'exists')) throw error;
      }
    });
  }

  /** Deletes the blobs of their own that revisions had; what was in a pack of a batch the collector sees to. */
  async #deleteLoose(type: RecordType, ref: PartitionRef, moved: readonly Sound[]): Promise<void> {
    const limit = pLimit(AT_ONCE);
    const loose = moved.filter(({ facts: { id, revision, eventId, location } }) => location.blob === detailBlobName(type, ref, id, revision, eventId)); // prettier-ignore
    await settled(
      loose.map(({ facts }) =>
        limit(() =>
          this.#budget().retry(() => this.tools.ports.blobs.delete(CONTAINER, facts.location.blob)),
        ),
      ),
    );
  }

  #budget(): Budget {
    return new Budget(this.tools.clock, this.tools.entropy);
  }
}

function parsed(row: Row): RevisionFacts | undefined {
  try {
    return parseRevisionRow(row, String(row.properties['id']));
  } catch (error) {
    if (isAppError(error, 'integrity-failure')) return undefined;
    throw error;
  }
}

/** All results; the first failure once none is under way any more. */
async function settled<T>(work: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
