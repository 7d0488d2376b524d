import { beforeEach, describe, expect, it } from 'vitest';
import { logKeysOf } from '../../src/audit/log-keys.js';
import { Sealer } from '../../src/audit/sealer.js';
import { LIMITS } from '../../src/domain/limits.js';
import { Directory } from '../../src/storage/directory.js';
import { StorageFault, type StoragePorts } from '../../src/storage/ports.js';
import { countingPorts } from '../support/counting-ports.js';
import { signingKeyPem, TEST_LOG_KEYS, TEST_ORIGIN } from '../support/log-keys.js';
import { servedFaults, watchLogs, type LogWatch } from '../support/log-watch.js';
import { memoryPorts } from '../support/memory-ports.js';
import { publishedFaults, seenIn, supersededTiles } from '../support/published-log.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts, type Intercept } from '../support/wrap-ports.js';
import {
  assertSealed,
  commitChanges,
  creates,
  DECISIONS,
  headOf,
  host,
  ledgerBlobs,
  streamLines,
  TENANT,
} from './support.js';

const START = Date.UTC(2026, 0, 10, 12);
const fault = (): StorageFault => new StorageFault('unavailable', 'no answer');

interface World {
  readonly clock: VirtualClock;
  readonly watch: LogWatch;
  readonly ports: StoragePorts;
  readonly ids: string[];
}

let world: World;

/** A log of `size` leaves, sealed `each` at a time. */
async function logOf(size: number, each = size): Promise<World> {
  const clock = new VirtualClock(START);
  const watch = watchLogs(memoryPorts({ clock }));
  const made: World = { clock, watch, ports: watch.ports, ids: [] };
  for (let at = 0; at < size; at += each) await grow(made, Math.min(each, size - at));
  return made;
}

async function add(to: World, count: number): Promise<void> {
  const at = to.ids.length;
  const app = host(to.ports, to.clock);
  to.ids.push(...(await commitChanges(app, DECISIONS, creates(count, START + at, `d${String(at)}_`))));
}

async function grow(to: World, count: number): Promise<void> {
  await add(to, count);
  await seal(to);
}

const seal = (at: World, ports = at.ports): Promise<unknown> =>
  host(ports, at.clock).sealer.sealTenant(TENANT, { partitions: [DECISIONS] });

async function assertServed({ watch, ports, ids }: World): Promise<void> {
  await assertSealed(ports, ids);
  const leaves = (await streamLines(ports)).map(({ text }) => text);
  expect(servedFaults(watch, () => leaves)).toEqual([]);
}

/** Like `assertServed`, of the log alone: the index has tests of its own. */
async function assertPublished({ watch, ports, ids }: World): Promise<void> {
  const leaves = (await streamLines(ports)).map(({ text }) => text);
  expect(new Set(leaves).size).toBe(ids.length);
  expect(publishedFaults(TENANT, await ledgerBlobs(ports, `${TENANT}/`), leaves)).toEqual([]);
  expect(servedFaults(watch, () => leaves)).toEqual([]);
}

const namesOf = async (prefix: string): Promise<string[]> => [
  ...(await ledgerBlobs(world.ports, `${TENANT}/${prefix}`)).keys(),
];

