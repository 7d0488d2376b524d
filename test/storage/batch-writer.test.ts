import { beforeEach, describe, expect, it } from 'vitest';
import { storageNames } from '../../src/platform.js';
import { decisionType } from '../../src/records/decision.js';
import { keyedRow, keyHash } from '../../src/storage/keyed-result.js';
import { partitionKey, prefixRange } from '../../src/storage/keys.js';
import { StorageFault, type RowOperation, type StoragePorts } from '../../src/storage/ports.js';
import { withRowChecksum } from '../../src/storage/row-checksum.js';
import { voidRow } from '../../src/storage/void-row.js';
import { testKeyRing } from '../support/key-ring.js';
import { memoryPorts } from '../support/memory-ports.js';
import { caller, testPlatform } from '../support/platform.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts, type Intercept, type PortCall } from '../support/wrap-ports.js';

const START = Date.UTC(2026, 10, 21);
const KEY = partitionKey('default', '2026-11');
const IDEMPOTENCY = { key: 'k', scope: 's', fingerprint: 'f' };
const keyed = caller({ idempotency: IDEMPOTENCY });
const bodies = ['One', 'Two', 'Three'].map((title) => ({ decision_type: 'strategic', title }));
let clock: VirtualClock;
let ports: StoragePorts;

beforeEach(() => {
  clock = new VirtualClock(START);
  ports = memoryPorts({ clock, names: storageNames() });
});

const host = (intercept?: Intercept) =>
  testPlatform(intercept === undefined ? ports : wrapPorts(ports, intercept), { clock }).manager;
const apply = (...operations: RowOperation[]) => ports.tables.commit('decisions', KEY, operations);

/** The ids of the records that a call commits; none for any other call. */
function idsOf(call: PortCall): string[] {
  if (call.method !== 'commit' || call.args[0] !== 'decisions') return [];
  const rowKeys = (call.args[2] as RowOperation[]).map(({ rowKey }) => rowKey);
  return rowKeys.filter((rowKey) => rowKey.startsWith('r:')).map((rowKey) => rowKey.slice(2));
}

/** Does something in the way of the first commit, with the ids that it is about to commit. */
function before(work: (ids: string[], go: () => Promise<unknown>) => Promise<unknown>): Intercept {
  let done = false;
  return async (call, go) => {
    const ids = idsOf(call);
    if (ids.length === 0 || done) return go();
    done = true;
    await work(ids, go);
    return go();
  };
}

/** Stores the batch while virtual time passes. */
async function stored(manager: ReturnType<typeof host>, call = caller()) {
  let settled = false;
  const storing = manager.createBatch(decisionType, bodies, call).finally(() => (settled = true));
  storing.catch(() => undefined);
  while (!settled) await clock.advance(50);
  return storing;
}

/** Titles of the records of an answer, each read back. */
const titlesOf = (items: readonly { readonly id: string }[]) =>
  Promise.all(
    items.map(async ({ id }) => (await host().get(decisionType, id, caller())).envelope.data['title']),
  );
const pendingEvents = async (): Promise<number> =>
  (await ports.tables.range('decisions', KEY, { ...prefixRange('o:'), limit: 100 })).rows.length;

