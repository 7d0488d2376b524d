import { LIMITS } from '../domain/limits.js';
import type { BlobStore } from '../storage/ports.js';
import { dropSuperseded, putGrowth, signUpTo } from './grow-log.js';
import { leafRun } from './hash-run.js';
import { ledgerBroken, type Head, type Stage } from './ledger-state.js';
import type { NoteSigner } from './log/signed-note.js';
import { TILE_WIDTH } from './log/tiles.js';
import type { LogStore, StoredCheckpoint } from './log-store.js';
import { append, EMPTY_TREE, leafHash, rootOf, type CompactRange } from './merkle.js';
import { streamLines } from './stream-lines.js';

export interface RebuildTools {
  readonly blobs: BlobStore;
  readonly signer: (tenant: string) => NoteSigner;
  /** Called after each piece. */
  readonly beat: () => Promise<void>;
}

/**
 * Makes bundles and tiles of what was sealed before there were any, or of what was lost of them, from the streams: from
 * the checkpoint up to where the head's stage follows. First the streams are read and held against the head's root, so
 * that nothing is signed that is not what was sealed; then a piece at a time is written and signed, so that a rebuild that
 * died goes on where it was. Holds one piece in memory. Resolves to the checkpoint that stands then. Throws
 * `integrity-failure` when the streams are not what the head says.
 */
export async function rebuildLog(
  tools: RebuildTools,
  store: LogStore,
  { head, stage }: { readonly head: Head; readonly stage: Stage },
  standing: StoredCheckpoint | undefined,
): Promise<StoredCheckpoint | undefined> {
  const { tenant, follows } = stage;
  const start = standing?.size ?? 0;
  let tree = await checkStreams(tools, head, stage, standing);
  let now = standing;
  let piece: Uint8Array[] = [];
  let bytes = 0;
  let at = 0;
  for await (const line of streamLines(tools.blobs, tenant, follows)) {
    at += 1;
    if (at <= start) continue;
    // A copy: the line is a part of a larger buffer.
    piece.push(Uint8Array.from(line));
    bytes += line.length;
    if (at < follows && !isWhole(at, piece.length, bytes)) continue;
    const leaves = leafRun(piece);
    tree = leaves.appendTo(tree);
    const { size, edge } = tree;
    await putGrowth(store, { tenant, from: size - piece.length, size, edge, entries: piece, leaves });
    now = await signUpTo(store, tools.signer(tenant), { tenant, size, root: rootOf(tree) }, now);
    await dropSuperseded(store, tenant, [size - piece.length], size);
    await tools.beat();
    piece = [];
    bytes = 0;
  }
  return now;
}

/** Pieces end with a full bundle, so that each is written once. */
function isWhole(size: number, lines: number, bytes: number): boolean {
  return size % TILE_WIDTH === 0 && (lines >= LIMITS.rebuildEvents || bytes >= LIMITS.sealRoundBytes);
}

/** Resolves to the tree of the leaves that the checkpoint covers. */
async function checkStreams(
  { blobs }: RebuildTools,
  head: Head,
  stage: Stage,
  standing: StoredCheckpoint | undefined,
): Promise<CompactRange> {
  const start = standing?.size ?? 0;
  let tree = EMPTY_TREE;
  let covered = EMPTY_TREE;
  for await (const line of streamLines(blobs, stage.tenant, stage.follows)) {
    tree = append(tree, leafHash(line));
    if (tree.size === start) covered = tree;
  }
  if (tree.size < stage.follows)
    throw ledgerBroken(stage.tenant, 'the streams have fewer lines than the head');
  if (standing !== undefined && rootOf(covered) !== standing.root)
    throw ledgerBroken(stage.tenant, 'the streams do not give the root of the checkpoint');
  for (const { event } of stage.events) tree = append(tree, leafHash(event));
  if (rootOf(tree) !== head.root)
    throw ledgerBroken(stage.tenant, 'the streams do not give the root of the head');
  return covered;
}
