import { BLOB_CONTAINERS } from '../../storage/keys.js';
import { TILE_WIDTH, tileIn, tilePath, type Tile } from '../log/tiles.js';
import { leafVerdict, type LeafFault } from '../leaf-verdict.js';
import { leafHash, rootOfComplete } from '../merkle.js';
import type { PlacedLine, StreamPlace } from '../stream-lines.js';
import type { Standing } from './check-checkpoint.js';
import { checkRows } from './check-rows.js';
import { blobAt, type Turn } from './turn.js';

/** What was looked at. */
export interface Looked {
  readonly leaves: number;
  readonly rows: number;
  /** Bytes of the bundle. */
  readonly bytes: number;
  /** Where the lines of the next bundle begin; undefined where there were no lines. */
  readonly stream: StreamPlace | undefined;
  /** What was wrong with the last leaf. */
  readonly last: LeafFault | undefined;
}

/**
 * Holds a bundle, the tile over it, the tiles above up to the edge, the lines of the streams and the rows of its events
 * against each other. `previous` is what was wrong with the leaf before: a run of leaves is one mismatch, at its first.
 */
export async function checkBundle(
  turn: Turn,
  { tree, settled }: Standing,
  index: number,
  lines: AsyncIterator<PlacedLine>,
  previous: LeafFault | undefined,
): Promise<Looked> {
  const bundle = tileIn(tree.size, { level: 'entries', index }) as Tile;
  const tile: Tile = { ...bundle, level: 0 };
  const hashes = await turn.hashes(tile);
  if (hashes !== undefined) await climb(turn, tree.size, tile, hashes);
  const entries = await turn.entries(bundle);
  const taken = await take(lines, bundle.width);
  const first = index * TILE_WIDTH;
  let last = previous;
  for (let n = 0; n < bundle.width; n += 1) {
    const [line, entry] = [hashOf(taken[n]?.bytes), hashOf(entries?.[n])];
    const hash = hashes?.[n] ?? entry;
    const code =
      hash === undefined ? undefined : leafVerdict(line, entries === undefined ? hash : entry, hash);
    if (code !== undefined && code !== last)
      turn.found(code, `leaf ${String(first + n)}`, detailOf(turn, code, tile, taken[n]));
    last = code;
  }
  // An event is a leaf if the tile says so.
  const leaves = (entries ?? []).flatMap((entry, n) =>
    first + n < settled && leafHash(entry) === hashes?.[n]
      ? [{ index: first + n, text: Buffer.from(entry).toString('utf8') }]
      : [],
  );
  const rows = await checkRows(turn, leaves);
  const bytes = (entries ?? []).reduce((sum, { length }) => sum + length, 0);
  return { leaves: bundle.width, rows, bytes, stream: taken.at(-1)?.end, last };
}

const hashOf = (bytes: Uint8Array | undefined): string | undefined => bytes && leafHash(bytes);

/** Which of the three is the odd one. */
function detailOf({ tenant }: Turn, code: LeafFault, tile: Tile, line: PlacedLine | undefined): string {
  if (line === undefined) return 'there is no line';
  if (code === 'log.line') return `in ${BLOB_CONTAINERS.audit}/${line.end.name}`;
  return `in ${blobAt(tenant, tilePath(code === 'log.leaf' ? tile : { ...tile, level: 'entries' }))}`;
}

/** Full tiles are what the tile above says. Partial ones are the edge, which the root is made of. */
async function climb(turn: Turn, size: number, tile: Tile, hashes: readonly string[]): Promise<void> {
  let [below, own] = [tile, hashes];
  while (below.width === TILE_WIDTH) {
    const place = { level: Number(below.level) + 1, index: Math.floor(below.index / TILE_WIDTH) };
    const above = tileIn(size, place) as Tile;
    const there = await turn.hashes(above);
    if (there === undefined) return;
    const number = below.index % TILE_WIDTH;
    if (there[number] !== rootOfComplete(own))
      turn.found('tile.differs', blobAt(turn.tenant, tilePath(above)), `hash ${String(number)} is not that of ${tilePath(below)}`); // prettier-ignore
    [below, own] = [above, there];
  }
}

async function take(lines: AsyncIterator<PlacedLine>, count: number): Promise<readonly PlacedLine[]> {
  const taken: PlacedLine[] = [];
  while (taken.length < count) {
    const next = await lines.next();
    if (next.done === true) break;
    taken.push(next.value);
  }
  return taken;
}
