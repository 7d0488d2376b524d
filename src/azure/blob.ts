import type { AppendBlobClient, BlobClient, BlockBlobClient } from '@azure/storage-blob';
import { LIMITS } from '../domain/limits.js';
import { isFault, StorageFault } from '../storage/ports.js';
import type {
  AppendState,
  BlobContent,
  BlobStore,
  BlobTier,
  BlockState,
  RehydratePriority,
} from '../storage/ports.js';
import { acquireLease, releaseLease } from './blob-lease.js';
import { download, upload, type BlobCondition } from './blob-wire.js';
import type { AzureClients } from './clients.js';
import { attempt } from './faults.js';

const TIER = { hot: 'Hot', cool: 'Cool', archive: 'Archive' } as const;
const PRIORITY = { standard: 'Standard', high: 'High' } as const;
const NOBODY = { ifNoneMatch: '*' } as const;

/** `BlobStore` on Azure Blob Storage. */
export class AzureBlobStore implements BlobStore {
  constructor(private readonly clients: AzureClients) {}

  async putOnce(container: string, name: string, bytes: Uint8Array, contentType: string): Promise<string> {
    return this.#upload(container, name, bytes, NOBODY, contentType);
  }

  async swap(container: string, name: string, bytes: Uint8Array, etag: string | undefined): Promise<string> {
    const conditions = etag === undefined ? NOBODY : { ifMatch: etag };
    try {
      return await this.#upload(container, name, bytes, conditions, 'application/octet-stream');
    } catch (error) {
      // The service answers a failed If-Match alike for another version and for no blob at all.
      if (etag === undefined || !isFault(error, 'conflict') || (await this.#exists(container, name)))
        throw error;
      throw new StorageFault('missing', 'there is no such blob', { cause: error });
    }
  }

  async find(
    container: string,
    name: string,
    range?: { readonly offset: number; readonly length: number },
  ): Promise<BlobContent | undefined> {
    if (range !== undefined && (range.offset < 0 || range.length < 1))
      throw new StorageFault('refused', 'a range of a blob has an offset and a length');
    return this.#orMissing(container, (abortSignal) =>
      download(this.clients.wires.blobs, container, name, range, abortSignal),
    );
  }

  async createAppend(container: string, name: string): Promise<void> {
    await this.#create(container, async (abortSignal) => {
      await this.#append(container, name).create({ conditions: NOBODY, abortSignal });
    });
  }

  async append(container: string, name: string, bytes: Uint8Array, position: number): Promise<void> {
    if (bytes.length > LIMITS.appendBlockBytes)
      throw new StorageFault('too-large', `an append is at most ${LIMITS.appendBlockBytes} bytes`);
    if (bytes.length === 0) throw new StorageFault('refused', 'an append is not empty');
    await this.#attempt(container, (abortSignal) =>
      this.#append(container, name).appendBlock(bytes, bytes.length, {
        conditions: { appendPosition: position },
        abortSignal,
      }),
    );
  }

  async seal(container: string, name: string): Promise<void> {
    try {
      await this.#attempt(container, (abortSignal) => this.#append(container, name).seal({ abortSignal }));
    } catch (error) {
      if (!isFault(error, 'sealed')) throw error;
    }
  }

  async appendState(container: string, name: string): Promise<AppendState | undefined> {
    return this.#orMissing(container, async (abortSignal) => {
      const found = await this.#blob(container, name).getProperties({ abortSignal });
      if (found.blobType !== 'AppendBlob')
        throw new StorageFault('refused', `the blob ${name} is not an append blob`);
      return { length: found.contentLength ?? 0, sealed: found.isSealed ?? false };
    });
  }

  async stageBlock(container: string, name: string, blockId: string, bytes: Uint8Array): Promise<void> {
    if (bytes.length > LIMITS.blockBytes)
      throw new StorageFault('too-large', `a block is at most ${LIMITS.blockBytes} bytes`);
    if (bytes.length === 0) throw new StorageFault('refused', 'a block is not empty');
    await this.#attempt(container, (abortSignal) =>
      this.#block(container, name).stageBlock(base64(blockId), bytes, bytes.length, { abortSignal }),
    );
  }

  async commitBlocks(
    container: string,
    name: string,
    blockIds: readonly string[],
    contentType: string,
  ): Promise<void> {
    await this.#create(container, async (abortSignal) => {
      const options = { blobHTTPHeaders: { blobContentType: contentType }, conditions: NOBODY, abortSignal };
      await this.#block(container, name).commitBlockList(blockIds.map(base64), options);
    });
  }

  async list(
    container: string,
    prefix: string,
    next?: string,
  ): Promise<{ readonly names: readonly string[]; readonly next?: string }> {
    return this.#attempt(container, async (abortSignal) => {
      const pages = this.clients.blobs
        .getContainerClient(container)
        .listBlobsFlat({ prefix, abortSignal })
        .byPage({
          maxPageSize: this.clients.listPage,
          ...(next === undefined ? {} : { continuationToken: next }),
        });
      const page = await pages[Symbol.asyncIterator]().next();
      if (page.done === true) return { names: [] };
      const names = page.value.segment.blobItems.map((item) => item.name);
      const token = page.value.continuationToken;
      return { names, ...(token === undefined || token === '' ? {} : { next: token }) };
    });
  }

  async delete(container: string, name: string): Promise<void> {
    await this.#orMissing(container, (abortSignal) => this.#blob(container, name).delete({ abortSignal }));
  }

  async setTier(container: string, name: string, tier: BlobTier): Promise<void> {
    await this.#attempt(container, (abortSignal) =>
      this.#blob(container, name).setAccessTier(TIER[tier], { abortSignal }),
    );
  }

  async copyToHot(container: string, from: string, to: string, priority: RehydratePriority): Promise<void> {
    await this.#create(container, async (abortSignal) => {
      const options = { tier: 'Hot', rehydratePriority: PRIORITY[priority], conditions: NOBODY, abortSignal } as const; // prettier-ignore
      // Resolves once the service has taken it on; the poller it resolves to is not asked anything.
      await this.#blob(container, to).beginCopyFromURL(this.#blob(container, from).url, options);
    });
  }

  async blockState(container: string, name: string): Promise<BlockState | undefined> {
    return this.#orMissing(container, async (abortSignal) => {
      const found = await this.#blob(container, name).getProperties({ abortSignal });
      if (found.blobType !== 'BlockBlob')
        throw new StorageFault('refused', `the blob ${name} is not a block blob`);
      const { contentLength: length = 0, copyStatus, archiveStatus } = found;
      const pending = copyStatus === 'pending' || archiveStatus !== undefined;
      const failed = copyStatus === 'failed' || copyStatus === 'aborted';
      const copy = failed ? 'failed' : pending ? 'pending' : undefined;
      return { length, tier: tierOf(found.accessTier), ...(copy === undefined ? {} : { copy }) };
    });
  }

  async acquireLease(container: string, name: string, seconds: number): Promise<string | undefined> {
    const acquire = (): Promise<string | undefined> =>
      this.#attempt(container, (signal) => acquireLease(this.#blob(container, name), seconds, signal));
    try {
      return await acquire();
    } catch (error) {
      if (!isFault(error, 'missing')) throw error;
    }
    try {
      await this.putOnce(container, name, new Uint8Array(), 'application/octet-stream');
    } catch (error) {
      if (!isFault(error, 'exists')) throw error;
    }
    return acquire();
  }

  async releaseLease(container: string, name: string, leaseId: string): Promise<void> {
    await this.#orMissing(container, (abortSignal) =>
      releaseLease(this.#blob(container, name), leaseId, abortSignal),
    );
  }

  async #upload(
    container: string,
    name: string,
    bytes: Uint8Array,
    condition: BlobCondition,
    contentType: string,
  ): Promise<string> {
    const call = (abortSignal: AbortSignal): Promise<string> =>
      upload(this.clients.wires.blobs, container, name, { bytes, contentType }, condition, abortSignal);
    return 'ifNoneMatch' in condition ? this.#create(container, call) : this.#attempt(container, call);
  }

  /** A creation: a condition that failed can only mean that the blob exists. */
  async #create<T>(container: string, call: (abortSignal: AbortSignal) => Promise<T>): Promise<T> {
    try {
      return await this.#attempt(container, call);
    } catch (error) {
      if (!isFault(error, 'conflict', 'sealed', 'archived')) throw error;
      throw new StorageFault('exists', 'the blob exists already', { cause: error });
    }
  }

  async #exists(container: string, name: string): Promise<boolean> {
    return this.#attempt(container, (abortSignal) => this.#blob(container, name).exists({ abortSignal }));
  }

  /** Undefined where the blob (not its container) is missing. */
  async #orMissing<T>(container: string, call: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
    try {
      return await this.#attempt(container, call);
    } catch (error) {
      if (isFault(error, 'missing')) return undefined;
      throw error;
    }
  }

  #attempt<T>(container: string, call: (abortSignal: AbortSignal) => Promise<T>): Promise<T> {
    return attempt(`container ${container}`, this.clients.tryMs, call);
  }

  #blob(container: string, name: string): BlobClient {
    return this.clients.blobs.getContainerClient(container).getBlobClient(name);
  }

  #block(container: string, name: string): BlockBlobClient {
    return this.clients.blobs.getContainerClient(container).getBlockBlobClient(name);
  }

  #append(container: string, name: string): AppendBlobClient {
    return this.clients.blobs.getContainerClient(container).getAppendBlobClient(name);
  }
}

const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');

/** Any tier between hot and archive is read as cool ones are. */
function tierOf(accessTier: string | undefined): BlobTier {
  if (accessTier === undefined || accessTier === TIER.hot) return 'hot';
  return accessTier === TIER.archive ? 'archive' : 'cool';
}
