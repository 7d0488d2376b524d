import { TILE_WIDTH, tileIn, tilePath, type Tile } from '../log/tiles.js';
import { leafVerdict } from '../leaf-verdict.js';
import { leafHash, rootOfComplete } from '../merkle.js';
import type { StreamPlace } from '../stream-lines.js';
import { checkEvents } from './events.js';
import type { Found, Repair } from './findings.js';
import { leafEventOf } from './leaf-event.js';
import { repairTiles } from './repair-tiles.js';
import { takeLines } from './take-lines.js';
import type { Reads } from './tools.js';

export interface BundleAsked {
  readonly tenant: string;
  readonly index: number;
  /** Leaves of the log, and those of finished rounds. */
  readonly size: number;
  readonly settled: number;
  /** Where the lines of this bundle begin; undefined for the first. */
  readonly stream: StreamPlace | undefined;
}

export interface BundleDone {
  /** Where the next lines begin. */
  readonly stream: StreamPlace | undefined;
  /** Neither lines nor entries nor hashes are there: whatever the head says, the log does not go so far. */
  readonly nothing: boolean;
}

/**
 * One bundle: its entries, the lines of the streams and the hashes of the tile are the same leaves; full tiles are what
 * the tile above says; and each event has what follows from it.
 */
export async function checkBundle(reads: Reads, asked: BundleAsked, found: Found): Promise<BundleDone> {
  const { tenant, index, size, settled } = asked;
  const repair: Repair = { name: `tiles ${tenant}`, run: () => repairTiles(reads, tenant) };
  const bundle = tileIn(size, { level: 'entries', index });
  const tile = tileIn(size, { level: 0, index });
  if (bundle === undefined || tile === undefined) return { stream: asked.stream, nothing: true };
  const [entries, hashes, { lines, next }] = await Promise.all([
    reads.leaves.entries(tenant, bundle),
    reads.leaves.hashes(tenant, tile),
    takeLines(reads, tenant, asked.stream, bundle.width),
  ]);
  const at = (one: Tile): string => `ledger/${tenant}/${tilePath(one)}`;
  if (entries === undefined) found('bundle.missing', at(bundle), 'it is not there, or not of as many entries', { repair });
  if (hashes === undefined) found('tile.missing', at(tile), 'it is not there, or not of as many hashes', { repair });
  const [ofLines, ofEntries] = [lines.map((line) => leafHash(line)), entries?.map((entry) => leafHash(entry))];
  const first = index * TILE_WIDTH;
  let before: string | undefined;
  for (let n = 0; n < bundle.width; n += 1) {
    const [line, entry, hash] = [ofLines[n], ofEntries?.[n], hashes?.[n]];
    const known = entry ?? hash;
    const code = leafVerdict(line, entries === undefined ? known : entry, hashes === undefined ? known : hash);
    // A run of leaves is one finding, at its first.
    if (code !== undefined && code !== before && known !== undefined)
      found(code, `leaf ${String(first + n)}`, line === undefined ? 'there is no line' : `in ${at(bundle)}`, code === 'log.line' ? {} : { repair });
    before = code;
  }
  if (hashes !== undefined) await checkAbove(reads, asked, tile, hashes, repair, found);
  const sound = (entries ?? lines).filter((_, n) => ofEntries?.[n] === hashes?.[n] || ofLines[n] === hashes?.[n]);
  const texts = (entries ?? lines).map((bytes) => Buffer.from(bytes).toString('utf8'));
  const events = texts.slice(0, Math.max(0, settled - first)).flatMap((text, n) => {
    const own = sound.length === texts.length || leafHash(text) === hashes?.[n] ? leafEventOf(tenant, first + n, text) : undefined;
    if (own === undefined && leafHash(text) === hashes?.[n]) found('event.invalid', `leaf ${String(first + n)}`, 'it is no event of this tenant');
    return own === undefined ? [] : [own];
  });
  await checkEvents(reads, tenant, events, found);
  return { stream: next, nothing: entries === undefined && hashes === undefined && lines.length === 0 };
} // prettier-ignore

/** Where a tile is the last below a full one, or the last of its level, the one above is made of those below it. */
async function checkAbove(
  reads: Reads,
  { tenant, size }: BundleAsked,
  tile: Tile,
  hashes: readonly string[],
  repair: Repair,
  found: Found,
): Promise<void> {
  let [below, own] = [tile, hashes];
  while (below.width === TILE_WIDTH) {
    const place = { level: Number(below.level) + 1, index: Math.floor(below.index / TILE_WIDTH) };
    const above = tileIn(size, place) as Tile;
    const there = await reads.leaves.hashes(tenant, above);
    const at = `ledger/${tenant}/${tilePath(above)}`;
    if (there === undefined)
      found('tile.missing', at, 'it is not there, or not of as many hashes', { repair });
    const number = below.index % TILE_WIDTH;
    if (there !== undefined && there[number] !== rootOfComplete(own))
      found('tile.differs', at, `hash ${String(number)} is not that of ${tilePath(below)}`, { repair });
    if (there === undefined || number < TILE_WIDTH - 1) return;
    [below, own] = [above, there];
  }
}
