import { createHash } from 'node:crypto';
import { LIMITS } from '../domain/limits.js';
import type { Budget } from './backoff.js';
import { isFault, type BlobStore } from './ports.js';

/** Of a blob that was written: its length in bytes and its hex SHA-256. */
export interface Written {
  readonly bytes: number;
  readonly checksum: string;
}

const TYPE = 'application/x-ndjson';

/**
 * Writes a block blob of any length with no more than a block of it in memory. What is not finished is not there: its
 * blocks go by themselves.
 */
export class BlockWriter {
  readonly #hash = createHash('sha256');
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  readonly #blocks: string[] = [];
  #bytes = 0;

  constructor(
    private readonly blobs: Pick<BlobStore, 'putOnce' | 'stageBlock' | 'commitBlocks'>,
    private readonly container: string,
    private readonly name: string,
    private readonly budget: () => Budget,
  ) {}

  /** Bytes that were added. */
  get bytes(): number {
    return this.#bytes;
  }

  /** At most `LIMITS.blockBytes`; one call where they do not fit into a block with those before. */
  async add(bytes: Uint8Array): Promise<void> {
    if (this.#waitingBytes + bytes.length > LIMITS.blockBytes) await this.#stage();
    this.#hash.update(bytes);
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#bytes += bytes.length;
  }

  /** Makes the blob. One call where it has no more than a block, else one for the last block and one for the blob. */
  async finish(): Promise<Written> {
    const { blobs, container, name } = this;
    const create = async (): Promise<unknown> => {
      if (this.#blocks.length === 0)
        return blobs.putOnce(container, name, Buffer.concat(this.#waiting), TYPE);
      return blobs.commitBlocks(container, name, this.#blocks, TYPE);
    };
    if (this.#blocks.length > 0) await this.#stage();
    await this.budget().retry(async (attempt) => {
      try {
        await create();
      } catch (error) {
        // Its name is ours alone: an attempt whose answer was lost.
        if (attempt === 1 || !isFault(error, 'exists')) throw error;
      }
    });
    return { bytes: this.#bytes, checksum: this.#hash.digest('hex') };
  }

  async #stage(): Promise<void> {
    if (this.#waitingBytes === 0) return;
    const block = Buffer.concat(this.#waiting);
    const { blobs, container, name } = this;
    // The ids of the blocks of a blob have one length.
    const id = String(this.#blocks.length).padStart(6, '0');
    await this.budget().retry(() => blobs.stageBlock(container, name, id, block));
    this.#blocks.push(id);
    this.#waiting = [];
    this.#waitingBytes = 0;
  }
}

/** Whether a blob reads as it was written, a block at a time. One call for each 4 MiB. */
export async function readsAs(
  blobs: Pick<BlobStore, 'find'>,
  container: string,
  name: string,
  { bytes, checksum }: Written,
  budget: () => Budget,
): Promise<boolean> {
  const hash = createHash('sha256');
  for (let offset = 0; offset < bytes;) {
    const range = { offset, length: Math.min(LIMITS.blockBytes, bytes - offset) };
    const found = await budget().retry(() => blobs.find(container, name, range));
    if (found === undefined || found.bytes.length === 0) return false;
    hash.update(found.bytes);
    offset += found.bytes.length;
  }
  return hash.digest('hex') === checksum;
}