describe('the published log', () => {
  it('lies under the paths of tlog-tiles, with a checkpoint that its verifier key verifies', async () => {
    world = await logOf(7);
    expect(await namesOf('tile/')).toEqual([`${TENANT}/tile/0/000.p/7`, `${TENANT}/tile/entries/000.p/7`]);
    const note = Buffer.from((await world.ports.blobs.find('ledger', `${TENANT}/checkpoint`))?.bytes ?? []);
    expect(note.toString()).toMatch(
      new RegExp(
        `^${TEST_ORIGIN}/${TENANT}\\n7\\n[A-Za-z0-9+/]{43}=\\n\\n\u2014 ${TEST_ORIGIN}/${TENANT} .+\\n$`,
      ),
    );
    expect(seenIn(TENANT, note.toString())).toEqual({ size: 7, root: (await headOf(world.ports)).root });
    await assertServed(world);
  });

  it('grows by what is new, over the ends of tiles, and partial tiles go once the full one is there', async () => {
    world = await logOf(520, 40);
    expect(await namesOf('tile/')).toEqual([
      `${TENANT}/tile/0/000`,
      `${TENANT}/tile/0/001`,
      `${TENANT}/tile/0/002.p/8`,
      `${TENANT}/tile/1/000.p/1`,
      `${TENANT}/tile/1/000.p/2`,
      `${TENANT}/tile/entries/000`,
      `${TENANT}/tile/entries/001`,
      `${TENANT}/tile/entries/002.p/8`,
    ]);
    await assertServed(world);
  });

  it.each([1, 255, 256, 257, 511, 512, 513])('has its last tile right at %i leaves', async (size) => {
    world = await logOf(size);
    await assertServed(world);
    await grow(world, 1);
    await assertServed(world);
    expect(supersededTiles(TENANT, await ledgerBlobs(world.ports))).toEqual([]);
  });

  it('keeps a partial tile for every checkpoint until the full one is there', async () => {
    world = await logOf(5, 1);
    expect(await namesOf('tile/0/')).toEqual(
      [1, 2, 3, 4, 5].map((n) => `${TENANT}/tile/0/000.p/${String(n)}`),
    );
    await grow(world, 251);
    expect(await namesOf('tile/0/')).toEqual([`${TENANT}/tile/0/000`]);
    await assertServed(world);
  });

  it('carries events of 32 KiB', async () => {
    world = await logOf(2);
    const details = { note: 'x'.repeat(31_000) };
    const app = host(world.ports, world.clock);
    const large = creates(120, START + 10, 'large_').map((change) => ({ ...change, details }));
    world.ids.push(...(await commitChanges(app, DECISIONS, large)));
    await seal(world);
    await assertServed(world);
  });
});

describe('what publishing costs', () => {
  beforeEach(async () => {
    world = await logOf(300);
  });

  const costOf = async (count: number): Promise<Record<string, number>> => {
    await add(world, count);
    const counted = countingPorts(world.ports);
    await seal(world, counted.ports);
    return Object.fromEntries(Object.entries(counted.counts()).filter(([name]) => name.startsWith('blobs.')));
  };
  const common = { 'blobs.acquireLease': 1, 'blobs.releaseLease': 1, 'blobs.append': 1, 'blobs.swap': 2 };

  it('is two reads, two writes and a replacement in a round within a tile, however many its events', async () => {
    // The head and whether its checkpoint is there; then the checkpoint and the bundle. A stage, a bundle, a tile.
    const expected = { ...common, 'blobs.find': 4, 'blobs.putOnce': 3, 'blobs.list': 1, 'blobs.delete': 1 };
    expect(await costOf(1)).toEqual(expected);
    expect(await costOf(150)).toEqual(expected);
  });

  it('is two writes more for each 256 events, and a list for what became full', async () => {
    // Three full tiles and a partial one, as many bundles, one tile of level 1, which is read as it was.
    expect(await costOf(900)).toEqual({
      ...common,
      'blobs.find': 5,
      'blobs.putOnce': 1 + 4 + 4 + 1,
      'blobs.list': 1 + 2,
      // The stage before, and the partial tile and bundle that were.
      'blobs.delete': 1 + 2,
    });
  });
});

