import { createHash, hash } from 'node:crypto';
import { dropSuperseded, putGrowth, signUpTo } from '../src/audit/grow-log.js';
import { parseCheckpoint, type Checkpoint } from '../src/audit/log/checkpoint.js';
import { openNote, verifierOf, type NoteVerifier } from '../src/audit/log/signed-note.js';
import { leafRun } from '../src/audit/hash-run.js';
import { LogStore, type StoredCheckpoint } from '../src/audit/log-store.js';
import { EMPTY_TREE, rootOf } from '../src/audit/merkle.js';
import { wholeBundles } from '../src/audit/plan-stage.js';
import { checkLog } from '../src/cli/check-log.js';
import type { LogClient } from '../src/cli/log-client.js';
import { LIMITS } from '../src/domain/limits.js';
import { BLOB_CONTAINERS } from '../src/storage/keys.js';
import type { StoragePorts } from '../src/storage/ports.js';
import { systemClock } from '../src/system.js';
import { memoryPorts } from '../test/support/memory-ports.js';
import { eventsLike, LOG_TENANT } from './log-events.js';
import type { Hashing, LogRate } from './log-report.js';
import { KEYS } from './platform.js';
import { median, spreadOf } from './statistics.js';

type Work = LogRate['work'] | Hashing;
const OURS = ['integrate', 'verify'] as const;
const FLOORS = ['createHash', 'hash', 'one piece'] as const;
const ALL: readonly Work[] = [...OURS, ...FLOORS];

/**
 * The part of sealing that is the log's, in rounds as large as the sealer makes them: the tree that the head commits to,
 * then bundles, tiles, the signature and the partial tiles that go. Storage is memory.
 */
async function integrate(texts: readonly string[]): Promise<StoragePorts> {
  const ports = memoryPorts({ clock: systemClock });
  const store = new LogStore(ports.blobs);
  const signer = KEYS.signer(LOG_TENANT);
  let tree = EMPTY_TREE;
  let standing: StoredCheckpoint | undefined;
  for (let from = 0; from < texts.length;) {
    const left = texts.length - from;
    const most = LIMITS.sealRoundEvents;
    const round = texts.slice(from, from + (left > most ? wholeBundles(from, most) : left));
    const leaves = leafRun(round);
    tree = leaves.appendTo(tree);
    const { size, edge } = tree;
    await putGrowth(store, { tenant: LOG_TENANT, from, size, edge, entries: round, leaves });
    standing = await signUpTo(store, signer, { tenant: LOG_TENANT, size, root: rootOf(tree) }, standing);
    await dropSuperseded(store, LOG_TENANT, [from, size], size);
    from = size;
  }
  return ports;
}

/** What `verify-log` does, with a log that lies in memory. */
async function verify(ports: StoragePorts): Promise<void> {
  const find = async (path: string): Promise<Uint8Array | undefined> =>
    (await ports.blobs.find(BLOB_CONTAINERS.ledger, `${LOG_TENANT}/${path}`))?.bytes;
  const client: LogClient = { get: find };
  const note = Buffer.from((await find('checkpoint')) ?? []).toString('utf8');
  const opened = openNote(note, [verifierOf(KEYS.vkeys(LOG_TENANT)[0] ?? '') as NoteVerifier]);
  if ('malformed' in opened) throw new Error(`the checkpoint of the bench ${opened.malformed}`);
  const fault = await checkLog(
    client,
    parseCheckpoint(opened.text) as Checkpoint,
    undefined,
    () => undefined,
  );
  if (fault !== undefined) throw new Error(`the log of the bench does not hold: ${fault.detail}`);
}

/** SHA-256 alone, of the bytes of the same events. */
function floors(texts: readonly string[]): Record<Hashing, () => void> {
  const events = texts.map((text) => Buffer.from(text));
  const together = Buffer.concat(events);
  return {
    createHash: () => events.forEach((bytes) => createHash('sha256').update(bytes).digest('hex')),
    hash: () => events.forEach((bytes) => hash('sha256', bytes)),
    'one piece': () => void hash('sha256', together),
  };
}

/** Events a second that are integrated and verified, beside SHA-256 of the same bytes; all of them in turn in each round. */
export async function measureRates(quick: boolean): Promise<readonly LogRate[]> {
  const texts = await eventsLike(quick ? 600 : 50_000);
  const bytesPerEvent = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / texts.length;
  const ports = await integrate(texts);
  const works: Record<Work, () => unknown> = {
    integrate: () => integrate(texts),
    verify: () => verify(ports),
    ...floors(texts),
  };
  const rates: Record<Work, number[]> = {
    integrate: [],
    verify: [],
    createHash: [],
    hash: [],
    'one piece': [],
  };
  // The first round warms up; who begins a round changes.
  for (let round = 0; round <= (quick ? 1 : 20); round += 1)
    for (const at of ALL.keys()) {
      const work = ALL[(at + round) % ALL.length] as Work;
      const start = performance.now();
      await works[work]();
      if (round > 0) rates[work].push((1000 * texts.length) / (performance.now() - start));
    }
  return OURS.flatMap((work) =>
    FLOORS.map((hashed) => ({
      work,
      hashed,
      bytesPerEvent,
      ours: median(rates[work]),
      floor: median(rates[hashed]),
      ratio: spreadOf(rates[work].map((rate, at) => rate / (rates[hashed][at] as number))),
    })),
  );
}
