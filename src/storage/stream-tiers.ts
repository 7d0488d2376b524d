import pLimit from 'p-limit';
import { parseId } from '../domain/ids.js';
import { LIMITS } from '../domain/limits.js';
import type { PartsDeclaration } from '../domain/parts.js';
import type { RecordType } from '../domain/record-type.js';
import { Budget } from './backoff.js';
import type { PartitionRef } from './directory.js';
import { BLOB_CONTAINERS, partitionKey } from './keys.js';
import { packRow, type Pack, type StoredPack } from './pack-rows.js';
import { isDisposedHead, parseHead, partsHeadKey, type PartsHead } from './part-rows.js';
import { isFault, type Row } from './ports.js';
import { broken } from './record-row.js';
import type { MoverTools } from './revision-mover.js';
import { rowIntact } from './row-checksum.js';
import { rowsByKeys } from './rows-by-keys.js';
import { digestKey } from './series-rows.js';
import { StreamMover } from './stream-mover.js';
import { parseStreamRow, streamRow, type StreamRow } from './stream-row.js';

/** A record whose entries have moved, with its rows as they were read. */
export interface Streamed {
  readonly id: string;
  readonly row: StreamRow;
  readonly head: PartsHead;
}

const { records: CONTAINER } = BLOB_CONTAINERS;
const RECORDS_AT_ONCE = 4;

/**
 * Since when the entries of a record count for their tier: for its own time, which is in its id, or that of the last entry
 * that was added. What is still being added to stays where it is.
 */
export function streamAgedSinceMs({ id, head }: Pick<Streamed, 'id' | 'head'>): number {
  return Math.max(parseId(id)?.ms ?? 0, head.addedMs);
}

/**
 * Moves whole packs of entries to the archive tier: the rows first, which put an end to additions, and then the blob; so
 * nothing is added whose answer could not be read. A record whose row says that its entries are archived is taken at
 * its word, wherever the blob is.
 */
export class StreamTiers {
  readonly #mover: StreamMover;

  constructor(private readonly tools: MoverTools) {
    this.#mover = new StreamMover(tools);
  }

