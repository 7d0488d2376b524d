import type { ReadHash } from './log/proof.js';
import { subtreeReader, type Tile } from './log/tiles.js';

/** A tile that is needed is not there, or not whole; that is said where tiles are looked at. */
export class TileGone extends Error {
  override readonly name = 'TileGone';
}

/** Hashes of complete subtrees of a tree of `size` leaves, out of tiles that may be gone. Rejects with TileGone. */
export function subtreesIn(
  size: number,
  read: (tile: Tile) => Promise<readonly string[] | undefined>,
): ReadHash {
  return subtreeReader(size, async (tile) => {
    const hashes = await read(tile);
    if (hashes === undefined) throw new TileGone();
    return hashes;
  });
}
