import { BLOB_CONTAINERS } from '../storage/keys.js';
import { isFault, type BlobStore } from '../storage/ports.js';

/** A place in the streams of a tenant: bytes of one of them. */
export interface StreamPlace {
  readonly name: string;
  readonly offset: number;
}

export interface PlacedLine {
  /** Without its newline; a part of a larger buffer. */
  readonly bytes: Uint8Array;
  /** Where the next line begins, unless that is in a later stream. */
  readonly end: StreamPlace;
}

/** What of blobs reading streams takes. */
export type StreamBlobs = Pick<BlobStore, 'find' | 'list'>;

/** The same, each call made by `retry`. */
export function retriedStreams(
  blobs: StreamBlobs,
  retry: <T>(call: () => Promise<T>) => Promise<T>,
): StreamBlobs {
  return {
    find: (container, name, range) => retry(() => blobs.find(container, name, range)),
    list: (container, prefix, next) => retry(() => blobs.list(container, prefix, next)),
  };
}

const CONTAINER = BLOB_CONTAINERS.audit;
const READ_BYTES = 1024 * 1024;
const NEWLINE = 0x0a;

/**
 * The first `count` lines of a tenant's streams in log order, without their newlines; fewer where there are fewer. Holds
 * one piece of a stream at a time. Faults: `unavailable`.
 */
export async function* streamLines(
  blobs: StreamBlobs,
  tenant: string,
  count: number,
): AsyncGenerator<Uint8Array> {
  let left = count;
  if (left <= 0) return;
  for await (const { bytes } of linesFrom(blobs, tenant, undefined)) {
    yield bytes;
    left -= 1;
    if (left <= 0) return;
  }
}

/**
 * The lines of a tenant's streams from a place on, from the first one on where there is none. Holds one piece of a stream
 * at a time. Faults: `unavailable`.
 */
export async function* linesFrom(
  blobs: StreamBlobs,
  tenant: string,
  from: StreamPlace | undefined,
): AsyncGenerator<PlacedLine> {
  let next: string | undefined;
  do {
    // Names of streams sort in log order.
    const page = await blobs.list(CONTAINER, `${tenant}/`, next);
    for (const name of page.names) {
      if (from !== undefined && name < from.name) continue;
      yield* linesOf(blobs, name, name === from?.name ? from.offset : 0);
    }
    next = page.next;
  } while (next !== undefined);
}

async function* linesOf(blobs: StreamBlobs, name: string, from: number): AsyncGenerator<PlacedLine> {
  let begun: Uint8Array = new Uint8Array();
  let done = from;
  for (let offset = from; ;) {
    const bytes = await piece(blobs, name, offset);
    offset += bytes.length;
    const text = begun.length === 0 ? bytes : Buffer.concat([begun, bytes]);
    let start = 0;
    for (let end = text.indexOf(NEWLINE); end >= 0; end = text.indexOf(NEWLINE, start)) {
      done += end + 1 - start;
      yield { bytes: text.subarray(start, end), end: { name, offset: done } };
      start = end + 1;
    }
    begun = text.subarray(start);
    if (bytes.length < READ_BYTES) return;
  }
}

/** Nothing where the blob ends. */
async function piece(blobs: StreamBlobs, name: string, offset: number): Promise<Uint8Array> {
  try {
    const found = await blobs.find(CONTAINER, name, { offset, length: READ_BYTES });
    return found?.bytes ?? new Uint8Array();
  } catch (error) {
    if (isFault(error, 'range')) return new Uint8Array();
    throw error;
  }
}
