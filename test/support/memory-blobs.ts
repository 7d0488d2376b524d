import { randomUUID } from 'node:crypto';
import type { Clock } from '../../src/domain/clock.js';
import { LIMITS } from '../../src/domain/limits.js';
import {
  StorageFault,
  type AppendState,
  type BlobContent,
  type BlobStore,
  type BlobTier,
  type BlockState,
} from '../../src/storage/ports.js';
import { SortedKeys } from './sorted-keys.js';

interface Blob {
  readonly kind: 'block' | 'append';
  chunks: Uint8Array[];
  length: number;
  etag: string;
  sealed: boolean;
  tier: BlobTier;
  /** Of a copy that is not there yet. */
  copy?: 'pending' | 'failed';
  lease?: { readonly id: string; readonly untilMs: number };
}

/** Blobs by their names, and these in order, so that a list costs what it returns. */
class Container extends Map<string, Blob> {
  readonly #names = new SortedKeys();

  override set(name: string, blob: Blob): this {
    if (!this.has(name)) this.#names.add(name);
    return super.set(name, blob);
  }

  override delete(name: string): boolean {
    if (this.has(name)) this.#names.remove(name);
    return super.delete(name);
  }

  /** Names with a prefix from one on, in order. */
  *namesFrom(prefix: string, from: string): Generator<string> {
    for (const name of this.#names.from(from)) {
      if (!name.startsWith(prefix)) return;
      yield name;
    }
  }
}

const missing = (name: string): StorageFault => new StorageFault('missing', `there is no blob ${name}`);
const refused = (message: string): StorageFault => new StorageFault('refused', message);

export interface MemoryBlobsOptions {
  /** When given, any other container is missing. */
  readonly names?: readonly string[] | undefined;
  /** Names in one page of a list. */
  readonly listPage?: number | undefined;
  /** Makes the ids of leases. */
  readonly newId?: (() => string) | undefined;
  /** Asked of every copy from the archive tier: true leaves it pending until `endCopies`. As on Azurite, none is. */
  readonly copiesWait?: (() => boolean) | undefined;
}

/** A blob as it lies there. */
export interface BlobAtRest {
  readonly container: string;
  readonly name: string;
  readonly kind: 'block' | 'append';
  readonly bytes: Uint8Array;
  readonly sealed: boolean;
  readonly tier: BlobTier;
}

/** `BlobStore` in memory, to the letter of its contract. */
export class MemoryBlobs implements BlobStore {
  readonly #containers = new Map<string, Container>();
  /** Blocks that no blob is made of yet, by container and name. */
  readonly #staged = new Map<string, Map<string, Uint8Array>>();
  #version = 0;

  constructor(
    private readonly clock: Clock,
    private readonly options: MemoryBlobsOptions = {},
  ) {}

