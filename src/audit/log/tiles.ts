import { rootOfComplete } from '../merkle.js';

/**
 * C2SP tlog-tiles: how a log lies in tiles of hashes and bundles of entries, as values. Hashes are lower-case hex. Pure.
 */
export const TILE_WIDTH = 256;
const TILE_HEIGHT = 8;
const HASH_BYTES = 32;
const MAX_LEVEL = 63;
/** What the length before an entry can say. */
const ENTRY_BYTES = 0xffff;

/** One tile or bundle as a path names it. */
export interface Tile {
  /** Level of the hashes it holds, or `entries` for a bundle, which is as wide as the tile of level 0. */
  readonly level: number | 'entries';
  readonly index: number;
  /** Hashes or entries in it: 256 when it is full, less for a partial one, never 0. */
  readonly width: number;
}

/** `tile/<L>/<N>[.p/<W>]`, with `entries` as the level of a bundle: `tile/entries/x001/234.p/5`. */
export function tilePath({ level, index, width }: Tile): string {
  const partial = width === TILE_WIDTH ? '' : `.p/${String(width)}`;
  return `${tileStem({ level, index })}${partial}`;
}

/** The path of the full tile: what those of its partial ones begin with, followed by `.p/`. */
export function tileStem({ level, index }: Omit<Tile, 'width'>): string {
  const digits = String(index);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/\d{3}/g) ?? [];
  const last = groups.pop() ?? '';
  return ['tile', String(level), ...groups.map((group) => `x${group}`), last].join('/');
}

const PATH = /^tile\/(entries|0|[1-9]\d?)\/((?:x\d{3}\/){0,4}\d{3})(?:\.p\/([1-9]\d{0,2}))?$/;

/** The tile that a path names; undefined for whatever is not exactly the path of one. */
export function parseTilePath(path: string): Tile | undefined {
  const [, level = '', groups = '', width] = PATH.exec(path) ?? [];
  const tile: Tile = {
    level: level === 'entries' ? level : Number(level),
    index: Number(groups.replaceAll(/[x/]/g, '')),
    width: width === undefined ? TILE_WIDTH : Number(width),
  };
  const isOne =
    (tile.level === 'entries' || tile.level <= MAX_LEVEL) &&
    (width === undefined || tile.width < TILE_WIDTH) &&
    tilePath(tile) === path;
  return isOne ? tile : undefined;
}

/** How many of its hashes a tile has in a tree of `size` leaves: 0 to 256. */
export function widthAt({ level, index }: Omit<Tile, 'width'>, size: number): number {
  const hashes = hashesAt(level, size);
  return Math.max(0, Math.min(TILE_WIDTH, hashes - index * TILE_WIDTH));
}

/** Complete subtrees of the height of a level: as many hashes as its tiles hold in all. */
function hashesAt(level: Tile['level'], size: number): number {
  return Math.floor(size / TILE_WIDTH ** (level === 'entries' ? 0 : level));
}

/** The last tile of a level, where it is partial in a tree of `size` leaves; undefined where it is not. */
export function partialTile(level: Tile['level'], size: number): Tile | undefined {
  const hashes = hashesAt(level, size);
  const width = hashes % TILE_WIDTH;
  return width === 0 ? undefined : { level, index: Math.floor(hashes / TILE_WIDTH), width };
}

/** Levels of tiles that a tree of `size` leaves has. */
export function levelsAt(size: number): number {
  let levels = 0;
  while (hashesAt(levels, size) > 0) levels += 1;
  return levels;
}

/** The tiles and bundles of a tree of `to` leaves that a tree of its first `from` leaves does not have. */
export function changedTiles(from: number, to: number): readonly Tile[] {
  if (to <= from) return [];
  const levels: Tile['level'][] = ['entries', ...Array.from({ length: levelsAt(to) }, (_, level) => level)];
  return levels.flatMap((level) => {
    const [before, after] = [hashesAt(level, from), hashesAt(level, to)];
    if (before === after) return [];
    const first = Math.floor(before / TILE_WIDTH);
    const end = Math.ceil(after / TILE_WIDTH);
    return Array.from({ length: end - first }, (_, at): Tile => {
      const tile = { level, index: first + at };
      return { ...tile, width: widthAt(tile, to) };
    });
  });
}

/** The bytes of a tile. */
export function tileBytes(hashes: readonly string[]): Uint8Array {
  return Buffer.from(hashes.join(''), 'hex');
}

