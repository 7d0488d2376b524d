import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { leafRun } from '../../../src/audit/hash-run.js';
import { headBytes, type Head } from '../../../src/audit/ledger-state.js';
import { growTiles } from '../../../src/audit/log/grow-tiles.js';
import { tilePath } from '../../../src/audit/log/tiles.js';
import { append, EMPTY_TREE, leafHash, rootOf } from '../../../src/audit/merkle.js';
import { MISMATCHES, Mismatches } from '../../../src/audit/rolling/mismatch.js';
import { LIMITS } from '../../../src/domain/limits.js';
import { storageNames } from '../../../src/platform.js';
import type { Row } from '../../../src/storage/ports.js';
import { withRowChecksum } from '../../../src/storage/row-checksum.js';
import { countingPorts } from '../../support/counting-ports.js';
import { memoryPorts } from '../../support/memory-ports.js';
import { openStorage, STORAGES } from '../../support/platform.js';
import type { StorageUnderTest } from '../../support/storages.js';
import { realClock, VirtualClock } from '../../support/virtual-clock.js';
import {
  commitChanges,
  DECISIONS,
  headOf,
  host,
  ledgerBlobs,
  rowsOf,
  streamLines,
  TENANT,
} from '../support.js';
import { add, forged, rollingCheck, rollOver, seal, told, withBlob, withRow } from './support.js';

const DAY = `${TENANT}:2026-01-10`;
/** Two bundles that are full and one of one event, whose rows are looked at whatever chance says. */
const SIZE = 513;

const flip = (at: number) => (bytes: Buffer) => {
  bytes[at] = (bytes[at] as number) ^ 1;
  return bytes;
};
const ledger = (path: string) => ['ledger', `${TENANT}/${path}`] as const;