describe('a round that fills a tile', () => {
  const BEFORE = 250;
  const MORE = 12;

  const calls = async (): Promise<number> => {
    const counted = countingPorts(world.ports);
    await seal(world, counted.ports);
    await assertServed(world);
    return counted.calls.length;
  };
  const prepared = async (): Promise<void> => {
    world = await logOf(BEFORE);
    await add(world, MORE);
  };
  const failing = (at: number, happened: boolean, dies: boolean): Intercept => {
    let count = 0;
    return async (_, run) => {
      count += 1;
      if (dies && count > at) throw fault();
      if (count !== at) return run();
      if (happened) await run();
      throw fault();
    };
  };

  for (const happened of [true, false])
    for (const dies of [true, false])
      it(
        `never serves a checkpoint over what cannot be read, whatever call ${happened ? 'lost its answer' : 'did not happen'}${dies ? ' before it died' : ''}`,
        { timeout: 120_000 },
        async () => {
          await prepared();
          const total = await calls();
          for (let at = 1; at <= total; at += 1) {
            await prepared();
            await seal(world, wrapPorts(world.ports, failing(at, happened, dies))).catch(() => undefined);
            await world.clock.advance(15_000);
            await seal(world);
            await assertPublished(world);
            await grow(world, 1);
            await assertPublished(world);
          }
        },
      );

  it(
    'is not undone by who sleeps in it, at any call, and wakes when others went on',
    { timeout: 120_000 },
    async () => {
      await prepared();
      const total = await calls();
      for (let at = 1; at <= total; at += 1) {
        await prepared();
        let wake = (): void => undefined;
        const asleep = new Promise<void>((resolve) => (wake = resolve));
        let reached = (): void => undefined;
        const there = new Promise<void>((resolve) => (reached = resolve));
        let count = 0;
        const sleeper = wrapPorts(world.ports, async (_, run) => {
          count += 1;
          if (count === at) {
            reached();
            await asleep;
          }
          return run();
        });
        const sleeping = seal(world, sleeper);
        await Promise.race([there, sleeping]);
        await world.clock.advance(15_000);
        for (const more of [2, 1]) await grow(world, more);
        wake();
        await sleeping;
        await assertServed(world);
        // Whoever wakes takes away again what it put back.
        expect(supersededTiles(TENANT, await ledgerBlobs(world.ports))).toEqual([]);
      }
    },
  );

  it('has nothing signed by who lost the head', async () => {
    await prepared();
    const signed: string[] = [];
    const rivals = { seal: (): Promise<unknown> => seal(world) };
    let raced = false;
    const ports = wrapPorts(world.ports, async (call, run) => {
      if (call.method === 'acquireLease') return 'a lease of its own';
      if (call.method === 'swap' && !raced) {
        raced = true;
        await rivals.seal();
      }
      return run();
    });
    const directory = new Directory(ports.tables, world.clock);
    const sealer = new Sealer({
      ports,
      directory,
      clock: world.clock,
      signer: (tenant) => {
        signed.push(tenant);
        return TEST_LOG_KEYS.signer(tenant);
      },
      onCorrupt: () => undefined,
    });
    await sealer.sealTenant(TENANT, { partitions: [DECISIONS] });
    expect(raced).toBe(true);
    expect(signed).toEqual([]);
    await assertServed(world);
  });
});

describe('what was changed by somebody else', () => {
  it.each([
    ['a bundle', 'tile/entries/000.p/20'],
    ['a tile of level 1', 'tile/1/000.p/1'],
  ])('is not signed: %s', async (_, path) => {
    world = await logOf(path.includes('/1/') ? 300 : 20);
    const { size } = seenIn(TENANT, await note()) as { size: number };
    const found = await world.ports.blobs.find('ledger', `${TENANT}/${path}`);
    const bytes = Uint8Array.from(found?.bytes ?? []);
    bytes[10] = (bytes[10] ?? 0) ^ 1;
    await world.ports.blobs.swap('ledger', `${TENANT}/${path}`, bytes, found?.etag);
    await add(world, 250);
    await expect(seal(world)).rejects.toMatchObject({ code: 'integrity-failure' });
    expect(seenIn(TENANT, await note())).toMatchObject({ size });
  });

  it('is not signed: a tile that is gone', async () => {
    world = await logOf(20);
    await world.ports.blobs.delete('ledger', `${TENANT}/tile/entries/000.p/20`);
    await add(world, 1);
    await expect(seal(world)).rejects.toMatchObject({ code: 'integrity-failure' });
  });
});

const note = async (): Promise<string> =>
  Buffer.from((await world.ports.blobs.find('ledger', `${TENANT}/checkpoint`))?.bytes ?? []).toString();

