import { LRUCache } from 'lru-cache';
import type { Clock, Entropy } from '../../domain/clock.js';
import { isAppError } from '../../domain/errors.js';
import type { BlobStore } from '../../storage/ports.js';
import { bundleEntries, tileHashes, TILE_WIDTH, tileIn, type Tile } from '../log/tiles.js';
import { LogReader } from '../log-reader.js';

interface LeavesTools {
  readonly ports: { readonly blobs: BlobStore };
  readonly clock: Clock;
  readonly entropy: Entropy;
}

/** Tiles of hashes that are kept: 8 KiB each as they are stored, some 25 KiB in memory. */
const TILES_KEPT = 64;

/** The leaves of logs out of their tiles: what everything else is held against. */
export class LogLeaves {
  readonly #reader: LogReader;
  readonly #tiles = new LRUCache<string, readonly string[]>({ max: TILES_KEPT });
  readonly #sizes = new LRUCache<string, number>({ max: 1000 });
  /** Sizes that finished rounds gave logs, whatever their checkpoints say; logs only grow. */
  readonly #covered = new LRUCache<string, number>({ max: 1000 });

  constructor(tools: LeavesTools) {
    this.#reader = new LogReader({ blobs: tools.ports.blobs, clock: tools.clock, entropy: tools.entropy });
  }

  /** The hashes of a tile; undefined where it is not there or not whole. */
  async hashes(tenant: string, tile: Tile): Promise<readonly string[] | undefined> {
    const bytes = await this.#read(tenant, tile);
    return bytes === undefined ? undefined : tileHashes(bytes, tile.width);
  }

  /** The entries of a bundle; undefined where it is not there or not whole. */
  async entries(tenant: string, tile: Tile): Promise<readonly Uint8Array[] | undefined> {
    const bytes = await this.#read(tenant, tile);
    return bytes === undefined ? undefined : bundleEntries(bytes, tile.width);
  }

  /** The hash of a leaf, as the tile has it; undefined where the log does not go so far, or the tile is not there. */
  async leaf(tenant: string, index: number): Promise<string | undefined> {
    const number = Math.floor(index / TILE_WIDTH);
    const at = index % TILE_WIDTH;
    const key = `${tenant}/${String(number)}`;
    const known = this.#tiles.get(key)?.[at];
    if (known !== undefined) return known;
    const tile = tileIn(await this.#sizeFor(tenant, index), { level: 0, index: number });
    const hashes = tile === undefined ? undefined : await this.hashes(tenant, tile);
    if (hashes !== undefined) this.#tiles.set(key, hashes);
    return hashes?.[at];
  }

  /** Says how many leaves a log has, so that they are found where its checkpoint is gone, or one from before. */
  cover(tenant: string, size: number): void {
    this.#covered.set(tenant, Math.max(size, this.#covered.get(tenant) ?? 0));
  }

  /** Forgets what was read: before what was found is looked at again. */
  forget(): void {
    this.#tiles.clear();
    this.#sizes.clear();
  }

  /** The size of a log that has an index, as far as there is one. */
  async #sizeFor(tenant: string, index: number): Promise<number> {
    const known = Math.max(this.#sizes.get(tenant) ?? 0, this.#covered.get(tenant) ?? 0);
    if (known > index) return known;
    const size = (await this.#orNothing(() => this.#reader.checkpoint(tenant)))?.size ?? 0;
    this.#sizes.set(tenant, size);
    return size;
  }

  #read(tenant: string, tile: Tile): Promise<Uint8Array | undefined> {
    return this.#orNothing(() => this.#reader.tile(tenant, tile));
  }

  /** What does not hold together is as good as not there. */
  async #orNothing<T>(read: () => Promise<T | undefined>): Promise<T | undefined> {
    try {
      return await read();
    } catch (error) {
      if (isAppError(error, 'integrity-failure')) return undefined;
      throw error;
    }
  }
}
