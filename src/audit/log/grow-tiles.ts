import { HashRun, leafRun } from '../hash-run.js';
import { EMPTY_TREE, HASH_BYTES, rootOf, type CompactRange } from '../merkle.js';
import {
  bundleBytes,
  changedTiles,
  levelsAt,
  partialTile,
  TILE_WIDTH,
  tileBytes,
  type Entry,
  type Tile,
} from './tiles.js';

/** A tile or bundle with its content. */
export interface BuiltTile {
  readonly tile: Tile;
  readonly bytes: Uint8Array;
}

const NOTHING = new Uint8Array();

/** What of the tree of `from` leaves its growth is built on: the content of the partial tiles that will have more. */
export interface PartialContent {
  readonly entries: readonly Uint8Array[];
  /** The bytes of the tiles by level, from 0; that of level 0 follows from the entries and is not asked for. */
  readonly tiles: ReadonlyMap<number, Uint8Array>;
}

/** The partial tiles, by level, whose content `growTiles` needs: `entries`, and those from level 1 on that change. */
export function grownFrom(from: number, to: number): readonly Tile[] {
  const levels = new Set(changedTiles(from, to).map(({ level }) => level));
  levels.delete(0);
  return [...levels].map((level) => partialTile(level, from)).filter((tile) => tile !== undefined);
}

/** What a tree grows by. */
export interface Grown {
  readonly entries: readonly Entry[];
  /** Their leaf hashes. */
  readonly leaves: HashRun;
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
  const built = cut('entries', from, all.length).map(({ tile, start }) => {
    return { tile, bytes: bundleBytes(all.slice(start, start + tile.width)) };
  });
  let [old, more] = [leafRun(before.entries), leaves];
  // The edge is largest subtree first: what is under the tiles that change is its end.
  let rest = [...edge];
  for (let level = 0; level < levelsAt(to) && old.length + more.length > 0; level += 1) {
    const hashes = Buffer.concat([old.bytes, more.bytes]);
    const cuts = cut(level, from, old.length + more.length);
    built.push(
      ...cuts.map(({ tile, start }) => ({
        tile,
        bytes: hashes.subarray(start * HASH_BYTES, (start + tile.width) * HASH_BYTES),
      })),
    );
    const trees = cuts.map(({ tile, start }) => treeOf(old, more, start, tile.width));
    const own = trees.find(({ size }) => size < TILE_WIDTH)?.edge ?? [];
    const kept = rest.length - own.length;
    if (own.some((hash, at) => hash !== rest[kept + at])) return undefined;
    rest = rest.slice(0, Math.max(0, kept));
    const above = trees.filter(({ size }) => size === TILE_WIDTH).map(rootOf);
    if (above.length === 0) return built;
    [old, more] = [new HashRun(before.tiles.get(level + 1) ?? NOTHING), new HashRun(tileBytes(above))];
  }
  return built;
}

/**
 * The tree of `width` hashes from `start` on, where `more` follow on the `old` ones of a partial tile. What is old is hashed
 * here; of the leaves that are more, whoever made the head may have hashed it.
 */
function treeOf(old: HashRun, more: HashRun, start: number, width: number): CompactRange {
  const end = start + width;
  const tree = start < old.length ? old.appendTo(EMPTY_TREE, start, Math.min(old.length, end)) : EMPTY_TREE;
  return more.appendTo(tree, start + tree.size - old.length, end - old.length);
}

/** Cuts as many hashes or entries as a level has, from its last partial tile on, into tiles. */
function cut(
  level: Tile['level'],
  from: number,
  count: number,
): readonly { readonly tile: Tile; readonly start: number }[] {
  const first = Math.floor(from / TILE_WIDTH ** (level === 'entries' ? 1 : level + 1));
  return Array.from({ length: Math.ceil(count / TILE_WIDTH) }, (_, at) => {
    const start = at * TILE_WIDTH;
    return { tile: { level, index: first + at, width: Math.min(TILE_WIDTH, count - start) }, start };
  });
}