describe.each(STORAGES)('the rolling check $name', (kind) => {
  let storage: StorageUnderTest;
  let clean: string;
  let stream: readonly [string, string];
  const roll = (state?: string) => rollOver(rollingCheck(storage.ports, realClock), state);
  const found: string[] = [];

  beforeAll(async () => {
    storage = await openStorage(kind);
    const { ports } = storage;
    for (const [at, count] of [[0, 100], [100, 200], [300, 213]] as const) await add(ports, realClock, at, count).then(() => seal(ports, realClock)); // prettier-ignore
    stream = ['audit', (await headOf(ports)).stream.name];
  }, 60_000);
  afterAll(() => storage.close());

  it('finds nothing in a log that nobody touched, roll after roll', async () => {
    let state: string | undefined;
    for (let rolls = 0; rolls < 3; rolls += 1) {
      const { turns, mismatches, state: next } = await roll(state);
      expect(mismatches).toEqual([]);
      expect(turns.map(({ counts }) => [counts.bundles, counts.events])).toEqual([[1, 256], [1, 256], [1, 1]]); // prettier-ignore
      expect(turns.map(({ counts }) => counts.rows)).toEqual([2 * 256 + 3, 2 * 256 + 3, 5]);
      state = next;
    }
    clean = state ?? '';
    expect(JSON.parse(clean)).toEqual({ seen: { size: SIZE, root: (await headOf(storage.ports)).root }, bundle: 0, until: 0 }); // prettier-ignore
  });

  it('takes all of a small log in one turn', async () => {
    const { counts } = await rollingCheck(storage.ports, realClock).turn(TENANT, clean, () => false);
    expect(counts).toEqual({ bundles: 3, events: SIZE, rows: 2 * SIZE + 9, rolls: 1, mismatches: 0 });
  });

  const blobCases: readonly [
    string,
    () => readonly [string, string],
    Parameters<typeof withBlob>[2],
    readonly string[],
  ][] = [
    ['an entry', () => ledger('tile/entries/001'), flip(40), ['log.entry leaf 256']],
    ['an entry of the edge', () => ledger('tile/entries/002.p/1'), flip(40), ['log.entry leaf 512']],
    ['a bundle that is cut', () => ledger('tile/entries/000'), (bytes) => bytes.subarray(0, -1), ['bundle.missing tile/entries/000']], // prettier-ignore
    ['a bundle that is gone', () => ledger('tile/entries/001'), () => undefined, ['bundle.missing tile/entries/001']], // prettier-ignore
    [
      'a hash',
      () => ledger('tile/0/001'),
      flip(32 * 3),
      ['tile.differs tile/1/000.p/2', 'log.leaf leaf 259'],
    ],
    ['the last hash', () => ledger('tile/0/002.p/1'), flip(31), ['log.root checkpoint', 'log.leaf leaf 512']],
    ['a hash above', () => ledger('tile/1/000.p/2'), flip(0), ['log.root checkpoint', 'tile.differs tile/1/000.p/2']], // prettier-ignore
    ['a tile that is gone', () => ledger('tile/0/000'), () => undefined, ['tile.missing tile/0/000']],
    ['a tile above that is gone', () => ledger('tile/1/000.p/2'), () => undefined, ['tile.missing tile/1/000.p/2']], // prettier-ignore
    ['a line', () => stream, flip(300), ['log.line leaf 0']],
    ['lines that are cut off', () => stream, (bytes) => bytes.subarray(0, -10), ['log.line leaf 512']],
    ['a checkpoint that is none', () => ledger('checkpoint'), () => Buffer.from('?'), ['checkpoint.invalid checkpoint']], // prettier-ignore
    [
      'a checkpoint that is gone',
      () => ledger('checkpoint'),
      () => undefined,
      ['checkpoint.missing checkpoint'],
    ],
    ['a checkpoint signed by another key', () => ledger('checkpoint'), async () => forged(SIZE, (await headOf(storage.ports)).root, 8), ['checkpoint.signature checkpoint']], // prettier-ignore
    ['a checkpoint of another log', () => ledger('checkpoint'), async () => forged(SIZE, (await headOf(storage.ports)).root, 7, 'globex'), ['checkpoint.signature checkpoint']], // prettier-ignore
    ['a checkpoint that the key’s owner signed for less', () => ledger('checkpoint'), () => resigned(300), ['checkpoint.behind checkpoint', 'checkpoint.shorter checkpoint']], // prettier-ignore
    ['a checkpoint that the key’s owner signed for something else', () => ledger('checkpoint'), () => forged(SIZE, 'a'.repeat(64)), ['checkpoint.root checkpoint', 'log.root checkpoint', 'checkpoint.rewritten checkpoint']], // prettier-ignore
    ['a checkpoint that the key’s owner signed for more', () => ledger('checkpoint'), () => forged(SIZE + 1, 'a'.repeat(64)), ['checkpoint.ahead checkpoint', 'tile.missing tile/0/002.p/2', 'bundle.missing tile/entries/002.p/2']], // prettier-ignore
    ['a head that is none', () => ledger('head'), () => Buffer.from('{}'), ['head.invalid head']],
    ['a head that is gone', () => ledger('head'), () => undefined, ['head.missing head']],
    ['a head that says less', () => ledger('head'), () => head(300), ['checkpoint.ahead checkpoint']],
  ];

  /** What a checkpoint of the first leaves says. */
  const treeOf = async (size: number) => {
    const lines = (await streamLines(storage.ports)).slice(0, size);
    return lines.reduce((tree, { text }) => append(tree, leafHash(text)), EMPTY_TREE);
  };
  const resigned = async (size: number) => forged(size, rootOf(await treeOf(size)));
  const head = async (size: number): Promise<Uint8Array> => {
    const tree = await treeOf(size);
    return headBytes({ ...(await headOf(storage.ports)), tree_size: size, root: rootOf(tree), edge: [...tree.edge] }); // prettier-ignore
  };

  it.each(blobCases)('finds %s within a roll, and says which', async (_, at, change, expected) => {
    await withBlob(storage.ports, at(), change, async () => {
      const rolled = await roll(clean);
      expect(told(rolled)).toEqual(expected);
      found.push(...rolled.mismatches.map(({ code }) => code));
      // What was remembered of a log that held is kept, until it holds again.
      expect(JSON.parse(rolled.state)).toMatchObject({ seen: { size: SIZE } });
      // Each is told once, and a log is not said to hold because it was told.
      for (const turn of rolled.turns) expect(new Set(told(turn)).size).toBe(turn.mismatches.length);
    });
    expect((await roll(clean)).mismatches).toEqual([]);
  });

  it('finds a log that the owner of the key replaced, head and all, by what it remembers', async () => {
    const { ports } = storage;
    const entries = (await streamLines(ports)).map(({ text }, n) => Buffer.from(n === 7 ? text.replace('success', 'failure') : text)); // prettier-ignore
    const tree = entries.reduce((grown, entry) => append(grown, leafHash(entry)), EMPTY_TREE);
    const tiles =
      growTiles(
        0,
        { entries: [], tiles: new Map() },
        { entries, leaves: leafRun(entries), edge: tree.edge },
      ) ?? [];
    const before = await ledgerBlobs(ports, `${TENANT}/`);
    const put = async (files: readonly (readonly [string, Uint8Array])[]): Promise<void> => {
      for (const [name, bytes] of files) {
        await ports.blobs.delete('ledger', name);
        await ports.blobs.putOnce('ledger', name, bytes, 'text/plain');
      }
    };
    const stale = await headOf(ports);
    const files = tiles.map(({ tile, bytes }) => [`${TENANT}/${tilePath(tile)}`, bytes] as const);
    await put([
      ...files,
      [`${TENANT}/checkpoint`, await forged(SIZE, rootOf(tree))],
      [`${TENANT}/head`, headBytes({ ...stale, root: rootOf(tree), edge: [...tree.edge] })],
    ]);
    const rolled = await roll(clean);
    expect(told(rolled)).toEqual(['checkpoint.rewritten checkpoint', 'log.line leaf 7', expect.stringMatching(`^event.index auditevents ${DAY} evt_`)]); // prettier-ignore
    // Whoever never saw it before is told of nothing but what was forgotten.
    expect(told(await roll())).not.toContain('checkpoint.rewritten checkpoint');
    await put([...before].filter(([name]) => !name.includes('/stages/') && !name.endsWith('/lease')));
    expect((await roll(clean)).mismatches).toEqual([]);
  });

  const own = async (prefix: string, leaf: number): Promise<Row> => {
    const rows = await rowsOf(storage.ports.tables, 'auditevents', DAY, prefix);
    const row = rows.find(({ properties }) => properties['leaf_index'] === leaf);
    if (row === undefined) throw new Error('there is no such row');
    return row;
  };

  it.each([
    ['r:', 300],
    ['i:all:', 300],
    ['i:all:', 512],
    ['i:actor:', 512],
    ['i:resource_id:', 512],
    ['i:event_type:', 512],
  ])('finds a row %s of leaf %i that was changed within a roll', async (prefix, leaf) => {
    const { ports } = storage;
    const row = await own(prefix, leaf);
    const { rowKey, properties } = row;
    const { row_checksum: checksum, ...columns } = properties;
    const text = String(properties['event']).replace('"success"', '"failure"');
    const forgeries: readonly (readonly [Row['properties'] | undefined, string])[] = [
      [undefined, 'there is no such row'],
      [{ ...properties, event: text }, 'it has another event than the leaf'],
      [withRowChecksum(DAY, rowKey, { ...columns, event: text }), 'it has another event than the leaf'],
      [withRowChecksum(DAY, rowKey, { ...columns, leaf_index: 3 }), 'it names another leaf'],
      [{ ...columns, row_checksum: `0${String(checksum).slice(1)}`, schema_version: '9' }, 'its checksum does not hold'], // prettier-ignore
    ];
    for (const [forgery, fault] of forgeries) {
      await withRow(ports, row, forgery, async () => {
        const { mismatches } = await roll(clean);
        const id = rowKey.slice(rowKey.lastIndexOf(':') + 1);
        expect(mismatches).toEqual([
          {
            code: 'event.index',
            tenant: TENANT,
            where: `auditevents ${DAY} ${id}`,
            detail: expect.stringMatching(new RegExp(`${fault} \\(leaf ${String(leaf)}\\)$`)) as unknown,
          },
        ]);
      });
    }
    found.push('event.index');
    expect((await roll(clean)).mismatches).toEqual([]);
  });

  it('says that what it remembers was changed, and begins anew', async () => {
    const rolled = await roll('{"bundle":-1,"until":0}');
    expect(told(rolled)).toEqual([`state.altered verify-logs ${TENANT}`]);
    expect(rolled.state).toBe(clean);
  });

  it('tells every kind of mismatch there is', () => {
    // Of a leaf that is no event a test of its own tells, and of the state the one above.
    const kinds = Object.keys(MISMATCHES).filter(
      (code) => !['event.invalid', 'state.altered'].includes(code),
    );
    expect([...new Set(found)].sort()).toEqual(kinds.sort());
  });

  it('sees nothing wrong in what a sealer is at', async () => {
    const { ports } = storage;
    let at = SIZE;
    let sealing = true;
    const grow = async (): Promise<void> => {
      for (let round = 0; round < 12; round += 1, at += 25) {
        await add(ports, realClock, at, 25);
        await seal(ports, realClock);
      }
      sealing = false;
    };
    const watch = async (): Promise<number> => {
      let [state, events] = [clean, 0];
      while (sealing) {
        const turn = await rollingCheck(ports, realClock).turn(TENANT, state, () => true);
        expect(turn.mismatches).toEqual([]);
        state = turn.state;
        events += turn.counts.events;
      }
      return events;
    };
    const [events] = await Promise.all([watch(), grow()]);
    expect(events).toBeGreaterThan(0);
    const { turns, mismatches } = await roll();
    expect([turns.length, mismatches]).toEqual([Math.ceil(at / 256), []]);
  }, 60_000);
});