  /** Every blob of every container. */
  *all(): Generator<BlobAtRest> {
    for (const [container, blobs] of this.#containers)
      for (const [name, { kind, chunks, sealed, tier }] of blobs)
        yield { container, name, kind, bytes: new Uint8Array(Buffer.concat(chunks)), sealed, tier };
  }

  /** Ends every copy that is pending, one way or the other. */
  endCopies(how: 'done' | 'failed' = 'done'): void {
    for (const blobs of this.#containers.values())
      for (const blob of blobs.values()) {
        if (blob.copy !== 'pending') continue;
        if (how === 'failed') blob.copy = 'failed';
        else delete blob.copy;
        if (how === 'done') blob.tier = 'hot';
      }
  }

  async putOnce(container: string, name: string, bytes: Uint8Array, _contentType: string): Promise<string> {
    return this.#create(container, name, 'block', bytes).etag;
  }

  async swap(container: string, name: string, bytes: Uint8Array, etag: string | undefined): Promise<string> {
    if (etag === undefined) return this.#create(container, name, 'block', bytes).etag;
    const blob = this.#existing(container, name);
    if (blob.etag !== etag) throw new StorageFault('conflict', `the blob ${name} has another version`);
    this.#assertFree(blob);
    const next = this.#blob('block', bytes);
    this.#container(container).set(name, next);
    return next.etag;
  }

  async find(
    container: string,
    name: string,
    range?: { readonly offset: number; readonly length: number },
  ): Promise<BlobContent | undefined> {
    const blob = this.#container(container).get(name);
    if (blob === undefined) return undefined;
    if (blob.tier === 'archive') throw new StorageFault('archived', `the blob ${name} is archived`);
    // Joined once, however often it is read.
    if (blob.chunks.length > 1) blob.chunks.splice(0, Infinity, new Uint8Array(Buffer.concat(blob.chunks)));
    const whole = blob.chunks[0] ?? new Uint8Array();
    if (range === undefined) return { bytes: whole.slice(), etag: blob.etag };
    if (range.offset < 0 || range.length < 1) throw refused(`there is no such range of a blob`);
    if (range.offset >= blob.length)
      throw new StorageFault('range', `the range begins beyond the end of ${name}`);
    return { bytes: whole.slice(range.offset, range.offset + range.length), etag: blob.etag };
  }

  async createAppend(container: string, name: string): Promise<void> {
    this.#create(container, name, 'append', new Uint8Array());
  }

  async append(container: string, name: string, bytes: Uint8Array, position: number): Promise<void> {
    if (bytes.length > LIMITS.appendBlockBytes)
      throw new StorageFault('too-large', `an append is at most ${LIMITS.appendBlockBytes} bytes`);
    if (bytes.length === 0) throw refused('an append is not empty');
    const blob = this.#existing(container, name, 'append');
    if (blob.sealed) throw new StorageFault('sealed', `the blob ${name} is sealed`);
    this.#assertFree(blob);
    if (blob.length !== position)
      throw new StorageFault('position', `the blob ${name} is not ${position} bytes long`);
    blob.chunks.push(bytes.slice());
    blob.length += bytes.length;
    blob.etag = this.#etag();
  }

  async seal(container: string, name: string): Promise<void> {
    const blob = this.#existing(container, name, 'append');
    if (blob.sealed) return;
    this.#assertFree(blob);
    blob.sealed = true;
    blob.etag = this.#etag();
  }

  async appendState(container: string, name: string): Promise<AppendState | undefined> {
    const blob = this.#container(container).get(name);
    if (blob === undefined) return undefined;
    if (blob.kind !== 'append') throw refused(`the blob ${name} is not an append blob`);
    return { length: blob.length, sealed: blob.sealed };
  }

  async stageBlock(container: string, name: string, blockId: string, bytes: Uint8Array): Promise<void> {
    if (bytes.length > LIMITS.blockBytes)
      throw new StorageFault('too-large', `a block is at most ${LIMITS.blockBytes} bytes`);
    if (bytes.length === 0) throw refused('a block is not empty');
    this.#container(container);
    const key = `${container}/${name}`;
    const staged = this.#staged.get(key) ?? new Map<string, Uint8Array>();
    const [other] = staged.keys();
    if (other !== undefined && other.length !== blockId.length)
      throw refused('ids of blocks are of one length');
    this.#staged.set(key, staged.set(blockId, bytes.slice()));
  }

  async commitBlocks(
    container: string,
    name: string,
    blockIds: readonly string[],
    _contentType: string,
  ): Promise<void> {
    if (this.#container(container).has(name))
      throw new StorageFault('exists', `the blob ${name} exists already`);
    const staged = this.#staged.get(`${container}/${name}`);
    const blocks = blockIds.map((id) => staged?.get(id));
    if (blocks.includes(undefined)) throw new StorageFault('missing', `a block of ${name} was not staged`);
    this.#create(container, name, 'block', new Uint8Array(Buffer.concat(blocks as Uint8Array[])));
    this.#staged.delete(`${container}/${name}`);
  }

  async list(
    container: string,
    prefix: string,
    next?: string,
  ): Promise<{ readonly names: readonly string[]; readonly next?: string }> {
    const names: string[] = [];
    for (const name of this.#container(container).namesFrom(prefix, next ?? prefix)) {
      if (names.length === (this.options.listPage ?? 5000)) return { names, next: name };
      names.push(name);
    }
    return { names };
  }

  async delete(container: string, name: string): Promise<void> {
    const blob = this.#container(container).get(name);
    if (blob === undefined) return;
    this.#assertFree(blob);
    this.#container(container).delete(name);
  }

  async setTier(container: string, name: string, tier: BlobTier): Promise<void> {
    this.#existing(container, name, 'block').tier = tier;
  }

  async copyToHot(container: string, from: string, to: string): Promise<void> {
    const source = this.#existing(container, from, 'block');
    const waits = source.tier === 'archive' && this.options.copiesWait?.() === true;
    const copy = this.#create(container, to, 'block', new Uint8Array(Buffer.concat(source.chunks)));
    if (!waits) return;
    copy.copy = 'pending';
    copy.tier = 'archive';
  }

  async blockState(container: string, name: string): Promise<BlockState | undefined> {
    const blob = this.#container(container).get(name);
    if (blob === undefined) return undefined;
    if (blob.kind !== 'block') throw refused(`the blob ${name} is not a block blob`);
    const { length, tier, copy } = blob;
    return { length, tier, ...(copy === undefined ? {} : { copy }) };
  }

  async acquireLease(container: string, name: string, seconds: number): Promise<string | undefined> {
    if (seconds < 15 || seconds > 60) throw refused('a lease lasts 15 to 60 seconds');
    const blob =
      this.#container(container).get(name) ?? this.#create(container, name, 'block', new Uint8Array());
    if (this.#leased(blob)) return undefined;
    const id = (this.options.newId ?? randomUUID)();
    blob.lease = { id, untilMs: this.clock.monotonic() + seconds * 1000 };
    return id;
  }

  async releaseLease(container: string, name: string, leaseId: string): Promise<void> {
    const blob = this.#container(container).get(name);
    if (blob?.lease?.id === leaseId) delete blob.lease;
  }

  #create(container: string, name: string, kind: Blob['kind'], bytes: Uint8Array): Blob {
    const blobs = this.#container(container);
    if (blobs.has(name)) throw new StorageFault('exists', `the blob ${name} exists already`);
    const blob = this.#blob(kind, bytes);
    blobs.set(name, blob);
    return blob;
  }

  #blob(kind: Blob['kind'], bytes: Uint8Array): Blob {
    const chunks = [bytes.slice()];
    return { kind, chunks, length: bytes.length, etag: this.#etag(), sealed: false, tier: 'hot' };
  }

  #existing(container: string, name: string, kind?: Blob['kind']): Blob {
    const blob = this.#container(container).get(name);
    if (blob === undefined) throw missing(name);
    if (kind !== undefined && blob.kind !== kind) throw refused(`the blob ${name} is of another type`);
    return blob;
  }

  #leased(blob: Blob): boolean {
    return blob.lease !== undefined && blob.lease.untilMs > this.clock.monotonic();
  }

  #assertFree(blob: Blob): void {
    if (this.#leased(blob)) throw refused('the blob is leased');
  }

  #etag(): string {
    return `"${++this.#version}"`;
  }

  #container(container: string): Container {
    if (this.options.names !== undefined && !this.options.names.includes(container))
      throw refused(`the container ${container} does not exist`);
    const blobs = this.#containers.get(container) ?? new Container();
    this.#containers.set(container, blobs);
    return blobs;
  }
}