describe('a log that was sealed before it had tiles', () => {
  /** Takes away what an older version would not have written. */
  const age = async (): Promise<void> => {
    for (const name of [...(await namesOf('tile/')), `${TENANT}/checkpoint`])
      await storage(world).blobs.delete('ledger', name);
  };
  /** Without the watch, which would rightly complain. */
  const raw = new WeakMap<World, StoragePorts>();
  const storage = (of: World): StoragePorts => raw.get(of) as StoragePorts;
  const old = async (size: number, each: number): Promise<void> => {
    const clock = new VirtualClock(START);
    const ports = memoryPorts({ clock });
    world = { clock, watch: watchLogs(ports), ports, ids: [] };
    raw.set(world, ports);
    for (let at = 0; at < size; at += each) {
      if (at === 2 * each) clock.jump(86_400_000);
      await grow(world, Math.min(each, size - at));
    }
    await age();
    world = { ...world, ports: world.watch.ports };
  };

  it.each([1, 5, 256, 300, 700])('is brought up by the next round, at %i leaves', async (size) => {
    await old(size, 130);
    await grow(world, 3);
    await assertServed(world);
    expect(supersededTiles(TENANT, await ledgerBlobs(world.ports))).toEqual([]);
  });

  it('is brought up without anything to seal, once somebody looks', async () => {
    await old(40, 20);
    expect(await seal(world)).toEqual({ sealed: 0, busy: false });
    await assertServed(world);
  });

  it(
    'is brought up in pieces that fit in memory, and goes on where it died',
    { timeout: 60_000 },
    async () => {
      await old(LIMITS.rebuildEvents * 2 + 700, 1000);
      const reads: number[] = [];
      const dying = wrapPorts(world.ports, async (call, run) => {
        if (call.method === 'swap' && world.watch.seen.get(TENANT)?.length === 1) throw fault();
        if (call.method === 'putOnce') reads.push((call.args[2] as Uint8Array).length);
        return run();
      });
      await expect(seal(world, dying)).rejects.toMatchObject({ code: 'storage-unavailable' });
      expect(world.watch.seen.get(TENANT)).toMatchObject([{ size: LIMITS.rebuildEvents }]);
      await world.clock.advance(15_000);
      const again = countingPorts(world.ports);
      await seal(world, again.ports);
      await assertServed(world);
      const written = again.calls
        .filter(({ method }) => method === 'putOnce')
        .map(({ args }) => String(args[1]));
      expect(written).not.toContain(`${TENANT}/tile/entries/000`);
      expect(written).toContain(`${TENANT}/tile/entries/008`);
      expect(Math.max(...reads)).toBeLessThan(256 * 1024);
    },
  );

  it('is not signed at all when its streams are not what the head says', async () => {
    await old(300, 100);
    const { names } = await world.ports.blobs.list('audit', `${TENANT}/`);
    const name = names[0] as string;
    const bytes = Buffer.from((await world.ports.blobs.find('audit', name))?.bytes ?? []);
    bytes[20] = (bytes[20] ?? 0) ^ 1;
    await world.ports.blobs.delete('audit', name);
    await world.ports.blobs.createAppend('audit', name);
    await world.ports.blobs.append('audit', name, bytes, 0);
    await add(world, 1);
    await expect(seal(world)).rejects.toMatchObject({ code: 'integrity-failure' });
    expect(await note()).toBe('');
  });

  it('is finished when the older version died between its head and the lines', async () => {
    await old(30, 30);
    await add(world, 5);
    const died = wrapPorts(world.ports, (call, run) =>
      call.method === 'find' && String(call.args[1]).endsWith('/checkpoint')
        ? Promise.reject(fault())
        : run(),
    );
    const other = host(died, world.clock);
    await expect(other.sealer.sealTenant(TENANT, { partitions: [DECISIONS] })).rejects.toBeDefined();
    await world.clock.advance(15_000);
    await seal(world);
    await assertServed(world);
  });
});

describe('the key of the log', () => {
  it('may be another one from a day on, and both verify what they signed', async () => {
    world = await logOf(3);
    const first = await note();
    const before = TEST_LOG_KEYS.vkeys(TENANT);
    const next = logKeysOf(TEST_ORIGIN, signingKeyPem(9), TEST_LOG_KEYS.vkeys('whoever'));
    expect(next.vkeys(TENANT)).toEqual([expect.any(String), ...before]);
    expect(next.vkeys(TENANT)[0]).not.toBe(before[0]);
    expect(next.signer(TENANT).name).toBe(TEST_LOG_KEYS.signer(TENANT).name);
    expect(first).toContain(`\u2014 ${TEST_ORIGIN}/${TENANT} `);
  });
});
