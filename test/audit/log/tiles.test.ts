import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bundleBytes,
  bundleEntries,
  changedTiles,
  cutTile,
  levelsAt,
  parseTilePath,
  partialTile,
  subtreeReader,
  TILE_WIDTH,
  tileBytes,
  tileHashes,
  tilePath,
  widthAt,
  type Tile,
} from '../../../src/audit/log/tiles.js';
import { leafHash } from '../../../src/audit/merkle.js';
import { naiveRoot } from '../support.js';

const LEAVES = Array.from({ length: 1200 }, (_, at) => Buffer.from(`leaf ${String(at)}`));
const sizes = fc.oneof(
  fc.nat(600),
  fc.constantFrom(255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 70_000, 2 ** 40 + 7),
);
const levels = fc.oneof(fc.constant('entries' as const), fc.nat(63));
const tiles: fc.Arbitrary<Tile> = fc.record({
  level: levels,
  index: fc.oneof(fc.nat(2000), fc.nat(), fc.constantFrom(999, 1000, 999_999, 1_000_000, 999_999_999_999)),
  width: fc.integer({ min: 1, max: TILE_WIDTH }),
});

/** The tile of the specification's own formula, over the recursive definition of the hash. */
function tileOf({ level, index, width }: Tile): string[] {
  const span = TILE_WIDTH ** (level as number);
  return Array.from({ length: width }, (_, at) => {
    const first = (index * TILE_WIDTH + at) * span;
    return naiveRoot(LEAVES.slice(first, first + span));
  });
}

describe('paths of tiles', () => {
  it('are those of the specification', () => {
    expect(tilePath({ level: 0, index: 1_234_067, width: 256 })).toBe('tile/0/x001/x234/067');
    expect(tilePath({ level: 'entries', index: 5, width: 17 })).toBe('tile/entries/005.p/17');
    expect(tilePath({ level: 63, index: 1000, width: 1 })).toBe('tile/63/x001/000.p/1');
  });

  it('lead back to the tile', () => {
    fc.assert(
      fc.property(tiles, (tile) => {
        expect(parseTilePath(tilePath(tile))).toEqual(tile);
      }),
    );
  });

  it.each([
    '',
    'tile',
    'tile/0',
    'tile/0/0',
    'tile/00/000',
    'tile/64/000',
    'tile/-1/000',
    'tile/0/001/000',
    'tile/0/x000/000',
    'tile/0/x001/0000',
    'tile/0/000.p/0',
    'tile/0/000.p/256',
    'tile/0/000.p/01',
    'tile/0/000.p/1/',
    'tile/0/000.p',
    '/tile/0/000',
    'tile/0/../000',
    'tile/Entries/000',
    'tile/0/x001/x000/x000/x000/x000/x000/000',
    'tile/0/000\n',
  ])('are nothing else: %j', (path) => {
    expect(parseTilePath(path)).toBeUndefined();
  });
});

describe('which tiles a tree has', () => {
  it('is what the specification says of 70,000 and of 256 leaves', () => {
    const count = (size: number): Record<string, number> => {
      const seen: Record<string, number> = {};
      for (const { level, width } of changedTiles(0, size)) {
        const name = width === 256 ? `full ${String(level)}` : `partial ${String(level)} of ${String(width)}`;
        seen[name] = (seen[name] ?? 0) + 1;
      }
      return seen;
    };
    expect(count(70_000)).toEqual({
      'full entries': 273,
      'partial entries of 112': 1,
      'full 0': 273,
      'partial 0 of 112': 1,
      'full 1': 1,
      'partial 1 of 17': 1,
      'partial 2 of 1': 1,
    });
    expect(count(256)).toEqual({ 'full entries': 1, 'full 0': 1, 'partial 1 of 1': 1 });
  });

  it('is what both halves of a growth change, but for partial tiles that grew', () => {
    fc.assert(
      fc.property(fc.nat(70_000), fc.nat(3000), fc.nat(3000), (a, more, evenMore) => {
        const [b, c] = [a + more, a + more + evenMore];
        const paths = (from: number, to: number): string[] => changedTiles(from, to).map(tilePath);
        const grown = new Set(
          changedTiles(a, b)
            .filter((tile) => widthAt(tile, c) > tile.width)
            .map(tilePath),
        );
        const halves = [...paths(a, b).filter((path) => !grown.has(path)), ...paths(b, c)];
        expect([...new Set(halves)].sort()).toEqual([...paths(a, c)].sort());
      }),
    );
  });

  it('has one partial tile a level where the level does not end with a full one', () => {
    fc.assert(
      fc.property(sizes, levels, (size, level) => {
        const tile = partialTile(level, size);
        const hashes = Math.floor(size / TILE_WIDTH ** (level === 'entries' ? 0 : level));
        expect(tile?.width ?? 0).toBe(hashes % TILE_WIDTH);
        if (tile !== undefined) expect(widthAt(tile, size)).toBe(tile.width);
      }),
    );
    expect(levelsAt(0)).toBe(0);
    expect(levelsAt(256)).toBe(2);
    expect(levelsAt(65_536)).toBe(3);
  });
});