/** The hashes of a tile, or of its first `width`; undefined when the bytes are not of as many. */
export function tileHashes(bytes: Uint8Array, width: number): readonly string[] | undefined {
  if (bytes.length !== width * HASH_BYTES) return undefined;
  const hex = Buffer.from(bytes).toString('hex');
  return Array.from({ length: width }, (_, at) => hex.slice(at * 2 * HASH_BYTES, (at + 1) * 2 * HASH_BYTES));
}

/** The bytes of an entry, or text whose UTF-8 bytes it is. */
export type Entry = Uint8Array | string;

/** The bytes of a bundle: each entry after its length, two bytes, big-endian. Throws RangeError for an entry above 65,535 bytes. */
export function bundleBytes(entries: readonly Entry[]): Uint8Array {
  const lengths = entries.map((entry) => Buffer.byteLength(entry));
  // Written over in full.
  const bundle = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + 2 + length, 0));
  let at = 0;
  for (const [number, entry] of entries.entries()) {
    const length = lengths[number] as number;
    if (length > ENTRY_BYTES) throw new RangeError('an entry is too long for a bundle');
    at = bundle.writeUInt16BE(length, at);
    if (typeof entry === 'string') bundle.write(entry, at);
    else bundle.set(entry, at);
    at += length;
  }
  return bundle;
}

/** The entries of a bundle; undefined when the bytes are not exactly `width` of them. */
export function bundleEntries(bytes: Uint8Array, width: number): readonly Uint8Array[] | undefined {
  const entries: Uint8Array[] = [];
  let at = 0;
  while (at + 2 <= bytes.length && entries.length < width) {
    const end = at + 2 + (((bytes[at] as number) << 8) | (bytes[at + 1] as number));
    if (end > bytes.length) return undefined;
    entries.push(bytes.subarray(at + 2, end));
    at = end;
  }
  return at === bytes.length && entries.length === width ? entries : undefined;
}

/**
 * The first `width` of a tile or bundle that has `had` of them: what a partial one was before more followed. Undefined
 * when the bytes are not of `had`.
 */
export function cutTile(tile: Tile, bytes: Uint8Array, had: number): Uint8Array | undefined {
  if (tile.level !== 'entries') {
    return bytes.length === had * HASH_BYTES ? bytes.subarray(0, tile.width * HASH_BYTES) : undefined;
  }
  const entries = bundleEntries(bytes, had);
  return entries === undefined ? undefined : bundleBytes(entries.slice(0, tile.width));
}

/** Where a complete subtree is found: the hashes of the tile whose tree it is, leaves of that tree first to last. */
export interface SubtreePlace {
  readonly level: number;
  readonly index: number;
  /** First hash of the tile that lies under the subtree, and how many do: a power of two. */
  readonly start: number;
  readonly count: number;
}

/**
 * The place of the complete subtree over the leaves [index * 2^height, (index + 1) * 2^height). Its root is one hash of
 * a tile, or follows from as few as one tile has.
 */
function subtreePlace(height: number, index: number): SubtreePlace {
  const level = Math.floor(height / TILE_HEIGHT);
  const count = 2 ** (height % TILE_HEIGHT);
  const first = index * count;
  return { level, index: Math.floor(first / TILE_WIDTH), start: first % TILE_WIDTH, count };
}

/** How much of a tile a tree of `size` leaves has, as a path names it. Undefined where it has nothing of it. */
export function tileIn(size: number, tile: Omit<Tile, 'width'>): Tile | undefined {
  const width = widthAt(tile, size);
  return width === 0 ? undefined : { ...tile, width };
}

/** Reads the hashes of a tile as it is in some tree; rejects when there is no such tile. */
export type ReadTile = (tile: Tile) => Promise<readonly string[]>;

/**
 * A reader of the hashes of complete subtrees in a tree of `size` leaves, out of its tiles. Each tile is read once,
 * however many hashes of it are asked for. Throws RangeError for a subtree that the tree does not have.
 */
export function subtreeReader(
  size: number,
  read: ReadTile,
): (height: number, index: number) => Promise<string> {
  const tiles = new Map<string, Promise<readonly string[]>>();
  return async (height, index) => {
    const place = subtreePlace(height, index);
    const tile = tileIn(size, place);
    if (tile === undefined || place.start + place.count > tile.width)
      throw new RangeError('the tree has no such subtree');
    const path = tilePath(tile);
    const hashes = tiles.get(path) ?? read(tile);
    tiles.set(path, hashes);
    return rootOfComplete((await hashes).slice(place.start, place.start + place.count));
  };
}
