import type { Clock, Entropy } from '../../domain/clock.js';
import { isAppError } from '../../domain/errors.js';
import { Budget } from '../../storage/backoff.js';
import { BLOB_CONTAINERS } from '../../storage/keys.js';
import type { BlobStore, RecordTable } from '../../storage/ports.js';
import { bundleEntries, tileHashes, tilePath, type Tile } from '../log/tiles.js';
import type { ReadHash, TreeHead } from '../log/proof.js';
import type { LogKeys } from '../log-keys.js';
import { LogReader } from '../log-reader.js';
import { retriedStreams, type StreamBlobs } from '../stream-lines.js';
import { subtreesIn } from '../tile-gone.js';
import type { Found } from './mismatch.js';

export interface RollingTools {
  readonly tables: Pick<RecordTable, 'find' | 'range'>;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly vkeys: LogKeys['vkeys'];
}

/** A tile or bundle as mismatches name it. */
export const blobAt = (tenant: string, name: string): string => `${BLOB_CONTAINERS.ledger}/${tenant}/${name}`;

/** What one look at a tenant's log reads with: each tile once. Throws `storage-unavailable`. */
export class Turn {
  readonly reader: LogReader;
  readonly #tiles = new Map<string, Promise<readonly string[] | undefined>>();

  constructor(
    readonly tools: RollingTools,
    readonly tenant: string,
    readonly found: Found,
  ) {
    this.reader = new LogReader(tools);
  }

  /** One call of storage within a budget of its own. */
  retry<T>(call: () => Promise<T>): Promise<T> {
    return new Budget(this.tools.clock, this.tools.entropy).retry(call);
  }

  /** The streams, each read within a budget of its own. */
  get streams(): StreamBlobs {
    return retriedStreams(this.tools.blobs, (call) => this.retry(call));
  }

  /** The hashes of a tile; undefined where it is not there or not whole, which is said once. */
  hashes(tile: Tile): Promise<readonly string[] | undefined> {
    const path = tilePath(tile);
    const known = this.#tiles.get(path) ?? this.#hashes(tile, path);
    this.#tiles.set(path, known);
    return known;
  }

  async #hashes(tile: Tile, path: string): Promise<readonly string[] | undefined> {
    const bytes = await this.#read(tile);
    const hashes = bytes === undefined ? undefined : tileHashes(bytes, tile.width);
    if (hashes === undefined)
      this.found('tile.missing', blobAt(this.tenant, path), `it is not there, or not of ${String(tile.width)} hashes`); // prettier-ignore
    return hashes;
  }

  /** The entries of a bundle; undefined where it is not there or not whole, which is said. */
  async entries(tile: Tile): Promise<readonly Uint8Array[] | undefined> {
    const bytes = await this.#read(tile);
    const entries = bytes === undefined ? undefined : bundleEntries(bytes, tile.width);
    if (entries === undefined)
      this.found('bundle.missing', blobAt(this.tenant, tilePath(tile)), `it is not there, or not of ${String(tile.width)} entries`); // prettier-ignore
    return entries;
  }

  /** Hashes of complete subtrees of a tree, out of its tiles. Rejects with TileGone. */
  subtrees({ size }: TreeHead): ReadHash {
    return subtreesIn(size, (tile) => this.hashes(tile));
  }

  /** What does not hold together is as good as not there. */
  async #read(tile: Tile): Promise<Uint8Array | undefined> {
    try {
      return await this.reader.tile(this.tenant, tile);
    } catch (error) {
      if (isAppError(error, 'integrity-failure')) return undefined;
      throw error;
    }
  }
}