describe('tiles and bundles', () => {
  it('hold what was put in, and nothing else passes for them', () => {
    const entries = fc.array(fc.uint8Array({ maxLength: 400 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(entries, fc.nat(20), (list, cut) => {
        const bytes = bundleBytes(list);
        expect(bundleEntries(bytes, list.length)?.map((entry) => [...entry])).toEqual(
          list.map((entry) => [...entry]),
        );
        expect(bundleEntries(bytes, list.length - 1)).toBeUndefined();
        expect(bundleEntries(bytes, list.length + 1)).toBeUndefined();
        expect(bundleEntries(bytes.subarray(0, -1), list.length)).toBeUndefined();
        const width = Math.min(list.length, cut + 1);
        const tile: Tile = { level: 'entries', index: 0, width };
        expect(cutTile(tile, bytes, list.length)).toEqual(bundleBytes(list.slice(0, width)));

        const hashes = list.map((entry) => leafHash(entry));
        expect(tileHashes(tileBytes(hashes), hashes.length)).toEqual(hashes);
        expect(tileHashes(tileBytes(hashes), hashes.length + 1)).toBeUndefined();
        const part = cutTile({ ...tile, level: 0 }, tileBytes(hashes), hashes.length);
        expect(Buffer.from(part ?? []).equals(tileBytes(hashes.slice(0, width)))).toBe(true);
      }),
    );
  });

  it('say the length of the longest event and refuse what two bytes cannot say', () => {
    const bytes = bundleBytes([new Uint8Array(32 * 1024), new Uint8Array(65_535)]);
    expect([...bytes.subarray(0, 2)]).toEqual([0x80, 0]);
    expect(bundleEntries(bytes, 2)?.map(({ length }) => length)).toEqual([32_768, 65_535]);
    expect(() => bundleBytes([new Uint8Array(65_536)])).toThrow(RangeError);
    expect(() => bundleBytes(['\u20ac'.repeat(21_846)])).toThrow(RangeError);
  });

  it('hold the same bytes of an entry and of its text', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' })), (texts) => {
        expect(bundleBytes(texts)).toEqual(bundleBytes(texts.map((text) => Buffer.from(text))));
      }),
    );
  });

  it('give the hash of every complete subtree, each tile read once', async () => {
    const size = LEAVES.length;
    const read: string[] = [];
    const hash = subtreeReader(size, (tile) => {
      read.push(tilePath(tile));
      return Promise.resolve(tileOf(tile));
    });
    for (let height = 0; 2 ** height <= size; height += 1) {
      const last = Math.floor(size / 2 ** height) - 1;
      for (const index of new Set([0, Math.floor(last / 2), last])) {
        const first = index * 2 ** height;
        expect(await hash(height, index)).toBe(naiveRoot(LEAVES.slice(first, first + 2 ** height)));
      }
      await expect(hash(height, last + 1)).rejects.toThrow(RangeError);
    }
    expect(new Set(read).size).toBe(read.length);
  });
});
