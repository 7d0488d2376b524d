import { appendAll, EMPTY_TREE, leafHash, rootOfComplete } from '../merkle.js';
import {
  bundleBytes,
  changedTiles,
  levelsAt,
  partialTile,
  TILE_WIDTH,
  tileBytes,
  type Tile,
} from './tiles.js';

/** A tile or bundle with its content. */
export interface BuiltTile {
  readonly tile: Tile;
  readonly bytes: Uint8Array;
}

/** What of the tree of `from` leaves its growth is built on: the content of the partial tiles that will have more. */
export interface PartialContent {
  readonly entries: readonly Uint8Array[];
  /** By level, from 0; that of level 0 follows from the entries and is not asked for. */
  readonly hashes: ReadonlyMap<number, readonly string[]>;
}

/** The partial tiles, by level, whose content `growTiles` needs: `entries`, and those from level 1 on that change. */
export function grownFrom(from: number, to: number): readonly Tile[] {
  const levels = new Set(changedTiles(from, to).map(({ level }) => level));
  levels.delete(0);
  return [...levels].map((level) => partialTile(level, from)).filter((tile) => tile !== undefined);
}

/** What a tree grows by. */
export interface Grown {
  readonly entries: readonly Uint8Array[];
  /** Their leaf hashes. */
  readonly leaves: readonly string[];
  /** The compact range of the tree with them. */
  readonly edge: readonly string[];
}

/**
 * The tiles and bundles that a tree of `from` leaves gets when `entries` follow, each whole, the bundles first. Undefined
 * when the tiles do not give just the compact range that the grown tree has, as when `before` is not what the tree has.
 * Pure.
 */
export function growTiles(
  from: number,
  before: PartialContent,
  { entries, leaves, edge }: Grown,
): readonly BuiltTile[] | undefined {
  const to = from + entries.length;
  const all = [...before.entries, ...entries];
  const built = chunks('entries', from, all).map(({ tile, items }) => ({ tile, bytes: bundleBytes(items) }));
  let hashes = [...before.entries.map((entry) => leafHash(entry)), ...leaves];
  // The edge is largest subtree first: what is under the tiles that change is its end.
  let rest = [...edge];
  for (let level = 0; level < levelsAt(to) && hashes.length > 0; level += 1) {
    const parts = chunks(level, from, hashes);
    built.push(...parts.map(({ tile, items }) => ({ tile, bytes: tileBytes(items) })));
    const full = parts.filter(({ items }) => items.length === TILE_WIDTH);
    const right = parts.find(({ items }) => items.length < TILE_WIDTH)?.items ?? [];
    const own = appendAll(EMPTY_TREE, right).edge;
    const kept = rest.length - own.length;
    if (own.some((hash, at) => hash !== rest[kept + at])) return undefined;
    rest = rest.slice(0, Math.max(0, kept));
    if (full.length === 0) return built;
    const above = full.map(({ items }) => rootOfComplete(items));
    hashes = [...(before.hashes.get(level + 1) ?? []), ...above];
  }
  return built;
}

/** Cuts what a level has from its last partial tile on into tiles. */
function chunks<T>(
  level: Tile['level'],
  from: number,
  items: readonly T[],
): readonly { readonly tile: Tile; readonly items: readonly T[] }[] {
  const first = Math.floor(from / TILE_WIDTH ** (level === 'entries' ? 1 : level + 1));
  return Array.from({ length: Math.ceil(items.length / TILE_WIDTH) }, (_, at) => {
    const part = items.slice(at * TILE_WIDTH, (at + 1) * TILE_WIDTH);
    return { tile: { level, index: first + at, width: part.length }, items: part };
  });
}