  /**
   * Of some records those that have entries in files and were not disposed of; of how many a row was altered. `known` are rows
   * that were read already. Up to two range reads for what lies together.
   */
  async read(
    parts: PartsDeclaration,
    ref: PartitionRef,
    ids: readonly string[],
    known: readonly Row[] = [],
  ): Promise<{ readonly streamed: readonly Streamed[]; readonly damaged: number }> {
    const key = partitionKey(ref.tenant, ref.partition);
    const { tables } = this.tools.ports;
    const read = (keys: readonly string[]): Promise<ReadonlyMap<string, Row>> =>
      rowsByKeys((query) => this.#budget().retry(() => tables.range(ref.table, key, query)), keys, LIMITS.rangeRows);
    const rows = new Map(known.map((row) => [row.rowKey, row]));
    for (const [rowKey, row] of await read(ids.map(digestKey).filter((rowKey) => !rows.has(rowKey)))) rows.set(rowKey, row);
    // After them: who finds a head unchanged knows that its entries have.
    const heads = await read(ids.map(partsHeadKey));
    const streamed: Streamed[] = [];
    let damaged = 0;
    for (const id of new Set(ids)) {
      const [row, head] = [rows.get(digestKey(id)), heads.get(partsHeadKey(id))];
      if (row === undefined || head === undefined || isDisposedHead(head)) continue;
      if (!rowIntact(row) || !rowIntact(head)) damaged += 1;
      else streamed.push({ id, row: parseStreamRow(row, id), head: parseHead(head, id, parts.initial) });
    }
    return { streamed, damaged };
  } // prettier-ignore

  /** The records of a pack whose rows name it. Throws `integrity-failure` where one cannot be told. */
  async named(parts: PartsDeclaration, ref: PartitionRef, pack: Pack): Promise<readonly Streamed[]> {
    const { streamed, damaged } = await this.read(parts, ref, pack.members.map(({ id }) => id)); // prettier-ignore
    if (damaged > 0) throw broken(pack.uuid, 0, 'stream row');
    return streamed.filter(({ row }) => row.pieces.some(({ blob }) => blob === pack.blob));
  }

  /**
   * Makes every commit fail that would name a pack which is in nobody's row by now: each row `w:<id>` is replaced by itself.
   * To be called before it is asked again who names it.
   */
  async fence(parts: PartsDeclaration, ref: PartitionRef, pack: Pack): Promise<void> {
    const key = partitionKey(ref.tenant, ref.partition);
    const { streamed } = await this.read(parts, ref, pack.members.map((member) => member.id));
    for (const { id, row } of streamed) {
      const operation = { kind: 'replace', ...streamRow(key, id, row), etag: row.etag ?? '' } as const;
      try {
        await this.#budget().retry(() => this.tools.ports.tables.commit(ref.table, key, [operation]));
      } catch (error) {
        // The version that was read is gone, and with it every older one.
        if (!isFault(error, 'conflict', 'missing')) throw error;
      }
    }
  } // prettier-ignore

  /**
   * Moves a pack that nothing in it stands against. One transaction for each record, one call for the blob, one for the row
   * of the pack, unless somebody else has written one of the records: then the next round goes on.
   */
  async archive(
    type: RecordType,
    parts: PartsDeclaration,
    ref: PartitionRef,
    pack: StoredPack,
    named: readonly Streamed[],
  ): Promise<{ readonly moved: number; readonly overtaken: number }> {
    const limit = pLimit(RECORDS_AT_ONCE);
    const work = named.map((one) => limit(() => this.#point(type, parts, ref, pack, one)));
    await Promise.allSettled(work);
    const moved = (await Promise.all(work)).filter((done) => done).length;
    const overtaken = named.length - moved;
    if (overtaken > 0) return { moved, overtaken };
    await this.#budget().retry(() => this.tools.ports.blobs.setTier(CONTAINER, pack.blob, 'archive'));
    await this.replaceRow(ref, pack, { ...pack, tier: 'archive' });
    return { moved, overtaken };
  }

  /** Says it in the rows of a record, unless they say it already. */
  async #point(type: RecordType, parts: PartsDeclaration, ref: PartitionRef, { blob }: Pack, { id, row, head }: Streamed): Promise<boolean> {
    const waiting = row.pieces.filter((piece) => piece.blob === blob && piece.tier !== 'archive');
    const [first, last] = [waiting[0], waiting.at(-1)];
    if (first === undefined || last === undefined) return true;
    const pieces = row.pieces.map((piece) => (waiting.includes(piece) ? { ...piece, tier: 'archive' as const } : piece));
    const archivedUpTo = Math.max(head.archivedUpTo ?? 0, last.upTo);
    const from = (row.pieces[row.pieces.indexOf(first) - 1]?.upTo ?? 0) + 1;
    const entries = { from, to: last.upTo, count: last.upTo - from + 1 };
    const details = { from: first.tier, to: 'archive', pack: blob, part: parts.path, entries };
    return this.#mover.move(type, ref, { id, from: row, to: { ...row, pieces }, head: { ...head, archivedUpTo } }, details);
  } // prettier-ignore

  /** Puts another row in the place of the pack's, unless somebody else has; that is as good then. */
  async replaceRow(ref: PartitionRef, { etag }: StoredPack, next: Pack): Promise<void> {
    const key = partitionKey(ref.tenant, ref.partition);
    const operation = { kind: 'replace', ...packRow(key, next), etag } as const;
    try {
      await this.#budget().retry(() => this.tools.ports.tables.commit(ref.table, key, [operation]));
    } catch (error) {
      if (!isFault(error, 'conflict', 'missing')) throw error;
    }
  }

  #budget(): Budget {
    return new Budget(this.tools.clock, this.tools.entropy);
  }
}
