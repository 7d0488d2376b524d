import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { LIMITS } from '../domain/limits.js';
import { isLater, type Sample } from '../domain/series.js';
import { CSV_HEADER, csvLine, parseCsvLines } from '../domain/series-csv.js';
import type { Budget } from './backoff.js';
import { findNamedBytes } from './blob-range.js';
import { BLOB_CONTAINERS } from './keys.js';
import { isFault, type BlobStore } from './ports.js';
import { broken } from './record-row.js';
import { sampleKey } from './series-rows.js';
import type { YearFile, YearMember } from './year-rows.js';

const { records: CONTAINER } = BLOB_CONTAINERS;
const compress = promisify(gzip);
const decompress = promisify(gunzip);
/** Compressed bytes of one block: what is held until it is staged, besides the member that is under way. */
const BLOCK_BYTES = 1024 * 1024;
/** More than the lines of a member ever are in UTF-8: `LIMITS.yearMemberChars`, and one line more. */
const MEMBER_BYTES = 16 * 1024 * 1024;
/** Where gzip says which system made it: unknown (RFC 1952), so that the same values are the same bytes everywhere. */
const OS_AT = 9;
const OS_UNKNOWN = 255;

/** What was written, as far as it is known before it was read back. */
export type Written = Pick<YearFile, 'blob' | 'bytes' | 'sha256' | 'head' | 'members'>;

/** A file is not made of more: its index would not fit into a row. */
export class TooManyMembers extends Error {
  override readonly name = 'TooManyMembers';
}

/** Values of a file that were compressed together. */
export interface ReadMember {
  readonly bytes: Uint8Array;
  readonly samples: readonly Sample[];
}

/**
 * Writes samples, which have to come in their order, into a new block blob: CSV that is compressed with gzip in members of
 * some thousand lines each, one after the other, which is one gzip file to everybody (RFC 1952, 2.2) and lets a page be read
 * without what is before it. One call for each MiB of the file, and one that makes it; what is staged before that goes by
 * itself. Holds one member and a block. Throws `storage-unavailable`, `TooManyMembers`.
 */
export async function writeYear(
  blobs: BlobStore,
  blob: string,
  samples: AsyncIterable<readonly Sample[]>,
  room: number,
  budget: () => Budget,
): Promise<Written> {
  const out = new Blocks(blobs, blob, budget);
  const head = await out.add(await member(CSV_HEADER));
  const members: YearMember[] = [];
  let first: Sample | undefined;
  let [lines, count] = ['', 0];
  const close = async (): Promise<void> => {
    if (first === undefined) return;
    if (members.length >= room) throw new TooManyMembers(`more than ${String(room)}`);
    members.push([await out.add(await member(lines)), first.ms, first.seq, first.at]);
    [first, lines, count] = [undefined, '', 0];
  };
  for await (const some of samples)
    for (const sample of some) {
      first ??= sample;
      lines += csvLine(sample);
      count += 1;
      if (count >= LIMITS.yearMemberValues || lines.length >= LIMITS.yearMemberChars) await close();
    }
  await close();
  const { bytes, sha256 } = await out.end();
  return { blob, bytes, sha256, head, members };
}

async function member(text: string): Promise<Uint8Array> {
  const bytes = await compress(Buffer.from(text, 'utf8'));
  bytes[OS_AT] = OS_UNKNOWN;
  return bytes;
}

/** Stages blocks as they fill. */
class Blocks {
  readonly #ids: string[] = [];
  readonly #hash = createHash('sha256');
  #open: Uint8Array[] = [];
  #openBytes = 0;
  #bytes = 0;

  constructor(
    private readonly blobs: BlobStore,
    private readonly blob: string,
    private readonly budget: () => Budget,
  ) {}

