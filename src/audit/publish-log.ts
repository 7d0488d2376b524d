import type { BlobStore } from '../storage/ports.js';
import { appendLines, sealOlderStream } from './append-stream.js';
import { dropSuperseded, putGrowth, signUpTo } from './grow-log.js';
import { leafRun, type HashRun } from './hash-run.js';
import { ledgerBroken, type Head, type Stage } from './ledger-state.js';
import type { NoteSigner } from './log/signed-note.js';
import { LogStore, type StoredCheckpoint } from './log-store.js';
import { rebuildLog } from './rebuild-log.js';

/** A stage and the head that committed it. */
export interface CommittedRound {
  readonly head: Head;
  readonly stage: Stage;
  /** Leaf hashes of the stage's events, as the head was made of them; left out by who did not make it. */
  readonly leaves?: HashRun;
}

export interface PublishTools {
  readonly blobs: BlobStore;
  /** Signs for the tenant whose log is published. */
  readonly signer: (tenant: string) => NoteSigner;
  /** Called now and then in work that takes long. */
  readonly beat: () => Promise<void>;
}

/**
 * Publishes a stage's part of the log: bundles and tiles, then the lines of the stream, then the checkpoint, which is
 * signed only now: by nobody whose head was not committed, and never for leaves that cannot be read. Where the checkpoint
 * covers the stage already, all of that was done; where it does not reach up to the stage, what is missing is made from
 * the streams first. Throws `integrity-failure` when what is stored does not give the head's root, before anything is
 * signed.
 */
export async function publishStage(
  tools: PublishTools,
  { head, stage, ...round }: CommittedRound,
): Promise<void> {
  const store = new LogStore(tools.blobs);
  const { tenant, follows } = stage;
  let standing = await store.findCheckpoint(tenant);
  if ((standing?.size ?? 0) < follows) standing = await rebuildLog(tools, store, { head, stage }, standing);
  if ((standing?.size ?? 0) < head.tree_size) {
    const entries = stage.events.map(({ event }) => event);
    const leaves = round.leaves ?? leafRun(entries);
    await putGrowth(store, { tenant, from: follows, size: head.tree_size, edge: head.edge, entries, leaves });
    await appendLines(tools.blobs, stage);
    await sealOlderStream(tools.blobs, stage);
    const tree = { tenant, size: head.tree_size, root: head.root };
    standing = await signUpTo(store, tools.signer(tenant), tree, standing);
  }
  assertSame(head, standing);
  await dropSuperseded(store, tenant, [follows, head.tree_size], standing?.size ?? 0);
}

/** Two trees of one size and different roots are no log: somebody else has changed what is stored. */
function assertSame(head: Head, standing: StoredCheckpoint | undefined): void {
  if (standing?.size === head.tree_size && standing.root !== head.root)
    throw ledgerBroken(head.tenant, 'the checkpoint has another root than the head');
}
