import { BLOB_CONTAINERS } from '../../storage/keys.js';
import { isAppError } from '../../domain/errors.js';
import { settledLeaves, type Head } from '../ledger-state.js';
import { LedgerStore } from '../ledger-store.js';
import { parseCheckpoint, type Checkpoint } from '../log/checkpoint.js';
import { isMalformed } from '../log/encoding.js';
import { parseNote } from '../log/note-format.js';
import { rootAt } from '../log/proof.js';
import { openNote, verifierOf, type NoteVerifier } from '../log/signed-note.js';
import { subtreesIn, TileGone } from '../tile-gone.js';
import type { Found, Repair } from './findings.js';
import { repairCheckpoint } from './repair-checkpoint.js';
import type { Reads } from './tools.js';

/** How far a log has come. */
export interface LogState {
  /** Leaves that a checkpoint covers. */
  readonly size: number;
  /** Leaves of rounds that are finished: everything that follows from them is there. */
  readonly settled: number;
}

const ATTEMPTS = 5;
const { ledger, audit } = BLOB_CONTAINERS;

interface Seen {
  readonly head: Head | undefined;
  readonly finished: boolean;
  readonly note: string | undefined;
}

/** Holds head, checkpoint and the ends of streams of a tenant against each other and the root against the tiles. */
export async function checkLogState(reads: Reads, tenant: string, found: Found): Promise<LogState> {
  const seen = await look(reads, tenant, found);
  if (seen === undefined) return { size: 0, settled: 0 };
  const { head, finished, note } = seen;
  const repair: Repair = { name: `seal ${tenant}`, run: () => repairCheckpoint(reads.tools, tenant) };
  const checkpoint = note === undefined ? undefined : openCheckpoint(reads, tenant, note, found);
  const least = head === undefined ? 0 : settledLeaves(head, finished);
  const at = `${ledger}/${tenant}/checkpoint`;
  if (note === undefined && least > 0) found('checkpoint.missing', at, `the head counts ${String(least)}`, { repair }); // prettier-ignore
  if (head === undefined) await checkHeadless(reads, tenant, note, found);
  const size = checkpoint?.size ?? 0;
  if (head !== undefined && checkpoint !== undefined) {
    if (size < least) found('checkpoint.behind', at, `it covers ${String(size)} leaves of ${String(least)}`); // prettier-ignore
    if (size > head.tree_size) found('checkpoint.ahead', at, `it covers ${String(size)} leaves, the head ${String(head.tree_size)}`); // prettier-ignore
    if (size === head.tree_size && checkpoint.root !== head.root)
      found('checkpoint.root', at, `the root of ${String(size)} leaves is not that of the head`);
  }
  if (head !== undefined) await checkStreams(reads, tenant, head, finished, found);
  const tree = head !== undefined && finished ? { size: head.tree_size, root: head.root } : checkpoint;
  if (tree !== undefined && tree.size > 0) await checkRoot(reads, tenant, tree, found);
  const covered = checkpoint === undefined || size < least ? least : size;
  reads.leaves.cover(tenant, least);
  return { size: covered, settled: head === undefined ? covered : Math.min(least, covered) };
}

/** What stands while nobody changes it. Undefined where there is nothing, or the head cannot be read. */
async function look(reads: Reads, tenant: string, found: Found): Promise<Seen | undefined> {
  const store = new LedgerStore(reads.tools.ports.blobs);
  const headOf = () => reads.budget().retry(() => store.findHead(tenant));
  try {
    for (let attempt = 1; ; attempt += 1) {
      const stored = await headOf();
      const finished = stored === undefined || (await isFinished(reads, stored.head));
      const blob = await reads.budget().retry(() => reads.tools.ports.blobs.find(ledger, `${tenant}/checkpoint`)); // prettier-ignore
      const note = blob === undefined ? undefined : Buffer.from(blob.bytes).toString('utf8');
      if ((await headOf())?.etag === stored?.etag || attempt === ATTEMPTS)
        return { head: stored?.head, finished, note };
    }
  } catch (error) {
    if (!isAppError(error, 'integrity-failure')) throw error;
    found('head.invalid', `${ledger}/${tenant}/head`, String(error.evidence['what']));
    return undefined;
  }
}

async function isFinished(reads: Reads, { last_pending }: Head): Promise<boolean> {
  const { table, partition_key, row_key } = last_pending;
  return (await reads.row(table, partition_key, row_key)) === undefined;
}

async function checkHeadless(reads: Reads, tenant: string, note: string | undefined, found: Found): Promise<void> {
  const { names } = await reads.budget().retry(() => reads.tools.ports.blobs.list(audit, `${tenant}/`));
  if (note !== undefined || names.length > 0)
    found('head.missing', `${ledger}/${tenant}/head`, `there are ${String(names.length)} streams`);
} // prettier-ignore

function openCheckpoint(reads: Reads, tenant: string, note: string, found: Found): Checkpoint | undefined {
  const at = `${ledger}/${tenant}/checkpoint`;
  const parsed = parseNote(note);
  const checkpoint = isMalformed(parsed) ? parsed : parseCheckpoint(parsed.text);
  if (isMalformed(checkpoint)) {
    found('checkpoint.invalid', at, `it ${checkpoint.malformed}`);
    return undefined;
  }
  const verifiers = reads.tools.vkeys(tenant).map((vkey) => verifierOf(vkey) as NoteVerifier);
  const origin = verifiers[0]?.name ?? '';
  if (checkpoint.origin !== origin) found('checkpoint.invalid', at, `it is of another log than ${origin}`);
  const opened = openNote(note, verifiers);
  if (isMalformed(opened)) found('checkpoint.signature', at, `it ${opened.malformed}`);
  return checkpoint;
}

async function checkRoot(reads: Reads, tenant: string, tree: { readonly size: number; readonly root: string }, found: Found): Promise<void> {
  const read = subtreesIn(tree.size, (tile) => reads.leaves.hashes(tenant, tile));
  try {
    if ((await rootAt(tree.size, read)) !== tree.root)
      found('head.root', `${ledger}/${tenant}/head`, `the tiles give another root of ${String(tree.size)} leaves`);
  } catch (error) {
    // Which tile it is is said where tiles are walked.
    if (!(error instanceof TileGone)) throw error;
  }
} // prettier-ignore

/** The stream that the head names ends where it says, and those before are closed. */
async function checkStreams(reads: Reads, tenant: string, head: Head, finished: boolean, found: Found): Promise<void> {
  const { blobs } = reads.tools.ports;
  const { name, offset } = head.stream;
  let next: string | undefined;
  do {
    const page = await reads.budget().retry(() => blobs.list(audit, `${tenant}/`, next));
    for (const other of page.names) {
      if (other > name) found('stream.longer', `${audit}/${other}`, 'it is later than the one that the head names');
      if (other >= name || !finished) continue;
      const state = await reads.budget().retry(() => blobs.appendState(audit, other));
      if (state?.sealed === false) found('stream.unsealed', `${audit}/${other}`, 'a later stream has begun');
    }
    next = page.next;
  } while (next !== undefined);
  const state = await reads.budget().retry(() => blobs.appendState(audit, name));
  const at = `${audit}/${name}`;
  if (state === undefined) {
    if (finished) found('stream.missing', at, `the head says that it has ${String(offset)} bytes`);
    return;
  }
  const facts = `it has ${String(state.length)} bytes, the head says ${String(offset)}`;
  if (state.length > offset) found('stream.longer', at, facts);
  if (finished && state.length < offset) found('stream.short', at, facts);
} // prettier-ignore