describe('a turn', () => {
  /** A log of small entries, as it is published; the round that made it is not finished, so that no rows are there. */
  async function publishedLog(size: number) {
    const clock = new VirtualClock();
    const ports = memoryPorts({ clock, names: storageNames() });
    const entries = Array.from({ length: size }, (_, n) => Buffer.from(`{"n":${String(n)}}`));
    const tree = entries.reduce((grown, entry) => append(grown, leafHash(entry)), EMPTY_TREE);
    const stream = { name: `${TENANT}/2026-01-10/0001.jsonl`, offset: 0, blocks: 1 };
    const pending = { table: 'decisions', partition_key: `${TENANT}:2026-01`, row_key: 'o:evt_1' };
    const head: Head = {
      schema_version: '1.0',
      tenant: TENANT,
      tree_size: size,
      root: rootOf(tree),
      edge: [...tree.edge],
      stage: `${TENANT}/stages/000000000000-${'a'.repeat(64)}.json`,
      stream,
      last_pending: pending,
    };
    await ports.tables.commit('decisions', pending.partition_key, [{ kind: 'insert', rowKey: pending.row_key, properties: {} }]); // prettier-ignore
    for (const { tile, bytes } of growTiles(
      0,
      { entries: [], tiles: new Map() },
      { entries, leaves: leafRun(entries), edge: tree.edge },
    ) ?? [])
      await ports.blobs.putOnce('ledger', `${TENANT}/${tilePath(tile)}`, bytes, 'text/plain');
    await ports.blobs.putOnce(
      'ledger',
      `${TENANT}/checkpoint`,
      await forged(size, rootOf(tree)),
      'text/plain',
    );
    await ports.blobs.putOnce('ledger', `${TENANT}/head`, headBytes(head), 'text/plain');
    await ports.blobs.createAppend('audit', stream.name);
    await ports.blobs.append('audit', stream.name, Buffer.from(entries.map((entry) => `${entry.toString()}\n`).join('')), 0); // prettier-ignore
    return { clock, ports, pending };
  }

  it('takes so much of a large log and no more, and the next one goes on there', async () => {
    const { clock, ports } = await publishedLog(100 * 256 + 5);
    const counting = countingPorts(ports);
    const check = rollingCheck(counting.ports, clock);
    const first = await check.turn(TENANT, undefined, () => false);
    expect(first).toMatchObject({ mismatches: [], counts: { bundles: LIMITS.verifyBundles, rolls: 0 } });
    // Head, checkpoint, the two tiles of the edge, a bundle and a tile each; the streams, which are listed once.
    expect(counting.counts()).toEqual({
      'tables.find': 1,
      'blobs.find': 4 + 2 * LIMITS.verifyBundles + 1,
      'blobs.list': 1,
    });
    counting.reset();
    const second = await check.turn(TENANT, first.state, () => false);
    expect(second).toMatchObject({ mismatches: [], counts: { bundles: 37, rolls: 1 } });
    expect(counting.counts()['blobs.find']).toBe(4 + 2 * 37 - 1 + 1);
  });

  it('says of leaves that are no events that they are none, and of many things the first', async () => {
    const { clock, ports, pending } = await publishedLog(40);
    const { partition_key, row_key } = pending;
    await ports.tables.commit('decisions', partition_key, [{ kind: 'delete', rowKey: row_key, etag: '*' }]);
    const { mismatches, counts } = await rollingCheck(ports, clock).turn(TENANT, undefined, () => false);
    expect(counts.mismatches).toBe(40);
    expect(mismatches).toHaveLength(LIMITS.verifyMismatches);
    expect(mismatches[1]).toMatchObject({ code: 'event.invalid', where: 'leaf 1' });
  });

  it('finds the rows of events that lie among others, and of several days', async () => {
    const clock = new VirtualClock();
    const ports = memoryPorts({ clock, names: storageNames() });
    const app = host(ports, clock);
    const places = [DECISIONS, { ...DECISIONS, partition: '2026-02' }];
    // One event of each place in turn, from before midnight on; the places are sealed one after the other.
    const from = Date.UTC(2026, 0, 10, 23, 59, 59, 600);
    for (const [at, place] of places.entries())
      await commitChanges(app, place, Array.from({ length: 700 }, (_, n) => ({ record: `d${String(at)}_${String(n)}`, revision: 1, atMs: from + 2 * n + at }))); // prettier-ignore
    for (const place of places) await app.sealer.sealTenant(TENANT, { partitions: [place] });
    const { mismatches, counts } = await rollingCheck(ports, clock).turn(TENANT, undefined, () => false);
    // One event of each bundle and day has its other rows looked at.
    expect([mismatches, counts]).toEqual([[], { bundles: 6, events: 1400, rows: 2 * 1400 + 3 * 9, rolls: 1, mismatches: 0 }]); // prettier-ignore
    const day = `${TENANT}:2026-01-11`;
    const row = (await rowsOf(ports.tables, 'auditevents', day, 'r:')).at(-1) as Row;
    await ports.tables.commit('auditevents', day, [{ kind: 'delete', rowKey: row.rowKey, etag: '*' }]);
    const later = await rollingCheck(ports, clock).turn(TENANT, undefined, () => false);
    expect(later.mismatches.map(({ code, detail }) => [code, detail])).toEqual([['event.index', 'its own row: there is no such row (leaf 1399)']]); // prettier-ignore
  });

  it('keeps what it tells apart by what it is and where', () => {
    const all = new Mismatches(TENANT);
    for (const where of ['leaf 1', 'leaf 1', 'leaf 2']) all.found('log.line', where, '');
    expect([all.count, all.first.length]).toEqual([2, 2]);
  });

  it('has nothing to do where nothing was sealed', async () => {
    const clock = new VirtualClock();
    const ports = memoryPorts({ clock, names: storageNames() });
    await add(ports, clock, 0, 3);
    const turn = await rollingCheck(ports, clock).turn(TENANT, undefined, () => false);
    expect(turn).toMatchObject({ mismatches: [], counts: { bundles: 0, rolls: 0 } });
    expect(DECISIONS.tenant).toBe(TENANT);
  });
});
