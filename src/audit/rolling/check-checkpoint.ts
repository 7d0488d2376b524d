import { isAppError } from '../../domain/errors.js';
import { settledLeaves, type Head } from '../ledger-state.js';
import { LedgerStore } from '../ledger-store.js';
import { parseCheckpoint } from '../log/checkpoint.js';
import { isMalformed } from '../log/encoding.js';
import { proveConsistency, rootAt, verifyConsistency, type TreeHead } from '../log/proof.js';
import { openNote, verifierOf, type NoteVerifier } from '../log/signed-note.js';
import type { StoredCheckpoint } from '../log-store.js';
import type { Found } from './mismatch.js';
import { TileGone } from '../tile-gone.js';
import { blobAt, type Turn } from './turn.js';

/** How far a log has come, as its checkpoint or else its head says it. */
export interface Standing {
  readonly tree: TreeHead;
  /** Leaves of finished rounds: everything that follows from them is there. */
  readonly settled: number;
  /** Everything about the checkpoint holds, so that later ones can be held against it. */
  readonly sound: boolean;
}

interface Rounds {
  readonly head: Head | undefined;
  /** Leaves that were published before the head was looked at: the checkpoint has at least as many. */
  readonly least: number;
}

/**
 * Holds the checkpoint of a log against its key, the head, the tiles and what it was before. What a sealer is at is no
 * mismatch: the head is read first, so a checkpoint that is read after it covers what rounds before it published.
 * Undefined where there is no log to be read. 3 reads, and the tiles at the edge.
 */
export async function checkCheckpoint(turn: Turn, seen: TreeHead | undefined): Promise<Standing | undefined> {
  let faults = 0;
  const found: Found = (code, where, detail) => {
    faults += 1;
    turn.found(code, where, detail);
  };
  const rounds = await findRounds(turn, found);
  const before = faults;
  const checkpoint = await findCheckpoint(turn, found);
  const least = rounds?.least ?? 0;
  const expected = Math.max(least, seen?.size ?? 0);
  if (checkpoint === undefined && faults === before && expected > 0)
    found('checkpoint.missing', blobAt(turn.tenant, 'checkpoint'), `the log had ${String(expected)} leaves`);
  const signed = checkpoint !== undefined && isSigned(turn, checkpoint, found) ? checkpoint : undefined;
  if (checkpoint !== undefined && rounds !== undefined) await checkHead(turn, rounds, checkpoint, found);
  // Where the checkpoint is nobody's, the head says what there is, once its round is finished.
  const { head } = rounds ?? {};
  const tree = signed ?? (head?.tree_size === least ? { size: least, root: head.root } : undefined);
  if (tree === undefined) return undefined;
  const goesOn = await checkTree(turn, tree, seen, found);
  const { size, root } = tree;
  return { tree: { size, root }, settled: Math.min(least, size), sound: goesOn && faults === 0 };
}

/** Undefined where the head cannot be read, which is said. */
async function findRounds(turn: Turn, found: Found): Promise<Rounds | undefined> {
  const { tables, blobs } = turn.tools;
  try {
    const stored = await turn.retry(() => new LedgerStore(blobs).findHead(turn.tenant));
    if (stored === undefined) return { head: undefined, least: 0 };
    const { head } = stored;
    const { table, partition_key, row_key } = head.last_pending;
    const pending = await turn.retry(() => tables.find(table, partition_key, row_key));
    return { head, least: settledLeaves(head, pending === undefined) };
  } catch (error) {
    if (!isAppError(error, 'integrity-failure')) throw error;
    found('head.invalid', blobAt(turn.tenant, 'head'), 'it is not what a sealer writes');
    return undefined;
  }
}

async function findCheckpoint(turn: Turn, found: Found): Promise<StoredCheckpoint | undefined> {
  try {
    return await turn.reader.checkpoint(turn.tenant);
  } catch (error) {
    if (!isAppError(error, 'integrity-failure')) throw error;
    found('checkpoint.invalid', blobAt(turn.tenant, 'checkpoint'), 'it is no checkpoint in a signed note');
    return undefined;
  }
}

function isSigned({ tools, tenant }: Turn, { note }: StoredCheckpoint, found: Found): boolean {
  const at = blobAt(tenant, 'checkpoint');
  const verifiers = tools.vkeys(tenant).map((vkey) => verifierOf(vkey) as NoteVerifier);
  const origin = verifiers[0]?.name ?? '';
  const opened = openNote(note, verifiers);
  if (isMalformed(opened)) {
    found('checkpoint.signature', at, `it ${opened.malformed}`);
    return false;
  }
  const checkpoint = parseCheckpoint(opened.text);
  if (!isMalformed(checkpoint) && checkpoint.origin === origin) return true;
  found('checkpoint.invalid', at, `it is not of the log ${origin}`);
  return false;
}

/** Size and root beside those of the head; one more read where a round ended in between. */
async function checkHead(
  turn: Turn,
  { head, least }: Rounds,
  { size, root }: StoredCheckpoint,
  found: Found,
): Promise<void> {
  const at = blobAt(turn.tenant, 'checkpoint');
  const sizeOf = (leaves: number): string => `it covers ${String(size)} leaves of ${String(leaves)}`;
  if (size < least) found('checkpoint.behind', at, sizeOf(least));
  const passed = (head?.tree_size ?? 0) < size;
  const later = passed ? (await findRounds(turn, found))?.head : head;
  if (later === undefined) found('head.missing', blobAt(turn.tenant, 'head'), sizeOf(size));
  else if (later.tree_size < size) found('checkpoint.ahead', at, sizeOf(later.tree_size));
  else if (later.tree_size === size && later.root !== root)
    found('checkpoint.root', at, `the head has another root of ${String(size)} leaves`);
}

/** Whether the tiles give the root, and the tree goes on from the one that was seen. */
async function checkTree(
  turn: Turn,
  tree: TreeHead,
  seen: TreeHead | undefined,
  found: Found,
): Promise<boolean> {
  const at = blobAt(turn.tenant, 'checkpoint');
  const { size } = tree;
  if (seen !== undefined && size < seen.size)
    found('checkpoint.shorter', at, `it covers ${String(size)} leaves, and covered ${String(seen.size)}`);
  if (size === 0) return seen === undefined;
  const read = turn.subtrees(tree);
  try {
    const rooted = (await rootAt(size, read)) === tree.root;
    if (!rooted) found('log.root', at, `the tiles give another root of ${String(size)} leaves`);
    if (seen === undefined || seen.size === 0 || size < seen.size) return rooted;
    const proof = await proveConsistency(seen.size, size, read);
    const goesOn = verifyConsistency(seen, tree, proof);
    // Tiles that do not fit the root prove nothing, unless both are of one size.
    if (!goesOn && (rooted || size === seen.size))
      found('checkpoint.rewritten', at, `its first ${String(seen.size)} leaves are not those it had`);
    return rooted && goesOn;
  } catch (error) {
    if (error instanceof TileGone) return false;
    throw error;
  }
}
