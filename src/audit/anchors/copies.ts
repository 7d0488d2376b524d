import { SYSTEM_TENANT } from '../../storage/keys.js';
import { isFault, type BlobStore } from '../../storage/ports.js';
import { ledgerBroken } from '../ledger-state.js';
import { openCheckpoint, type OpenCheckpoint } from './anchor-state.js';

/** Where copies of published checkpoints go. */
export interface CopyPlace {
  readonly blobs: Pick<BlobStore, 'putOnce' | 'find'>;
  readonly container: string;
  /** Every so many published checkpoints one is copied. */
  readonly every: number;
}

const SIZE_DIGITS = 16;

/** Sorts as sizes do: `<origin>/<size, 16 digits>.checkpoint`. */
function copyName({ origin, size }: Pick<OpenCheckpoint, 'origin' | 'size'>): string {
  return `${origin}/${String(size).padStart(SIZE_DIGITS, '0')}.checkpoint`;
}

/**
 * Copies a checkpoint, once. Idempotent: the one that is there already is left as it is, and must have the same root;
 * throws `integrity-failure` when it has not, or is no checkpoint. Faults of storage pass.
 */
export async function copyCheckpoint(place: CopyPlace, checkpoint: OpenCheckpoint): Promise<void> {
  const name = copyName(checkpoint);
  try {
    await place.blobs.putOnce(place.container, name, Buffer.from(checkpoint.note), 'text/plain; charset=utf-8'); // prettier-ignore
  } catch (error) {
    if (!isFault(error, 'exists')) throw error;
    const there = await place.blobs.find(place.container, name);
    const copy = openCheckpoint(SYSTEM_TENANT, Buffer.from(there?.bytes ?? []).toString('utf8'));
    if (copy.root !== checkpoint.root)
      throw ledgerBroken(SYSTEM_TENANT, 'the copy of a checkpoint has another root', error);
  }
}
