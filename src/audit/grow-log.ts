import type { HashRun } from './hash-run.js';
import { ledgerBroken } from './ledger-state.js';
import { formatCheckpoint } from './log/checkpoint.js';
import { growTiles, grownFrom, type PartialContent } from './log/grow-tiles.js';
import { signNote, type NoteSigner } from './log/signed-note.js';
import {
  bundleEntries,
  levelsAt,
  partialTile,
  TILE_WIDTH,
  tileStem,
  widthAt,
  type Entry,
  type Tile,
} from './log/tiles.js';
import type { LogStore, StoredCheckpoint } from './log-store.js';
import { HASH_BYTES } from './merkle.js';

/** A part of a log that is committed. */
export interface Growth {
  readonly tenant: string;
  /** Leaves before `entries`, and after. */
  readonly from: number;
  readonly size: number;
  /** The compact range of the tree of `size` leaves. */
  readonly edge: readonly string[];
  readonly entries: readonly Entry[];
  /** Their leaf hashes. */
  readonly leaves: HashRun;
}

/** A tree to be signed. */
export interface CommittedTree {
  readonly tenant: string;
  readonly size: number;
  readonly root: string;
}

/**
 * Writes the tiles and bundles that entries add. Where a partial tile it builds on is gone, a later one is there in full:
 * somebody has done all of this and more.
 */
export async function putGrowth(store: LogStore, growth: Growth): Promise<void> {
  const { tenant, from, size } = growth;
  const before = await readPartials(store, tenant, from, size);
  if (before === undefined) {
    const later = await store.findCheckpoint(tenant);
    if (later !== undefined && later.size >= size) return;
    throw ledgerBroken(tenant, 'a tile of the log is gone');
  }
  const built = growTiles(from, before, growth);
  if (built === undefined) throw ledgerBroken(tenant, 'the tiles do not give the root of the head');
  await store.putTiles(tenant, built);
}

/** What is in the partial tiles that will have more; undefined when one of them is not there. */
async function readPartials(
  store: LogStore,
  tenant: string,
  from: number,
  to: number,
): Promise<PartialContent | undefined> {
  let entries: readonly Uint8Array[] = [];
  const tiles = new Map<number, Uint8Array>();
  for (const tile of grownFrom(from, to)) {
    const bytes = await store.findTile(tenant, tile);
    if (bytes === undefined) return undefined;
    const found = tile.level === 'entries' ? bundleEntries(bytes, tile.width) : undefined;
    if (found === undefined && (tile.level === 'entries' || bytes.length !== tile.width * HASH_BYTES))
      throw ledgerBroken(tenant, 'a tile of the log is not as wide as its path says');
    if (found !== undefined) entries = found;
    else tiles.set(tile.level as number, bytes);
  }
  return { entries, tiles };
}

/** Signs and replaces the checkpoint, unless the one there is as large. Resolves to the one that stands then. */
export async function signUpTo(
  store: LogStore,
  signer: NoteSigner,
  { tenant, size, root }: CommittedTree,
  standing: StoredCheckpoint | undefined,
): Promise<StoredCheckpoint> {
  const note = await signNote(formatCheckpoint({ origin: signer.name, size, root }), signer);
  let previous = standing;
  while (previous === undefined || previous.size < size) {
    const put = await store.replaceCheckpoint(tenant, note, previous);
    if (put !== undefined) return put;
    previous = await store.findCheckpoint(tenant);
  }
  return previous;
}

/**
 * Deletes the partial forms of tiles that a tree of one of `sizes` ended with and that are full in one of `now` leaves. Whoever
 * slept, and wrote one that was gone already, sees how far the others have come and deletes it again.
 */
export async function dropSuperseded(
  store: LogStore,
  tenant: string,
  sizes: readonly number[],
  now: number,
): Promise<void> {
  const full = sizes.flatMap(lastTiles).filter((tile) => widthAt(tile, now) === TILE_WIDTH);
  const once = new Map(full.map((tile) => [tileStem(tile), tile]));
  for (const tile of once.values()) await store.dropPartials(tenant, tile);
}

/** The partial tiles and the partial bundle of a tree. */
function lastTiles(size: number): readonly Tile[] {
  const levels = ['entries' as const, ...Array.from({ length: levelsAt(size) }, (_, level) => level)];
  return levels.map((level) => partialTile(level, size)).filter((tile) => tile !== undefined);
}
