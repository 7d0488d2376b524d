import type { RecordType } from '../domain/record-type.js';
import type { Budget } from './backoff.js';
import { findNamedBytes } from './blob-range.js';
import type { PartitionRef } from './directory.js';
import { partitionKey } from './keys.js';
import type { StorageManagerOptions } from './manager-types.js';
import { MovedDetails } from './moved-details.js';
import { streamFileOf } from './part-lines.js';
import { partsPartition, type LinePlace } from './part-rows.js';
import { isFault, type RecordTable } from './ports.js';
import { timeOfId } from './record-location.js';
import { RecordLocator } from './record-locator.js';
import { archived } from './rehydration-rows.js';
import { digestKey } from './series-rows.js';
import { parseStreamRow, type StreamPiece, type StreamRow } from './stream-row.js';

type Tools = Pick<StorageManagerOptions, 'ports' | 'typeOfId'>;

/** Lines of entries whose append blob is gone: it was copied into a pack, which may be in the archive by now. */
export class MovedLines {
  /** Made when it is needed: most who read entries never meet one in the archive. */
  #details: MovedDetails | undefined;

  constructor(private readonly tools: Tools) {}

  /**
   * The bytes that a row says are in an append blob, from where that has gone; undefined where it has gone nowhere. One point
   * read and one blob read; of what was brought back one point read more. Throws `record-archived`, `integrity-failure`.
   */
  async find(
    ref: PartitionRef,
    id: string,
    { blob, offset, length }: LinePlace,
    budget: Budget,
  ): Promise<Uint8Array | undefined> {
    const { pieces } = await streamOf(this.tools.ports.tables, ref, id, budget);
    const piece = pieces.find(({ file }) => file === streamFileOf(blob));
    if (piece === undefined || offset + length > piece.length) return undefined;
    const range = { offset: piece.offset + offset, length };
    const { blobs } = this.tools.ports;
    if (piece.tier !== 'archive') {
      try {
        return await findNamedBytes(blobs, piece.blob, range, budget);
      } catch (error) {
        // The rows go first; this one was read before they did.
        if (!isFault(error, 'archived')) throw error;
      }
    }
    const type = this.tools.typeOfId(id);
    if (type === undefined) return undefined;
    const copy = await this.#copyOf(type, ref.tenant, id, piece, budget);
    const bytes = copy === undefined ? undefined : await findNamedBytes(blobs, copy, range, budget);
    if (bytes === undefined) throw archived(type, id);
    return bytes;
  }

  /**
   * Nothing is added to what nobody can read: throws `record-archived` unless all that is in the archive of the entries of a
   * record was brought back. Two point reads.
   */
  async assertBroughtBack(type: RecordType, ref: PartitionRef, id: string, budget: Budget): Promise<void> {
    const { pieces } = await streamOf(this.tools.ports.tables, ref, id, budget);
    const piece = pieces.findLast(({ tier }) => tier === 'archive');
    // What is brought back is brought back whole.
    if (piece !== undefined && (await this.#copyOf(type, ref.tenant, id, piece, budget)) === undefined)
      throw archived(type, id);
  }

  #copyOf(type: RecordType, tenant: string, id: string, { blob }: StreamPiece, budget: Budget): Promise<string | undefined> {
    const { tables } = this.tools.ports;
    this.#details ??= new MovedDetails(tables, new RecordLocator(tables));
    return this.#details.hotCopy(type, tenant, { id, location: { blob } }, budget);
  } // prettier-ignore
}

/** How far the entries of a record have moved; `ref` is the place of its parts. One point read. */
export async function streamOf(
  tables: RecordTable,
  ref: PartitionRef,
  id: string,
  budget: Budget,
): Promise<StreamRow> {
  const key = partitionKey(ref.tenant, ref.partition);
  return parseStreamRow(await budget.retry(() => tables.find(ref.table, key, digestKey(id))), id);
}

/** Packs of the archive tier that have entries of a record. One point read for a type with streams. */
export async function archivedStreams(
  tables: RecordTable,
  type: RecordType,
  tenant: string,
  id: string,
  budget: Budget,
): Promise<readonly string[]> {
  if (type.parts?.stream === undefined) return [];
  const ref = { tenant, table: type.parts.table, partition: partsPartition(timeOfId(type, id), id) };
  const { pieces } = await streamOf(tables, ref, id, budget);
  return [...new Set(pieces.filter(({ tier }) => tier === 'archive').map(({ blob }) => blob))];
}
