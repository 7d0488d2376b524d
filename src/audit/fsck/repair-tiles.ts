import type { Head } from '../ledger-state.js';
import { LedgerStore } from '../ledger-store.js';
import { BLOB_CONTAINERS } from '../../storage/keys.js';
import { isFault } from '../../storage/ports.js';
import { bundleBytes, TILE_WIDTH, tileBytes, tilePath, type Tile } from '../log/tiles.js';
import { append, EMPTY_TREE, leafHash, rootOf, rootOfComplete } from '../merkle.js';
import { streamLines } from '../stream-lines.js';
import type { Reads } from './tools.js';

const CONTAINER = BLOB_CONTAINERS.ledger;

/**
 * Makes what is missing or damaged of a log's bundles and tiles from its streams. First the streams are read and held against
 * the root of the head: where they do not give it, nothing is written. Then they are read again, a bundle at a time. Nothing
 * is signed.
 */
export async function repairTiles(reads: Reads, tenant: string): Promise<void> {
  const { blobs } = reads.tools.ports;
  const stored = await reads.budget().retry(() => new LedgerStore(blobs).findHead(tenant));
  if (stored === undefined || !(await givesRoot(reads, stored.head))) return;
  const size = stored.head.tree_size;
  /** By level, the hashes of its tile that is being filled; and how many tiles are full. */
  const rows: string[][] = [[]];
  const filled: number[] = [0];
  let entries: Uint8Array[] = [];
  const put = async (level: number, row: readonly string[]): Promise<void> =>
    putTile(reads, tenant, { level, index: filled[level] as number, width: row.length }, tileBytes(row));
  const bundle = async (): Promise<void> =>
    putTile(reads, tenant, { level: 'entries', index: filled[0] as number, width: entries.length }, bundleBytes(entries)); // prettier-ignore
  for await (const line of streamLines(reads.streams, tenant, size)) {
    entries.push(Uint8Array.from(line));
    rows[0]?.push(leafHash(line));
    if (entries.length < TILE_WIDTH) continue;
    await bundle();
    entries = [];
    for (let level = 0; (rows[level]?.length ?? 0) === TILE_WIDTH; level += 1) {
      const row = rows[level] as string[];
      await put(level, row);
      rows[level] = [];
      filled[level] = (filled[level] as number) + 1;
      (rows[level + 1] ??= []).push(rootOfComplete(row));
      filled[level + 1] ??= 0;
    }
  }
  if (entries.length > 0) await bundle();
  for (const [level, row] of rows.entries()) if (row.length > 0) await put(level, row);
}

/** Whether the streams are what the head says. Reads all of them. */
async function givesRoot(reads: Reads, head: Head): Promise<boolean> {
  let tree = EMPTY_TREE;
  for await (const line of streamLines(reads.streams, head.tenant, head.tree_size))
    tree = append(tree, leafHash(line));
  return tree.size === head.tree_size && rootOf(tree) === head.root;
}

/** Leaves what is right as it is, and what is partial alone where all of it is there by now. */
async function putTile(reads: Reads, tenant: string, tile: Tile, bytes: Uint8Array): Promise<void> {
  const { blobs } = reads.tools.ports;
  const name = `${tenant}/${tilePath(tile)}`;
  const there = await reads.budget().retry(() => blobs.find(CONTAINER, name));
  if (there !== undefined && Buffer.compare(there.bytes, bytes) === 0) return;
  if (there === undefined && tile.width < TILE_WIDTH) {
    const full = await reads.budget().retry(() => blobs.find(CONTAINER, `${tenant}/${tilePath({ ...tile, width: TILE_WIDTH })}`)); // prettier-ignore
    if (full !== undefined) return;
  }
  if (there !== undefined) await reads.budget().retry(() => blobs.delete(CONTAINER, name));
  try {
    await reads.budget().retry(() => blobs.putOnce(CONTAINER, name, bytes, 'application/octet-stream'));
  } catch (error) {
    if (!isFault(error, 'exists')) throw error;
  }
}
