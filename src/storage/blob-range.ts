import type { Budget } from './backoff.js';
import { BLOB_CONTAINERS } from './keys.js';
import { isFault, type BlobStore } from './ports.js';

/**
 * The bytes that a row says are in a blob of `records`; undefined when there is no such blob, or it ends before the place
 * the row names, which is as good as not there. Throws `storage-unavailable`.
 */
export async function findNamedBytes(
  blobs: BlobStore,
  blob: string,
  range: { readonly offset: number; readonly length: number },
  budget: Budget,
): Promise<Uint8Array | undefined> {
  try {
    return (await budget.retry(() => blobs.find(BLOB_CONTAINERS.records, blob, range)))?.bytes;
  } catch (error) {
    if (isFault(error, 'range')) return undefined;
    throw error;
  }
}