  /** Resolves to the length of what was added. */
  async add(bytes: Uint8Array): Promise<number> {
    this.#hash.update(bytes);
    this.#bytes += bytes.length;
    this.#open.push(bytes);
    this.#openBytes += bytes.length;
    if (this.#openBytes >= BLOCK_BYTES) await this.#stage();
    return bytes.length;
  }

  async end(): Promise<{ readonly bytes: number; readonly sha256: string }> {
    if (this.#openBytes > 0) await this.#stage();
    await this.budget().retry(async (attempt) => {
      try {
        await this.blobs.commitBlocks(CONTAINER, this.blob, this.#ids);
      } catch (error) {
        // Its name is ours alone.
        if (attempt === 1 || !isFault(error, 'exists')) throw error;
      }
    });
    return { bytes: this.#bytes, sha256: this.#hash.digest('hex') };
  }

  async #stage(): Promise<void> {
    const whole = Buffer.concat(this.#open);
    for (let from = 0; from < whole.length; from += LIMITS.blockBytes) {
      const id = String(this.#ids.length).padStart(6, '0');
      const block = whole.subarray(from, from + LIMITS.blockBytes);
      await this.budget().retry(() => this.blobs.stageBlock(CONTAINER, this.blob, id, block));
      this.#ids.push(id);
    }
    [this.#open, this.#openBytes] = [[], 0];
  }
}

/** A file that a row named is not there any more: another one has taken its place, or it is lost. */
export class FileGone extends Error {
  override readonly name = 'FileGone';
}

/**
 * The members of a file in their order, from the one on that has `from` (a key of a sample). `blob` is where the file is read,
 * itself or a copy of it. One blob read each. Throws `integrity-failure` for what is not what was written, `FileGone`; faults:
 * `archived`.
 */
export async function* readYear(
  blobs: BlobStore,
  blob: string,
  id: string,
  file: Pick<YearFile, 'head' | 'members'>,
  budget: () => Budget,
  from = '',
): AsyncGenerator<ReadMember> {
  let offset = file.head;
  for (const [at, [length]] of file.members.entries()) {
    const next = file.members[at + 1];
    const passed = next !== undefined && keyOfMember(next) <= from;
    if (!passed) yield await readMember(blobs, blob, id, { offset, length }, budget());
    offset += length;
  }
}

const keyOfMember = ([, ms, seq, at]: YearMember): string => sampleKey({ ms, seq, at });

async function readMember(
  blobs: BlobStore,
  blob: string,
  id: string,
  range: { readonly offset: number; readonly length: number },
  budget: Budget,
): Promise<ReadMember> {
  const bytes = await findNamedBytes(blobs, blob, range, budget);
  if (bytes === undefined) throw new FileGone(blob);
  const text = await textOf(bytes);
  const samples = text === undefined ? undefined : parseCsvLines(text);
  if (samples === undefined) throw broken(id, 0, 'file of values');
  return { bytes, samples };
}

async function textOf(bytes: Uint8Array): Promise<string | undefined> {
  try {
    return (await decompress(bytes, { maxOutputLength: MEMBER_BYTES })).toString('utf8');
  } catch {
    // Its own checksum says so.
    return undefined;
  }
}

/** Samples of several sources, each in its order, as one; what is in two of them is one. Holds a batch of each. */
export async function* merged(
  sources: readonly AsyncGenerator<readonly Sample[]>[],
): AsyncGenerator<readonly Sample[]> {
  const open: { readonly source: AsyncGenerator<readonly Sample[]>; batch: readonly Sample[]; at: number }[] =
    [];
  const refilled = async (source: AsyncGenerator<readonly Sample[]>): Promise<readonly Sample[]> => {
    for (let next = await source.next(); next.done !== true; next = await source.next())
      if (next.value.length > 0) return next.value;
    return [];
  };
  for (const source of sources) open.push({ source, batch: await refilled(source), at: 0 });
  let last: Sample | undefined;
  let out: Sample[] = [];
  for (;;) {
    const left = open.filter(({ batch, at }) => at < batch.length);
    const [first] = left;
    if (first === undefined) break;
    const least = left.reduce((a, b) => (isLater(headOf(a), headOf(b)) ? b : a), first);
    const sample = headOf(least);
    if (last === undefined || isLater(sample, last)) out.push((last = sample));
    least.at += 1;
    if (left.length === 1) {
      // Nothing is left to be compared with.
      const rest = least.batch.slice(least.at);
      out.push(...rest);
      last = rest.at(-1) ?? last;
      least.at = least.batch.length;
    }
    if (least.at < least.batch.length) continue;
    if (out.length > 0) yield out;
    out = [];
    [least.batch, least.at] = [await refilled(least.source), 0];
  }
  if (out.length > 0) yield out;
}

const headOf = ({ batch, at }: { readonly batch: readonly Sample[]; readonly at: number }): Sample =>
  batch[at] as Sample;
