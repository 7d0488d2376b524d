import pLimit from 'p-limit';
import { isAppError } from '../domain/errors.js';
import { newId } from '../domain/ids.js';
import type { PartsDeclaration } from '../domain/parts.js';
import type { RecordType } from '../domain/record-type.js';
import { Budget } from './backoff.js';
import { BlockWriter, readsAs, type Written } from './block-writer.js';
import type { PartitionRef } from './directory.js';
import { BLOB_CONTAINERS, partitionKey } from './keys.js';
import type { StorageManagerOptions } from './manager-types.js';
import { streamBlobName, streamPackName } from './part-lines.js';
import { packRow, type Pack } from './pack-rows.js';
import { isFault, type RowOperation } from './ports.js';
import { streamOf } from './moved-lines.js';
import { integrityEvidence } from './record-row.js';
import type { RecordLocator } from './record-locator.js';
import type { MoverTools } from './revision-mover.js';
import { StreamCopy } from './stream-copy.js';
import { StreamMover } from './stream-mover.js';
import { nextFileOf, type StreamPiece, type StreamRow } from './stream-row.js';

/** A record of which the first file that was not archived is to move, and its row as it was read. */
export interface StreamCandidate {
  readonly id: string;
  readonly row: StreamRow;
  /** Since when it counts for its tier, milliseconds since 1970. */
  readonly sinceMs: number;
}

/** What became of what was to be packed: files of entries, of a record each. */
export interface PackedStreams {
  /** Whose file has moved. */
  readonly moved: ReadonlySet<string>;
  /** They do not hold together, and are left where they are. */
  readonly damaged: number;
  /** Somebody else was there first. */
  readonly overtaken: number;
}

export interface StreamArchiverTools extends MoverTools, Pick<StorageManagerOptions, 'onIntegrityFailure'> {
  readonly locator: RecordLocator;
}

interface Sound {
  readonly candidate: StreamCandidate;
  readonly piece: StreamPiece;
}

const { records: CONTAINER } = BLOB_CONTAINERS;
const RECORDS_AT_ONCE = 4;
const AT_ONCE = 8;
const CALL = { actor: 'job:archive', correlationId: 'job:archive' } as const;
const NOBODY: ReadonlySet<string> = new Set();

/**
 * Puts append blobs of entries, which no service tiers or copies, into packs of the cool tier: a row says that there is a
 * pack; every line is held against its row while it goes through the process, a block at a time; the pack is read again
 * and compared, and moved to its tier; the row `w:<id>` of each record says where its file has gone, under its ETag; and
 * only then is the append blob deleted. Any of these steps may be the last: until its blobs are deleted a pack is
 * `writing`, and upkeep settles it.
 */
export class StreamArchiver {
  readonly #copy: StreamCopy;
  readonly #mover: StreamMover;

  constructor(private readonly tools: StreamArchiverTools) {
    this.#copy = new StreamCopy(tools.ports, () => this.#budget());
    this.#mover = new StreamMover(tools);
  }

