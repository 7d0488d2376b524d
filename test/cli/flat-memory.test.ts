import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, it } from 'vitest';
import { parseCheckpoint, type Checkpoint } from '../../src/audit/log/checkpoint.js';
import { parseNote, type Note } from '../../src/audit/log/note-format.js';
import { TILE_WIDTH } from '../../src/audit/log/tiles.js';
import { checkLog } from '../../src/cli/check-log.js';
import type { CliIo } from '../../src/cli/io.js';
import { logClient, type LogClient } from '../../src/cli/log-client.js';
import { newSigner } from '../audit/log/proof-documents.js';
import { logFiles, serveLog, type LogServer } from './support.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bundles that are read at the same time, the one whose entries are taken, and the one that is asked for next. */
const FEW = 8 + 2;

/** What was handed over and is still held by somebody, after everything that can go has gone. */
class Held {
  readonly #things: WeakRef<object>[] = [];
  most = 0;

  add(thing: object): void {
    this.#things.push(new WeakRef(thing));
  }

  count(): void {
    collect();
    this.most = Math.max(this.most, this.#things.filter((thing) => thing.deref() !== undefined).length);
  }
}

const servers: LogServer[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** How many bundles a walk over a log was handed, and how many of them it held at most, looked at now and then. */
async function walked(entries: number): Promise<{ bundles: number; held: number }> {
  // Long enough that no two bundles share memory.
  const texts = Array.from({ length: entries }, (_, at) => String(at).padEnd(60, '.'));
  const files = await logFiles(texts, newSigner());
  const server = await serveLog(files);
  servers.push(server);
  const io: Pick<CliIo, 'fetch' | 'sleep' | 'deadline'> = {
    fetch: globalThis.fetch,
    sleep: () => Promise.resolve(),
    deadline: () => ({ signal: new AbortController().signal, clear: () => undefined }),
  };
  const client = logClient(server.url, new Headers(), io as CliIo);
  const held = new Held();
  let bundles = 0;
  const watched: LogClient = {
    get: async (path, maxBytes) => {
      if (!path.startsWith('tile/entries/')) return client.get(path, maxBytes);
      if (bundles % 23 === 0) held.count();
      const bytes = await client.get(path, maxBytes);
      bundles += 1;
      // Entries are views of this memory: who keeps one of them keeps it all.
      if (bytes !== undefined) held.add(bytes.buffer);
      return bytes;
    },
  };
  const { text } = parseNote(String(files.get('checkpoint'))) as Note;
  const fault = await checkLog(watched, parseCheckpoint(text) as Checkpoint, undefined, () => undefined);
  expect(fault).toBeUndefined();
  return { bundles, held: held.most };
}

describe('the memory of verify-log', () => {
  it.each([10_000, 100_000])('holds a few bundles of a log of %i entries', async (entries) => {
    const { bundles, held } = await walked(entries);
    expect(bundles).toBe(Math.ceil(entries / TILE_WIDTH));
    expect(held).toBeLessThanOrEqual(FEW);
    // It was looked: what waits to be taken is held.
    expect(held).toBeGreaterThan(0);
  });
});
