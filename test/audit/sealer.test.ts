import { beforeEach, describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/domain/limits.js';
import { partitionKey } from '../../src/storage/keys.js';
import { StorageFault, type StoragePorts } from '../../src/storage/ports.js';
import { countingPorts } from '../support/counting-ports.js';
import { memoryPorts } from '../support/memory-ports.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';
import {
  assertNoOldStages,
  assertSealed,
  commitChanges,
  creates,
  DECISIONS,
  headOf,
  host,
  rowsOf,
  streamLines,
  TENANT,
  type Host,
} from './support.js';

const START = Date.UTC(2026, 0, 10, 12);
const KEY = partitionKey(TENANT, DECISIONS.partition);
let clock: VirtualClock;
let ports: StoragePorts;
let app: Host;

beforeEach(() => {
  clock = new VirtualClock(START);
  ports = memoryPorts({ clock });
  app = host(ports, clock);
});

const seal = (from: Host = app): Promise<unknown> =>
  from.sealer.sealTenant(TENANT, { partitions: [DECISIONS] });

describe('sealing', () => {
  it('does nothing and makes nothing where nothing is pending', async () => {
    expect(await app.sealer.sealTenant(TENANT)).toEqual({ sealed: 0, busy: false });
    expect((await ports.blobs.list('audit', '')).names).toEqual([]);
    expect(await ports.blobs.find('ledger', `${TENANT}/head`)).toBeUndefined();
  });

  it('moves events into stream, log and index in the order of their ids', async () => {
    const ids = await commitChanges(app, DECISIONS, creates(7, START).reverse());
    expect(await seal()).toEqual({ sealed: 7, busy: false });
    await assertSealed(ports, ids);
    expect((await streamLines(ports)).map(({ event }) => event.event_id)).toEqual([...ids].sort());
    expect((await ports.blobs.list('audit', '')).names).toEqual([`${TENANT}/2026-01-10/0001.jsonl`]);
  });

  it('finds dirty partitions of several tables by itself', async () => {
    const other = { tenant: TENANT, table: 'agents', partition: 'planner role' };
    const ids = [
      ...(await commitChanges(app, DECISIONS, creates(3, START))),
      ...(await commitChanges(app, other, creates(3, START - 86_400_000, 'agt_'))),
    ];
    expect(await app.sealer.sealTenant(TENANT)).toEqual({ sealed: 6, busy: false });
    await assertSealed(ports, ids, [DECISIONS, other]);
  });

  it('seals a backlog of several thousand events in rounds', async () => {
    const ids = await commitChanges(app, DECISIONS, creates(3500, START));
    expect(await seal()).toEqual({ sealed: 3500, busy: false });
    await assertSealed(ports, ids);
    await assertNoOldStages(ports);
    // Of three bundles each, and the rest.
    expect((await headOf(ports)).stream.blocks).toBe(5);
  });

  it('cuts a round by bytes, so that it is one block', async () => {
    const details = { note: 'é'.repeat(12_000) };
    const ids = await commitChanges(
      app,
      DECISIONS,
      creates(90, START).map((change) => ({ ...change, details })),
    );
    const counted = countingPorts(ports);
    await seal(host(counted.ports, clock));
    await assertSealed(ports, ids);
    const blocks = counted.calls
      .filter(({ method }) => method === 'append')
      .map(({ args }) => (args[2] as Uint8Array).length);
    expect(Math.max(...blocks)).toBeLessThanOrEqual(LIMITS.sealRoundBytes);
    expect((await headOf(ports)).stream.blocks).toBe(1);
    const more = await commitChanges(
      app,
      DECISIONS,
      creates(300, START + 1000, 'b_').map((change) => ({ ...change, details })),
    );
    await seal();
    await assertSealed(ports, [...ids, ...more]);
    expect((await headOf(ports)).stream.blocks).toBe(1 + Math.ceil((300 * 24_500) / LIMITS.sealRoundBytes));
  });

  it('takes an event once, however often its partition is hinted', async () => {
    const ids = await commitChanges(app, DECISIONS, creates(5, START));
    const twice = { partitions: [DECISIONS, { ...DECISIONS }, DECISIONS] };
    expect(await app.sealer.sealTenant(TENANT, twice)).toEqual({ sealed: 5, busy: false });
    await assertSealed(ports, ids);
  });

  it('does not read another tenant’s partition, even when hinted', async () => {
    const other = { ...DECISIONS, tenant: 'other' };
    await commitChanges(app, other, creates(1, START));
    expect(await app.sealer.sealTenant(TENANT, { partitions: [other] })).toEqual({ sealed: 0, busy: false });
  });

  it('costs a handful of operations, and rows by the hundred', async () => {
    const n = 400;
    await commitChanges(app, DECISIONS, creates(3, START));
    const counted = countingPorts(ports);
    const same = host(counted.ports, clock);
    await seal(same);
    await commitChanges(app, DECISIONS, creates(n, START + 1000, 'x_'));
    counted.reset();
    expect(await seal(same)).toEqual({ sealed: n, busy: false });
    expect(counted.counts()).toEqual({
      'blobs.acquireLease': 1,
      // The head, the checkpoint, and the bundle that grows.
      'blobs.find': 3,
      'tables.range': 1,
      // The stage; two bundles and two tiles for the 403 leaves there are then, and one tile above them.
      'blobs.putOnce': 1 + 5,
      // The head and the checkpoint.
      'blobs.swap': 2,
      'blobs.append': 1,
      'tables.commit': Math.ceil((5 * n) / 100) + Math.ceil(n / 100),
      // Stages, and what was partial of the tile and the bundle that are full now.
      'blobs.list': 3,
      'blobs.delete': 3,
      'blobs.releaseLease': 1,
    });
  });

  it('costs two looks more in a process that did not seal last, and no finishing again', async () => {
    await commitChanges(app, DECISIONS, creates(250, START));
    await seal();
    const counted = countingPorts(ports);
    await seal(host(counted.ports, clock));
    expect(counted.counts()).toEqual({
      'blobs.acquireLease': 1,
      // The head and its checkpoint.
      'blobs.find': 2,
      'tables.find': 1,
      'tables.range': 1,
      'blobs.releaseLease': 1,
    });
  });

  it('reads a partition twice only when a predecessor was not seen', async () => {
    await commitChanges(app, DECISIONS, [
      { record: 'a', revision: 1, atMs: START },
      { record: 'a', revision: 2, atMs: START + 1 },
    ]);
    const counted = countingPorts(ports);
    const same = host(counted.ports, clock);
    await seal(same);
    expect(counted.counts()['tables.range']).toBe(1);
    await commitChanges(app, DECISIONS, [{ record: 'a', revision: 3, atMs: START + 2 }]);
    counted.reset();
    await seal(same);
    expect(counted.counts()['tables.range']).toBe(2);
  });

  it('leaves a tenant alone that somebody else is sealing', async () => {
    await commitChanges(app, DECISIONS, creates(1, START));
    await ports.blobs.acquireLease('ledger', `${TENANT}/lease`, 15);
    expect(await seal()).toEqual({ sealed: 0, busy: true });
    await clock.advance(16_000);
    expect(await seal()).toEqual({ sealed: 1, busy: false });
  });
});

describe('the stream', () => {
  it('begins anew each day and seals the one before', async () => {
    const ids = [...(await commitChanges(app, DECISIONS, creates(2, START)))];
    await seal();
    clock.jump(86_400_000);
    ids.push(...(await commitChanges(app, DECISIONS, creates(2, START + 10, 'b_'))));
    await seal();
    await assertSealed(ports, ids);
    expect((await ports.blobs.list('audit', '')).names).toEqual([
      `${TENANT}/2026-01-10/0001.jsonl`,
      `${TENANT}/2026-01-11/0001.jsonl`,
    ]);
    expect((await ports.blobs.appendState('audit', `${TENANT}/2026-01-10/0001.jsonl`))?.sealed).toBe(true);
    expect((await ports.blobs.appendState('audit', `${TENANT}/2026-01-11/0001.jsonl`))?.sealed).toBe(false);
  });

  it('does not go back to an earlier day when the clock does', async () => {
    const ids = [...(await commitChanges(app, DECISIONS, creates(2, START)))];
    await seal();
    clock.jump(-3 * 86_400_000);
    ids.push(...(await commitChanges(app, DECISIONS, creates(2, START + 10, 'b_'))));
    await seal();
    await assertSealed(ports, ids);
    expect((await headOf(ports)).stream.name).toBe(`${TENANT}/2026-01-10/0001.jsonl`);
  });

  it('begins anew when it has its 40,000 blocks', async () => {
    const ids = [...(await commitChanges(app, DECISIONS, creates(2, START)))];
    await seal();
    const blob = await ports.blobs.find('ledger', `${TENANT}/head`);
    const head = await headOf(ports);
    const full = { ...head, stream: { ...head.stream, blocks: LIMITS.streamBlocks } };
    await ports.blobs.swap('ledger', `${TENANT}/head`, Buffer.from(JSON.stringify(full)), blob?.etag);
    ids.push(...(await commitChanges(app, DECISIONS, creates(2, START + 10, 'b_'))));
    await seal();
    await assertSealed(ports, ids);
    expect((await headOf(ports)).stream).toMatchObject({
      name: `${TENANT}/2026-01-10/0002.jsonl`,
      blocks: 1,
    });
    expect((await ports.blobs.appendState('audit', `${TENANT}/2026-01-10/0001.jsonl`))?.sealed).toBe(true);
  });
});

describe('what is not whole', () => {
  const tamper = async (eventId: string, change: Record<string, string>): Promise<void> => {
    await ports.tables.commit('decisions', KEY, [
      { kind: 'merge', rowKey: `o:${eventId}`, properties: change, etag: '*' },
    ]);
  };
  const threeAndOne = async (): Promise<readonly string[]> =>
    commitChanges(app, DECISIONS, [
      { record: 'a', revision: 1, atMs: START },
      { record: 'a', revision: 2, atMs: START + 1 },
      { record: 'a', revision: 3, atMs: START + 2 },
      { record: 'b', revision: 1, atMs: START + 3 },
      { record: 'b', revision: 2, atMs: START + 4 },
    ]);

  for (const [what, change] of [
    ['event', { event: '{"flipped":true}' }],
    ['record id', { record_id: 'zzz' }],
    ['checksum', { row_checksum: 'f'.repeat(32) }],
    ['sealed values', { sealed: '{}' }],
  ] as const) {
    it(`keeps back a pending row whose ${what} was altered, and later revisions of its record only`, async () => {
      const [a1, a2, , b1, b2] = await threeAndOne();
      await tamper(a2 as string, change);
      expect(await seal()).toEqual({ sealed: 3, busy: false });
      expect((await streamLines(ports)).map(({ event }) => event.event_id)).toEqual([a1, b1, b2]);
      expect(app.corrupt).toEqual([
        { tenant: TENANT, table: 'decisions', partition: '2026-01', rowKey: `o:${a2 ?? ''}` },
      ]);
      expect(await rowsOf(ports.tables, 'decisions', KEY, 'o:')).toHaveLength(2);
      expect(await seal()).toEqual({ sealed: 0, busy: false });
    });
  }

  it('reads on behind a thousand rows that are held back', async () => {
    const changes = Array.from({ length: 1100 }, (_, n) => ({
      record: 'a',
      revision: n + 1,
      atMs: START + n,
    }));
    const [first] = await commitChanges(app, DECISIONS, changes);
    const [last] = await commitChanges(app, DECISIONS, [{ record: 'b', revision: 1, atMs: START + 5000 }]);
    await tamper(first as string, { event: '{}' });
    expect(await seal()).toEqual({ sealed: 1, busy: false });
    expect((await streamLines(ports))[0]?.event.event_id).toBe(last);
  });

  it('refuses a head whose root is not its edge’s', async () => {
    await commitChanges(app, DECISIONS, creates(2, START));
    await seal();
    const blob = await ports.blobs.find('ledger', `${TENANT}/head`);
    const bad = { ...(await headOf(ports)), root: '0'.repeat(64) };
    await ports.blobs.swap('ledger', `${TENANT}/head`, Buffer.from(JSON.stringify(bad)), blob?.etag);
    await expect(seal()).rejects.toMatchObject({ code: 'integrity-failure' });
  });

  it('does not begin a log a second time when the head is gone', async () => {
    await commitChanges(app, DECISIONS, creates(2, START));
    await seal();
    await ports.blobs.delete('ledger', `${TENANT}/head`);
    await commitChanges(app, DECISIONS, creates(2, START + 10, 'b_'));
    await expect(seal()).rejects.toMatchObject({ code: 'integrity-failure' });
    expect(await streamLines(ports)).toHaveLength(2);
  });

  it('refuses a stream that is shorter than the head says', async () => {
    await commitChanges(app, DECISIONS, creates(2, START));
    await seal();
    const { name } = (await headOf(ports)).stream;
    await ports.blobs.delete('audit', name);
    await ports.blobs.createAppend('audit', name);
    await commitChanges(app, DECISIONS, creates(2, START + 10, 'b_'));
    await expect(seal()).rejects.toMatchObject({ code: 'integrity-failure' });
  });

  it('answers storage-unavailable and gives the lease back when storage does not answer', async () => {
    const flaky = memoryPorts({ clock });
    const there = host(flaky, clock);
    await commitChanges(there, DECISIONS, creates(2, START));
    const failing = wrapPorts(flaky, (call, run) =>
      call.method === 'swap' ? Promise.reject(new StorageFault('unavailable', 'no answer')) : run(),
    );
    await expect(seal(host(failing, clock))).rejects.toMatchObject({ code: 'storage-unavailable' });
    expect(await there.sealer.sealTenant(TENANT)).toEqual({ sealed: 2, busy: false });
  });
});
