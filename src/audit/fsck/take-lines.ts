import { BLOB_CONTAINERS } from '../../storage/keys.js';
import { isFault } from '../../storage/ports.js';
import type { Reads } from './tools.js';

/** A place in the streams of a tenant. */
export interface StreamPlace {
  readonly name: string;
  readonly offset: number;
}

const CONTAINER = BLOB_CONTAINERS.audit;
const READ_BYTES = 1024 * 1024;
const NEWLINE = 0x0a;

/**
 * The next `count` lines of a tenant's streams, without their newlines, fewer where there are no more; and the place
 * behind them. Holds those lines and one piece of a stream.
 */
export async function takeLines(
  reads: Reads,
  tenant: string,
  from: StreamPlace | undefined,
  count: number,
): Promise<{ readonly lines: readonly Uint8Array[]; readonly next: StreamPlace | undefined }> {
  const lines: Uint8Array[] = [];
  let place = from ?? (await streamAfter(reads, tenant, ''));
  while (place !== undefined && lines.length < count) {
    const before: StreamPlace = place;
    const { taken, offset } = await linesFrom(reads, before, count - lines.length);
    lines.push(...taken);
    place = { name: before.name, offset };
    if (lines.length < count) place = await streamAfter(reads, tenant, before.name);
    if (place === undefined) return { lines, next: { name: before.name, offset } };
  }
  return { lines, next: place };
}

async function linesFrom(
  reads: Reads,
  { name, offset }: StreamPlace,
  count: number,
): Promise<{ readonly taken: readonly Uint8Array[]; readonly offset: number }> {
  const taken: Uint8Array[] = [];
  let begun: Uint8Array = new Uint8Array();
  let done = offset;
  for (let at = offset; ;) {
    const bytes = await piece(reads, name, at);
    at += bytes.length;
    const text = begun.length === 0 ? bytes : Buffer.concat([begun, bytes]);
    let start = 0;
    for (let end = text.indexOf(NEWLINE); end >= 0 && taken.length < count; end = text.indexOf(NEWLINE, start)) {
      taken.push(text.subarray(start, end));
      done += end + 1 - start;
      start = end + 1;
    } // prettier-ignore
    begun = text.subarray(start);
    if (taken.length === count || bytes.length < READ_BYTES) return { taken, offset: done };
  }
}

/** The begin of the first stream after a name. */
async function streamAfter(reads: Reads, tenant: string, name: string): Promise<StreamPlace | undefined> {
  let next: string | undefined;
  do {
    const page = await reads
      .budget()
      .retry(() => reads.tools.ports.blobs.list(CONTAINER, `${tenant}/`, next));
    const later = page.names.find((one) => one > name);
    if (later !== undefined) return { name: later, offset: 0 };
    next = page.next;
  } while (next !== undefined);
  return undefined;
}

/** Nothing where the blob ends, or is not there. */
async function piece(reads: Reads, name: string, offset: number): Promise<Uint8Array> {
  try {
    const range = { offset, length: READ_BYTES };
    const found = await reads.budget().retry(() => reads.tools.ports.blobs.find(CONTAINER, name, range));
    return found?.bytes ?? new Uint8Array();
  } catch (error) {
    if (isFault(error, 'range')) return new Uint8Array();
    throw error;
  }
}
