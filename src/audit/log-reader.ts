import type { Clock, Entropy } from '../domain/clock.js';
import { AppError } from '../domain/errors.js';
import { Budget } from '../storage/backoff.js';
import type { BlobStore } from '../storage/ports.js';
import { ledgerBroken } from './ledger-state.js';
import { LogStore, type StoredCheckpoint } from './log-store.js';
import { proveConsistency, proveInclusion, verifyInclusion } from './log/proof.js';
import { cutTile, subtreeReader, TILE_WIDTH, tileHashes, tilePath, widthAt, type Tile } from './log/tiles.js';
import { formatTlogProof } from './log/tlog-proof.js';
import { leafHash } from './merkle.js';

export interface LogReaderTools {
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly entropy: Entropy;
}

/** Times that a log may move on while a tile of it is looked for. */
const ATTEMPTS = 5;
/** Seconds in which an event that waits is usually sealed. */
const SEALED_IN_S = 2;

/** `not-yet-sealed`: the event is stored and has no place in the log that a checkpoint covers. */
export function notYetSealed(): AppError {
  return new AppError('not-yet-sealed', 'The event is not in the log yet.', { retryAfterS: SEALED_IN_S });
}

/** Reads what the sealer published of a tenant's log. Throws `storage-unavailable`, `integrity-failure`. */
export class LogReader {
  readonly #store: LogStore;

  constructor(private readonly tools: LogReaderTools) {
    this.#store = new LogStore(tools.blobs);
  }

  /** The signed checkpoint; undefined before the first event is sealed. One read. */
  async checkpoint(tenant: string): Promise<StoredCheckpoint | undefined> {
    return this.#budget().retry(() => this.#store.findCheckpoint(tenant));
  }

  /**
   * A tile or bundle as a log that has it would have stored it: a partial one is cut from the full one where there is no
   * blob of just that width, or from what there is of it. Undefined when the log has less. 1 read; 4 at most unless the
   * log moves on meanwhile.
   */
  async tile(tenant: string, tile: Tile): Promise<Uint8Array | undefined> {
    const budget = this.#budget();
    const find = (one: Tile): Promise<Uint8Array | undefined> =>
      budget.retry(() => this.#store.findTile(tenant, one));
    const exact = await find(tile);
    if (exact !== undefined || tile.width === TILE_WIDTH) return exact;
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const full = await find({ ...tile, width: TILE_WIDTH });
      if (full !== undefined) return cut(tenant, tile, full, TILE_WIDTH);
      const { size } = (await budget.retry(() => this.#store.findCheckpoint(tenant))) ?? { size: 0 };
      const width = widthAt(tile, size);
      if (width < tile.width) return undefined;
      const wider = await find({ ...tile, width });
      if (wider !== undefined) return cut(tenant, tile, wider, width);
      // It became full and its partial forms went: look again.
    }
    throw ledgerBroken(tenant, `${tilePath(tile)} is gone`);
  }

  /**
   * The proof (tlog-proof) that the log has an event at an index, under the current checkpoint. What is handed out was
   * verified. Reads the checkpoint and up to two tiles for each level. Throws `not-yet-sealed` where the checkpoint does
   * not cover the index. `under` is another checkpoint of the same log, whose tree is then proven in instead.
   */
  async prove(
    tenant: string,
    index: number,
    event: string,
    under?: Pick<StoredCheckpoint, 'size' | 'root' | 'note'>,
  ): Promise<string> {
    const checkpoint = under ?? (await this.checkpoint(tenant));
    if (checkpoint === undefined || checkpoint.size <= index) throw notYetSealed();
    const { size, root, note } = checkpoint;
    const read = subtreeReader(size, (tile) => this.#hashes(tenant, tile));
    const path = await proveInclusion(index, size, read);
    if (!verifyInclusion({ leaf: leafHash(event), index, size, root }, path))
      throw ledgerBroken(tenant, `leaf ${String(index)} is not the event that it should be`);
    return formatTlogProof({ index, path, checkpoint: note });
  }

  /**
   * The proof (RFC 6962) that the log's tree of `second` leaves begins with its tree of `first`, from the tiles that are
   * stored; empty for no leaves and for equal sizes. What it shows is for the caller to verify.
   */
  async consistency(tenant: string, first: number, second: number): Promise<readonly string[]> {
    if (first === 0 || first === second) return [];
    return proveConsistency(
      first,
      second,
      subtreeReader(second, (tile) => this.#hashes(tenant, tile)),
    );
  }

  async #hashes(tenant: string, tile: Tile): Promise<readonly string[]> {
    const bytes = await this.tile(tenant, tile);
    const hashes = bytes === undefined ? undefined : tileHashes(bytes, tile.width);
    if (hashes === undefined) throw ledgerBroken(tenant, `${tilePath(tile)} is not what it should be`);
    return hashes;
  }

  #budget(): Budget {
    return new Budget(this.tools.clock, this.tools.entropy);
  }
}

function cut(tenant: string, tile: Tile, bytes: Uint8Array, width: number): Uint8Array {
  const part = cutTile(tile, bytes, width);
  if (part === undefined)
    throw ledgerBroken(tenant, `${tilePath({ ...tile, width })} is not as wide as its path says`);
  return part;
}
