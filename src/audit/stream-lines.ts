import { BLOB_CONTAINERS } from '../storage/keys.js';
import { isFault, type BlobStore } from '../storage/ports.js';

const CONTAINER = BLOB_CONTAINERS.audit;
const READ_BYTES = 1024 * 1024;
const NEWLINE = 0x0a;

/**
 * The first `count` lines of a tenant's streams in log order, without their newlines; fewer where there are fewer. Holds
 * one piece of a stream at a time. Faults: `unavailable`.
 */
export async function* streamLines(
  blobs: BlobStore,
  tenant: string,
  count: number,
): AsyncGenerator<Uint8Array> {
  let left = count;
  let next: string | undefined;
  do {
    if (left <= 0) return;
    // Names of streams sort in log order.
    const page = await blobs.list(CONTAINER, `${tenant}/`, next);
    for (const name of page.names) {
      for await (const line of linesOf(blobs, name)) {
        if (left <= 0) return;
        left -= 1;
        yield line;
      }
    }
    next = page.next;
  } while (next !== undefined);
}

async function* linesOf(blobs: BlobStore, name: string): AsyncGenerator<Uint8Array> {
  let begun: Uint8Array = new Uint8Array();
  for (let offset = 0; ;) {
    const bytes = await piece(blobs, name, offset);
    offset += bytes.length;
    const text = begun.length === 0 ? bytes : Buffer.concat([begun, bytes]);
    let start = 0;
    for (let end = text.indexOf(NEWLINE); end >= 0; end = text.indexOf(NEWLINE, start)) {
      yield text.subarray(start, end);
      start = end + 1;
    }
    begun = text.subarray(start);
    if (bytes.length < READ_BYTES) return;
  }
}

/** Nothing where the blob ends. */
async function piece(blobs: BlobStore, name: string, offset: number): Promise<Uint8Array> {
  try {
    const found = await blobs.find(CONTAINER, name, { offset, length: READ_BYTES });
    return found?.bytes ?? new Uint8Array();
  } catch (error) {
    if (isFault(error, 'range')) return new Uint8Array();
    throw error;
  }
}
