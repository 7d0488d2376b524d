import { isAppError } from '../../domain/errors.js';
import { findNamedBytes } from '../../storage/blob-range.js';
import type { PartitionRef } from '../../storage/directory.js';
import { packKey } from '../../storage/keys.js';
import { packUuidOf, parsePackRow, type Pack } from '../../storage/pack-rows.js';
import { streamFileOf } from '../../storage/part-lines.js';
import type { LinePlace } from '../../storage/part-rows.js';
import { isFault } from '../../storage/ports.js';
import { digestKey } from '../../storage/series-rows.js';
import { parseStreamRow, type StreamPiece } from '../../storage/stream-row.js';
import type { Found } from './findings.js';
import { keyOf, type Reads } from './tools.js';

/**
 * The line of an entry whose append blob has gone into a pack; undefined where nothing says that it has. A pack in the
 * archive is not read: what its row says is held against that of the record, and each pack said once.
 */
export async function movedLine(
  reads: Reads,
  ref: PartitionRef,
  id: string,
  { blob, offset, length }: LinePlace,
  found: Found,
  where: string,
): Promise<Uint8Array | 'archived' | undefined> {
  const row = await reads.row(ref.table, keyOf(ref), digestKey(id));
  const pieces = sound(() => parseStreamRow(row, id).pieces);
  const piece = pieces?.find(({ file }) => file === streamFileOf(blob));
  if (piece === undefined || offset + length > piece.length) return undefined;
  try {
    const range = { offset: piece.offset + offset, length };
    return await findNamedBytes(reads.tools.ports.blobs, piece.blob, range, reads.budget());
  } catch (error) {
    if (isFault(error, 'archived')) {
      await checkPack(reads, ref, id, piece, found, where);
      return 'archived';
    }
    // A location that no blob can have is no location.
    if (!isFault(error, 'refused')) throw error;
    return undefined;
  }
}

/** Whether the row of the pack has the file that the record's row says is in it. */
async function checkPack(
  reads: Reads,
  ref: PartitionRef,
  id: string,
  { file, blob, offset, length }: StreamPiece,
  found: Found,
  where: string,
): Promise<void> {
  found('pack.archived', `records/${blob}`, 'it is in the archive tier, and was not read');
  const row = await reads.row(ref.table, keyOf(ref), packKey(packUuidOf(blob) ?? ''));
  const pack: Pack | undefined = row && sound(() => parsePackRow(row));
  const isMember = pack?.members.some((one) => one.id === id && one.revision === file) === true;
  if (pack?.blob !== blob || !isMember || offset + length > pack.bytes)
    found('pack.members', where, `the row of records/${blob} does not have it`);
}

/** Undefined for a row that was altered; that is said where rows are walked. */
function sound<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (isAppError(error, 'integrity-failure')) return undefined;
    throw error;
  }
}
