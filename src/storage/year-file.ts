import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { constants, crc32, deflateRaw, inflateRaw } from 'node:zlib';
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
const compress = promisify<string | Buffer, { finishFlush: number }, Buffer>(deflateRaw);
const decompress = promisify<Uint8Array, { finishFlush: number; maxOutputLength: number }, Buffer>(
  inflateRaw,
);
/** Compressed bytes of one block: what is held until it is staged, besides the member that is under way. */
const BLOCK_BYTES = 1024 * 1024;
/** More than the lines of a member ever are in UTF-8: `LIMITS.yearMemberChars`, and one line more. */
const MEMBER_BYTES = 16 * 1024 * 1024;
/** How gzip begins (RFC 1952): deflate, without a time and a system, so that the same values are the same bytes everywhere. */
const GZIP = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
/** An empty last block of deflate (RFC 1951); CRC-32 and length of what was compressed follow it. */
const LAST = Buffer.from([3, 0]);
/** Bytes behind the last member. */
export const TAIL_BYTES = LAST.length + 8;

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
 * Writes samples, which have to come in their order, into a new block blob: CSV under gzip, one stream to everybody, in which
 * nothing refers to what is before each some thousand lines (a full flush of deflate), so that a page can be read alone.
 * One call for each MiB of the file, and one that makes it; what is staged before that goes by itself. Holds one member and
 * a block. Throws `storage-unavailable`, `TooManyMembers`.
 */
export async function writeYear(
  blobs: BlobStore,
  blob: string,
  samples: AsyncIterable<readonly Sample[]>,
  room: number,
  budget: () => Budget,
): Promise<Written> {
  const out = new Blocks(blobs, blob, budget);
  const whole = new Checked();
  const head = (await out.add(GZIP)) + (await out.add((await whole.compressed(CSV_HEADER)).bytes));
  const members: YearMember[] = [];
  let first: Sample | undefined;
  let [lines, count] = ['', 0];
  const close = async (): Promise<void> => {
    if (first === undefined) return;
    if (members.length >= room) throw new TooManyMembers(`more than ${String(room)}`);
    const { bytes, crc } = await whole.compressed(lines);
    members.push([await out.add(bytes), first.ms, first.seq, first.at, crc]);
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
  await out.add(whole.tail());
  const { bytes, sha256 } = await out.end();
  return { blob, bytes, sha256, head, members };
}

/** Compresses, and knows what gzip says of the whole at its end. */
class Checked {
  #crc = 0;
  #length = 0;

  /** Lines, and the CRC-32 of them alone. */
  async compressed(text: string): Promise<{ readonly bytes: Uint8Array; readonly crc: number }> {
    const plain = Buffer.from(text, 'utf8');
    this.#crc = crc32(plain, this.#crc);
    this.#length += plain.length;
    return { bytes: await compress(plain, { finishFlush: constants.Z_FULL_FLUSH }), crc: crc32(plain) };
  }

  tail(): Uint8Array {
    const said = Buffer.alloc(8);
    said.writeUInt32LE(this.#crc, 0);
    said.writeUInt32LE(this.#length % 2 ** 32, 4);
    return Buffer.concat([LAST, said]);
  }
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
        await this.blobs.commitBlocks(CONTAINER, this.blob, this.#ids, 'application/gzip');
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
  for (const [at, member] of file.members.entries()) {
    const [length] = member;
    const next = file.members[at + 1];
    const passed = next !== undefined && keyOfMember(next) <= from;
    if (!passed) yield await readMember(blobs, blob, id, { offset, member }, budget());
    offset += length;
  }
}

const keyOfMember = ([, ms, seq, at]: YearMember): string => sampleKey({ ms, seq, at });

async function readMember(
  blobs: BlobStore,
  blob: string,
  id: string,
  { offset, member }: { readonly offset: number; readonly member: YearMember },
  budget: Budget,
): Promise<ReadMember> {
  const [length, , , , crc] = member;
  const bytes = await findNamedBytes(blobs, blob, { offset, length }, budget);
  if (bytes === undefined) throw new FileGone(blob);
  const text = await textOf(bytes, crc);
  const samples = text === undefined ? undefined : parseCsvLines(text);
  if (samples === undefined) throw broken(id, 0, 'file of values');
  return { bytes, samples };
}

/** Undefined where it is not what was compressed. */
async function textOf(bytes: Uint8Array, crc: number): Promise<string | undefined> {
  try {
    const how = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: MEMBER_BYTES };
    const plain = await decompress(bytes, how);
    return crc32(plain) === crc ? plain.toString('utf8') : undefined;
  } catch {
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
