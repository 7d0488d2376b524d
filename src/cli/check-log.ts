import { appendAll, EMPTY_TREE, leafHash, rootOf, rootOfComplete } from '../audit/merkle.js';
import type { Checkpoint } from '../audit/log/checkpoint.js';
import {
  bundleEntries,
  cutTile,
  TILE_WIDTH,
  tileHashes,
  tileIn,
  tilePath,
  widthAt,
  type Tile,
} from '../audit/log/tiles.js';
import { inOrder } from './in-order.js';
import type { LogClient } from './log-client.js';

/** Bundles, with the tiles over them, that are read at the same time. */
const AHEAD = 8;
const HASH_BYTES = 32;
const BUNDLE_BYTES = TILE_WIDTH * (2 + 0xffff);
const PROGRESS_BUNDLES = 256;

/** What does not hold, and which of them it is. */
export interface LogFault {
  readonly name: 'entries' | 'tiles' | 'root' | 'consistency';
  readonly detail: string;
}

/** Reads one tile or bundle as it is in the tree; a partial one that is gone is cut from the full one. */
export async function readTile(client: LogClient, tile: Tile): Promise<Uint8Array | undefined> {
  const width = (hashes: number): number => (tile.level === 'entries' ? BUNDLE_BYTES : hashes * HASH_BYTES);
  const bytes = await client.get(tilePath(tile), width(tile.width));
  if (bytes !== undefined || tile.width === TILE_WIDTH) return bytes;
  const full = await client.get(tilePath({ ...tile, width: TILE_WIDTH }), width(TILE_WIDTH));
  return full === undefined ? undefined : cutTile(tile, full, TILE_WIDTH);
}

/** One walk over all of a log, first entry to last. Keeps one row of hashes for each level. */
class LogWalk {
  #taken = 0;
  /** For each level, the hashes of its tile that is being filled. */
  readonly #rows: string[][] = [[]];
  readonly #filled: number[] = [0];

  constructor(
    private readonly client: LogClient,
    private readonly size: number,
    private readonly older: Checkpoint | undefined,
  ) {}

  /** The root of what was taken; not while a row is full, for that is one hash of the row above. */
  get root(): string {
    const edge = this.#rows.toReversed().flatMap((row) => appendAll(EMPTY_TREE, row).edge);
    return rootOf({ size: this.#taken, edge });
  }

  /** The leaves of a bundle, in their place; what does not hold, or undefined. */
  async take(entries: readonly Uint8Array[]): Promise<LogFault | undefined> {
    const row = this.#rows[0] as string[];
    for (const entry of entries) {
      row.push(leafHash(entry));
      this.#taken += 1;
      const fault = row.length < TILE_WIDTH ? this.checkOlder() : undefined;
      if (fault !== undefined) return fault;
    }
    return (await this.#fill()) ?? this.checkOlder();
  }

  /** Where there are just as many entries as under the older checkpoint: whether they have its root. */
  checkOlder(): LogFault | undefined {
    if (this.#taken !== this.older?.size || this.root === this.older.root) return undefined;
    const size = String(this.older.size);
    return { name: 'consistency', detail: `the first ${size} entries are not those of the older checkpoint` };
  }

  /** Compares each tile that is full, or all that the tree has of it, with the one that the log serves. */
  async #fill(): Promise<LogFault | undefined> {
    for (let level = 0; level < this.#rows.length; level++) {
      const row = this.#rows[level] as string[];
      const index = this.#filled[level] as number;
      if (row.length === 0 || row.length < widthAt({ level, index }, this.size)) return undefined;
      const fault = await this.#compare({ level, index }, row);
      if (fault !== undefined) return fault;
      // A partial tile is the last of its level, and not hashed into the level above.
      if (row.length < TILE_WIDTH) return undefined;
      this.#rows[level] = [];
      this.#filled[level] = index + 1;
      (this.#rows[level + 1] ??= []).push(rootOfComplete(row));
      this.#filled[level + 1] ??= 0;
    }
    return undefined;
  }

  async #compare(place: Omit<Tile, 'width'>, computed: readonly string[]): Promise<LogFault | undefined> {
    const tile = { ...place, width: computed.length };
    const path = tilePath(tile);
    const bytes = await readTile(this.client, tile);
    if (bytes === undefined) return { name: 'tiles', detail: `${path} is missing` };
    const served = tileHashes(bytes, tile.width);
    if (served === undefined)
      return { name: 'tiles', detail: `${path} is not of ${String(tile.width)} hashes` };
    const at = computed.findIndex((hash, i) => hash !== served[i]);
    return at < 0
      ? undefined
      : { name: 'tiles', detail: `hash ${String(at)} of ${path} is not that of the entries` };
  }
}

/**
 * Reads every entry of a log and recomputes from them all that the log says of itself: each tile, the root, and the root
 * that it had at the size of an older checkpoint. Returns what does not hold, or undefined. Throws CannotTell.
 */
export async function checkLog(
  client: LogClient,
  checkpoint: Checkpoint,
  older: Checkpoint | undefined,
  progress: (entries: number) => void,
): Promise<LogFault | undefined> {
  const { size } = checkpoint;
  if (older !== undefined && older.size > size) {
    const detail = `the log has ${String(size)} entries, and had ${String(older.size)} at the older checkpoint`;
    return { name: 'consistency', detail };
  }
  const walk = new LogWalk(client, size, older);
  const empty = walk.checkOlder();
  if (empty !== undefined) return empty;
  const bundles = inOrder(Math.ceil(size / TILE_WIDTH), AHEAD, async (index) => {
    const tile = tileIn(size, { level: 'entries', index }) as Tile;
    return { tile, bytes: await readTile(client, tile) };
  });
  for await (const { tile, bytes } of bundles) {
    const path = tilePath(tile);
    if (bytes === undefined) return { name: 'entries', detail: `${path} is missing` };
    const entries = bundleEntries(bytes, tile.width);
    if (entries === undefined)
      return { name: 'entries', detail: `${path} is not of ${String(tile.width)} entries` };
    const fault = await walk.take(entries);
    if (fault !== undefined) return fault;
    if ((tile.index + 1) % PROGRESS_BUNDLES === 0) progress(tile.index * TILE_WIDTH + tile.width);
  }
  return walk.root === checkpoint.root
    ? undefined
    : { name: 'root', detail: `the root of the ${String(size)} entries is not that of the checkpoint` };
}