  /**
   * Packs one file of each of some records of one partition of parts. `free` is asked right before rows are changed and says
   * which may be moved: none that a hold is on. For each record a range read for 1,000 entries, a blob read for 4 MiB, a
   * transaction and a delete; for the pack its row three times, a read for 4 MiB, two calls, and one more for 4 MiB where
   * it is larger. Throws `storage-unavailable`.
   */
  async pack(
    type: RecordType,
    parts: PartsDeclaration,
    ref: PartitionRef,
    candidates: readonly StreamCandidate[],
    free: (ids: readonly string[]) => Promise<ReadonlySet<string>>,
  ): Promise<PackedStreams> {
    const begun = this.#begun(type, ref, candidates);
    await this.#putRow(ref, begun, 'insert');
    const writer = new BlockWriter(this.tools.ports.blobs, CONTAINER, begun.blob, () => this.#budget());
    const sound: Sound[] = [];
    let [damaged, overtaken] = [0, 0];
    for (const candidate of candidates) {
      const piece = await this.#copied(type, ref, candidate, begun.blob, writer);
      if (typeof piece === 'object') sound.push({ candidate, piece });
      else if (piece === 'damaged') damaged += 1;
      else overtaken += 1;
    }
    if (sound.length === 0) {
      await this.remove(ref, begun);
      return { moved: NOBODY, damaged, overtaken };
    }
    const pack = { ...begun, ...(await writer.finish()) };
    await this.#putRow(ref, pack, 'upsert');
    if (!(await this.#isThere(type, ref, pack))) return { moved: NOBODY, damaged, overtaken };
    const unheld = await free(sound.map(({ candidate }) => candidate.id));
    const limit = pLimit(RECORDS_AT_ONCE);
    const asked = sound.filter(({ candidate }) => unheld.has(candidate.id));
    const done = await settled(asked.map((one) => limit(() => this.#point(type, parts, ref, one))));
    const moved = asked.filter((_, at) => done[at] === true);
    const members = moved.map(({ candidate, piece }) => ({ id: candidate.id, revision: piece.file }));
    if (members.length === 0) await this.remove(ref, pack);
    else {
      await this.deleteFiles(type, parts, ref.tenant, members);
      await this.#putRow(ref, { ...pack, state: 'stored', members }, 'upsert');
    }
    overtaken += asked.length - moved.length;
    return { moved: new Set(members.map(({ id }) => id)), damaged, overtaken };
  }

  /** Deletes the append blobs of files whose rows say that they have gone into a pack; again is harmless. */
  async deleteFiles(
    type: RecordType,
    { path }: PartsDeclaration,
    tenant: string,
    files: Pack['members'],
  ): Promise<void> {
    const limit = pLimit(AT_ONCE);
    const { blobs } = this.tools.ports;
    const remove = async ({ id, revision: file }: Pack['members'][number]): Promise<void> => {
      const place = await this.tools.locator.locate(type, tenant, id, this.#budget());
      await this.#budget().retry(() => blobs.delete(CONTAINER, streamBlobName(type, place, id, path, file)));
    };
    await settled(files.map((file) => limit(() => remove(file))));
  }

  /** Deletes a pack that no row names, and then its row. */
  async remove(ref: PartitionRef, pack: Pack): Promise<void> {
    const { blobs, tables } = this.tools.ports;
    await this.#budget().retry(() => blobs.delete(CONTAINER, pack.blob));
    const key = partitionKey(ref.tenant, ref.partition);
    const { rowKey } = packRow(key, pack);
    try {
      await this.#budget().retry(() => tables.commit(ref.table, key, [{ kind: 'delete', rowKey, etag: '*' }])); // prettier-ignore
    } catch (error) {
      if (!isFault(error, 'missing')) throw error;
    }
  }

  #begun(type: RecordType, ref: PartitionRef, candidates: readonly StreamCandidate[]): Pack {
    const uuid = newId('x', this.tools.clock.now(), this.tools.entropy).slice(2);
    const times = candidates.map(({ sinceMs }) => sinceMs);
    return {
      uuid,
      recordType: type.recordType,
      blob: streamPackName(type, ref, uuid),
      tier: 'cool',
      state: 'writing',
      bytes: 0,
      checksum: '',
      members: candidates.map(({ id, row }) => ({ id, revision: nextFileOf(row).file })),
      oldestMs: times.reduce((a, b) => Math.min(a, b)),
      youngestMs: times.reduce((a, b) => Math.max(a, b)),
    };
  }

  /** Copies the file of a record into the pack; `moved` where another process has changed its row meanwhile. */
  async #copied(
    type: RecordType,
    ref: PartitionRef,
    { id, row }: StreamCandidate,
    blob: string,
    writer: BlockWriter,
  ): Promise<StreamPiece | 'damaged' | 'moved'> {
    const { file, first } = nextFileOf(row);
    const offset = writer.bytes;
    try {
      const { upTo, length } = await this.#copy.copy(ref, { id, file, first, upTo: row.upTo }, (bytes) => writer.add(bytes)); // prettier-ignore
      // The last file ends with the last entry that has moved.
      if (upTo >= first && (file < row.file || (upTo === row.upTo && length === row.offset)))
        return { file, upTo, blob, offset, length, tier: 'cool' };
      return await this.#damaged(type, ref, id, row, { revision: first, what: 'stream' });
    } catch (error) {
      const evidence = integrityEvidence(error);
      if (evidence === undefined) throw error;
      return this.#damaged(type, ref, id, row, evidence);
    }
  }

  async #damaged(
    type: RecordType,
    ref: PartitionRef,
    id: string,
    row: StreamRow,
    { revision, what }: { readonly revision: number; readonly what: string },
  ): Promise<'damaged' | 'moved'> {
    try {
      const now = await streamOf(this.tools.ports.tables, ref, id, this.#budget());
      if (now.etag !== row.etag) return 'moved';
    } catch (error) {
      if (!isAppError(error, 'integrity-failure')) throw error;
    }
    const finding = { recordType: type.recordType, id, revision, what };
    await this.tools.onIntegrityFailure?.(finding, { tenant: ref.tenant, ...CALL });
    return 'damaged';
  }

  /** Whether the pack reads as it was written; then it is in its tier. */
  async #isThere(type: RecordType, ref: PartitionRef, pack: Pack & Written): Promise<boolean> {
    const { blobs } = this.tools.ports;
    if (!(await readsAs(blobs, CONTAINER, pack.blob, pack, () => this.#budget()))) {
      const finding = { recordType: type.recordType, id: pack.uuid, revision: 0, what: 'pack' };
      await this.tools.onIntegrityFailure?.(finding, { tenant: ref.tenant, ...CALL });
      return false;
    }
    await this.#budget().retry(() => blobs.setTier(CONTAINER, pack.blob, pack.tier));
    return true;
  }

  /** Says where the file has gone. What is added from now on goes into another file. */
  #point(
    type: RecordType,
    parts: PartsDeclaration,
    ref: PartitionRef,
    { candidate: { id, row }, piece }: Sound,
  ): Promise<boolean> {
    const pieces = [...row.pieces, piece];
    const isLast = piece.file === row.file;
    const to = { ...row, pieces, ...(isLast ? { file: row.file + 1, offset: 0, blocks: 0 } : {}) };
    const { first } = nextFileOf(row);
    const entries = { from: first, to: piece.upTo, count: piece.upTo - first + 1 };
    const details = { from: 'hot', to: piece.tier, pack: piece.blob, part: parts.path, entries };
    return this.#mover.move(type, ref, { id, from: row, to }, details);
  }

  async #putRow(ref: PartitionRef, pack: Pack, kind: 'insert' | 'upsert'): Promise<void> {
    const key = partitionKey(ref.tenant, ref.partition);
    const operation: RowOperation = { kind, ...packRow(key, pack) };
    await this.#budget().retry(async (attempt) => {
      try {
        await this.tools.ports.tables.commit(ref.table, key, [operation]);
      } catch (error) {
        // Its name is ours alone.
        if (attempt === 1 || !isFault(error, 'exists')) throw error;
      }
    });
  }

  #budget(): Budget {
    return new Budget(this.tools.clock, this.tools.entropy);
  }
}

/** All results; the first failure once none is under way any more. */
async function settled<T>(work: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
