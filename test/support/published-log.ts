import { createHash } from 'node:crypto';
import { openNote, verifierOf, type NoteVerifier } from '../../src/audit/log/signed-note.js';
import {
  changedTiles,
  parseTilePath,
  TILE_WIDTH,
  tilePath,
  widthAt,
  type Tile,
} from '../../src/audit/log/tiles.js';
import { TEST_LOG_KEYS, TEST_ORIGIN } from './log-keys.js';

/**
 * What a tenant's log shows, held against the leaves it should have, by the letter of the specifications: RFC 6962 for
 * hashes, tlog-tiles for what lies where. Of the code that wrote it only signatures and paths are used.
 */

/** Blobs of the container `ledger` by name. */
export type LedgerBlobs = ReadonlyMap<string, Uint8Array>;

export interface Seen {
  readonly size: number;
  /** Lower-case hex. */
  readonly root: string;
}

const hash = (...parts: readonly Uint8Array[]): Buffer => {
  const digest = createHash('sha256');
  for (const part of parts) digest.update(part);
  return digest.digest();
};
const leaf = (text: string): Buffer => hash(Uint8Array.of(0), Buffer.from(text));
const node = (left: Uint8Array, right: Uint8Array): Buffer => hash(Uint8Array.of(1), left, right);

function rootOf(hashes: readonly Buffer[]): Buffer {
  if (hashes.length === 0) return hash();
  if (hashes.length === 1) return hashes[0] as Buffer;
  let k = 1;
  while (k * 2 < hashes.length) k *= 2;
  return node(rootOf(hashes.slice(0, k)), rootOf(hashes.slice(k)));
}

/** The checkpoint of a note, or why it is none of this log. */
export function seenIn(tenant: string, note: string): Seen | string {
  const verifiers = TEST_LOG_KEYS.vkeys(tenant).map((vkey) => verifierOf(vkey) as NoteVerifier);
  const opened = openNote(note, verifiers);
  if ('malformed' in opened) return `${tenant}: the checkpoint ${opened.malformed}`;
  const [origin, size = '', root = '', ...rest] = opened.text.split('\n');
  if (origin !== `${TEST_ORIGIN}/${tenant}`) return `${tenant}: the checkpoint is of ${origin ?? ''}`;
  if (!/^[1-9]\d*$/.test(size) || rest.join('') !== '') return `${tenant}: the checkpoint has another form`;
  return { size: Number(size), root: Buffer.from(root, 'base64').toString('hex') };
}

/** Whether a checkpoint is of a tree of the first of these leaves: any two of which that holds are consistent. */
export function treeFaults(tenant: string, seen: Seen, leaves: readonly string[]): string[] {
  if (seen.size > leaves.length)
    return [`${tenant}: a checkpoint counts ${seen.size} leaves, there are ${leaves.length}`];
  const root = rootOf(leaves.slice(0, seen.size).map(leaf)).toString('hex');
  return seen.root === root
    ? []
    : [`${tenant}: a checkpoint of ${seen.size} has another root than its leaves`];
}

/** Whether everything under a checkpoint can be read: each tile and bundle as it was then, or in full. */
export function readableFaults(tenant: string, size: number, has: (name: string) => boolean): string[] {
  return changedTiles(0, size)
    .filter(
      (tile) => ![tile, { ...tile, width: TILE_WIDTH }].some((one) => has(`${tenant}/${tilePath(one)}`)),
    )
    .map((tile) => `${tenant}: a checkpoint of ${size} is served without ${tilePath(tile)}`);
}

/** Whether every tile and bundle there is holds what the leaves say. */
export function contentFaults(tenant: string, blobs: LedgerBlobs, leaves: readonly string[]): string[] {
  const levels: Buffer[][] = [leaves.map(leaf)];
  for (let below = levels[0] as Buffer[]; below.length >= TILE_WIDTH; below = levels.at(-1) as Buffer[]) {
    const full = Math.floor(below.length / TILE_WIDTH);
    levels.push(
      Array.from({ length: full }, (_, at) => rootOf(below.slice(at * TILE_WIDTH, (at + 1) * TILE_WIDTH))),
    );
  }
  const found: string[] = [];
  for (const [name, bytes] of blobs) {
    if (!name.startsWith(`${tenant}/tile/`)) continue;
    const tile = parseTilePath(name.slice(tenant.length + 1));
    if (tile === undefined) found.push(`${name} is the name of no tile`);
    else if (widthAt(tile, leaves.length) < tile.width) found.push(`${name} has more than there are leaves`);
    else if (!Buffer.from(bytes).equals(contentOf(tile, leaves, levels)))
      found.push(`${name} differs from the leaves`);
  }
  return found;
}

function contentOf(
  { level, index, width }: Tile,
  leaves: readonly string[],
  levels: readonly Buffer[][],
): Buffer {
  const [start, end] = [index * TILE_WIDTH, index * TILE_WIDTH + width];
  if (level !== 'entries') return Buffer.concat((levels[level] ?? []).slice(start, end));
  return Buffer.concat(
    leaves.slice(start, end).flatMap((text) => {
      const entry = Buffer.from(text);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(entry.length);
      return [length, entry];
    }),
  );
}

/** What must hold of a log at rest: its checkpoint is of all leaves, and partial tiles went when they became full. */
export function publishedFaults(tenant: string, blobs: LedgerBlobs, leaves: readonly string[]): string[] {
  const note = blobs.get(`${tenant}/checkpoint`);
  if (note === undefined) return leaves.length === 0 ? [] : [`${tenant} has lines and no checkpoint`];
  const seen = seenIn(tenant, Buffer.from(note).toString('utf8'));
  if (typeof seen === 'string') return [seen];
  const behind = seen.size === leaves.length ? [] : [`${tenant}: the checkpoint counts ${seen.size} leaves, the streams ${leaves.length}`]; // prettier-ignore
  return [
    ...behind,
    ...treeFaults(tenant, seen, leaves),
    ...readableFaults(tenant, seen.size, (name) => blobs.has(name)),
    ...contentFaults(tenant, blobs, leaves),
  ];
}

/** Partial tiles that lie beside the full one: harmless, and left behind only by who died in the middle. */
export function supersededTiles(tenant: string, blobs: LedgerBlobs): string[] {
  return [...blobs.keys()].filter((name) => {
    const tile = name.startsWith(`${tenant}/tile/`)
      ? parseTilePath(name.slice(tenant.length + 1))
      : undefined;
    if (tile === undefined || tile.width === TILE_WIDTH) return false;
    return blobs.has(`${tenant}/${tilePath({ ...tile, width: TILE_WIDTH })}`);
  });
}