describe('a batch', () => {
  it('takes the place of void rows, in a new pack: the first may have been collected', async () => {
    const collected = before(async ([first = ''], _go) => {
      await apply(voidRow(KEY, first));
      for (const name of (await ports.blobs.list('records', '')).names)
        await ports.blobs.delete('records', name);
    });
    const { items } = await stored(host(collected));
    expect(await titlesOf(items)).toEqual(['One', 'Two', 'Three']);
    expect(await pendingEvents()).toBe(3);
  });

  it('stores nothing in a transaction where one of its ids is taken', async () => {
    const taken = before(async ([, second = '']) => {
      const rowKey = `r:${second}`;
      await apply({ kind: 'insert', rowKey, properties: withRowChecksum(KEY, rowKey, { id: second }) });
    });
    await expect(stored(host(taken))).rejects.toMatchObject({ code: 'record-exists' });
    const voidAndTaken = before(async ([first = '', second = '']) => {
      const rowKey = `r:${second}`;
      await apply(voidRow(KEY, first), { kind: 'insert', rowKey, properties: withRowChecksum(KEY, rowKey, { id: second }) }); // prettier-ignore
    });
    await expect(stored(host(voidAndTaken))).rejects.toMatchObject({ code: 'record-exists' });
    expect(await pendingEvents()).toBe(0);
  });

  it('is refused where nothing is seen to be in its way', async () => {
    const odd: Intercept = (call, go) =>
      idsOf(call).length > 0 ? Promise.reject(new StorageFault('exists', 'nobody knows what')) : go();
    await expect(stored(host(odd))).rejects.toMatchObject({ code: 'record-exists' });
  });

  it('finds the pack that it wrote without an answer', async () => {
    let puts = 0;
    const { items } = await stored(
      host(async (call, go) => {
        const result = await go();
        if (call.method === 'putOnce' && (puts += 1) === 1) throw new StorageFault('unavailable', 'no answer');
        return result;
      }),
    ); // prettier-ignore
    expect(await titlesOf(items)).toEqual(['One', 'Two', 'Three']);
    const theirs: Intercept = (call, go) =>
      call.method === 'putOnce' ? Promise.reject(new StorageFault('exists', 'somebody’s')) : go();
    await expect(stored(host(theirs))).rejects.toMatchObject({ kind: 'exists' });
  });

  it('names a hundred faults and no more', async () => {
    const bad = Array.from({ length: 100 }, () => ({}));
    const refused = host().createBatch(decisionType, bad, caller());
    await expect(refused).rejects.toMatchObject({ code: 'record-invalid', issues: { length: 100 } });
  });
});

describe('a batch under a key', () => {
  it('that an attempt before had stored is answered from what is stored, and stored once', async () => {
    const twice = before((_ids, go) => go());
    const { items, replayed } = await stored(host(twice), keyed);
    expect([await titlesOf(items), replayed]).toEqual([['One', 'Two', 'Three'], false]);
    expect(await pendingEvents()).toBe(3);
    const again = await stored(host(), keyed);
    expect(again).toEqual({ items, replayed: true, eventIds: expect.any(Array) as unknown });
  });

  it('is an integrity failure where a record of it has lost its first revision', async () => {
    const damaged = before(async ([first = ''], go) => {
      await go();
      await apply({ kind: 'delete', rowKey: `v:${first}:0000000001`, etag: '*' });
    });
    await expect(stored(host(damaged), keyed)).rejects.toMatchObject({
      code: 'integrity-failure',
      evidence: { revision: 1, what: 'revision row missing' },
    });
  });

  it('waits for the sweeper where the row of an earlier use has not expired, and replaces it where it has', async () => {
    const hash = keyHash('default', IDEMPOTENCY);
    const fingerprint = await testKeyRing(ports, { clock }).blindIndex.blind('default', 'idempotency', 'f');
    const earlier = { fingerprint, revisions: [{ id: 'dec_earlier', revision: 1 }] };
    await apply(keyedRow(KEY, hash, earlier, START));
    await expect(stored(host(), keyed)).rejects.toMatchObject({
      code: 'storage-unavailable',
      retryAfterS: 60,
    });
    expect(await pendingEvents()).toBe(0);
    const etag = (await ports.tables.find('decisions', KEY, `k:${hash}`))?.etag ?? '';
    await apply(keyedRow(KEY, hash, earlier, START - 8 * 86_400_000, etag));
    await clock.advance(60_000);
    const { items, replayed } = await stored(host(), keyed);
    expect([await titlesOf(items), replayed]).toEqual([['One', 'Two', 'Three'], false]);
    const row = await ports.tables.find('decisions', KEY, `k:${hash}`);
    expect(JSON.parse(String(row?.properties['revisions']))).toEqual(items.map(({ id }) => ({ id, revision: 1 })));
  }); // prettier-ignore
});
