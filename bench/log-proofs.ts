import { putGrowth, signUpTo } from '../src/audit/grow-log.js';
import { leafRun } from '../src/audit/hash-run.js';
import { LogReader } from '../src/audit/log-reader.js';
import { LogStore, type StoredCheckpoint } from '../src/audit/log-store.js';
import { EMPTY_TREE, rootOf } from '../src/audit/merkle.js';
import { verifyEventProof } from '../src/audit/verifier/index.js';
import type { StoragePorts } from '../src/storage/ports.js';
import { systemClock, systemEntropy } from '../src/system.js';
import { countingPorts } from '../test/support/counting-ports.js';
import { memoryPorts } from '../test/support/memory-ports.js';
import { eventsLike, LOG_TENANT } from './log-events.js';
import type { LogProofs } from './log-report.js';
import { KEYS } from './platform.js';
import { spreadOf } from './statistics.js';

/** Leaves that are added at once. */
const PIECE = 25_600;

/** Leaves that proofs are asked for, spread over the log, the first and the last among them. */
function askedFor(size: number, proofs: number): readonly number[] {
  return Array.from({ length: proofs }, (_, at) => Math.round((at * (size - 1)) / (proofs - 1)));
}

/** A log of so many leaves in memory: events where proofs are asked for, and elsewhere few bytes that no leaf has twice. */
async function logOf(size: number, events: ReadonlyMap<number, string>): Promise<StoragePorts> {
  const ports = memoryPorts({ clock: systemClock });
  const store = new LogStore(ports.blobs);
  let tree = EMPTY_TREE;
  let standing: StoredCheckpoint | undefined;
  for (let from = 0; from < size; from += PIECE) {
    const count = Math.min(PIECE, size - from);
    const entries = Array.from({ length: count }, (_, at) =>
      Buffer.from(events.get(from + at) ?? String(from + at)),
    );
    const leaves = leafRun(entries);
    tree = leaves.appendTo(tree);
    await putGrowth(store, { tenant: LOG_TENANT, from, size: tree.size, edge: tree.edge, entries, leaves });
    const grown = { tenant: LOG_TENANT, size: tree.size, root: rootOf(tree) };
    standing = await signUpTo(store, KEYS.signer(LOG_TENANT), grown, standing);
  }
  return ports;
}

async function proofsAt(size: number, proofs: number): Promise<LogProofs> {
  const asked = askedFor(size, proofs);
  const texts = await eventsLike(asked.length);
  const events = new Map(asked.map((index, at) => [index, texts[at] as string]));
  const counting = countingPorts(await logOf(size, events));
  const reader = new LogReader({ blobs: counting.ports.blobs, clock: systemClock, entropy: systemEntropy });
  const options = { vkey: KEYS.vkeys(LOG_TENANT)[0] ?? '' };
  const found = {
    bytes: [] as number[],
    reads: [] as number[],
    made: [] as number[],
    checked: [] as number[],
  };
  // The first proof warms up.
  for (const index of [0, ...asked]) {
    const event = events.get(index) as string;
    counting.reset();
    const start = performance.now();
    const proof = await reader.prove(LOG_TENANT, index, event);
    const made = performance.now();
    const { verdict } = await verifyEventProof(event, proof, options);
    const checked = performance.now();
    if (verdict !== 'yes') throw new Error(`a proof of the bench does not hold: leaf ${String(index)}`);
    found.bytes.push(Buffer.byteLength(proof));
    // One of the reads is that of the checkpoint.
    found.reads.push(counting.calls.length - 1);
    found.made.push(made - start);
    found.checked.push(checked - made);
  }
  const [bytes, tiles] = [spreadOf(found.bytes.slice(1)), spreadOf(found.reads.slice(1))];
  const largest = { bytes: Math.max(...found.bytes), tiles: Math.max(...found.reads) };
  return {
    leaves: size,
    proofs,
    bytes: { median: bytes.median, max: largest.bytes },
    tiles: { median: tiles.median, max: largest.tiles },
    proveMs: spreadOf(found.made.slice(1)),
    checkMs: { ...spreadOf(found.checked.slice(1)), max: Math.max(...found.checked.slice(1)) },
  };
}

/** Size of proofs, tiles read for one, and the time to make and to check one, by the size of the log. */
export async function measureProofs(quick: boolean): Promise<readonly LogProofs[]> {
  const results: LogProofs[] = [];
  for (const size of quick ? [1000] : [1000, 100_000, 1_000_000])
    results.push(await proofsAt(size, quick ? 5 : 200));
  return results;
}
