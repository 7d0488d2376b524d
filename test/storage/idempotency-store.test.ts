import { beforeEach, describe, expect, it } from 'vitest';
import type { BlindIndex } from '../../src/domain/blind-index.js';
import { LIMITS } from '../../src/domain/limits.js';
import { Budget } from '../../src/storage/backoff.js';
import { fingerprintOf, IdempotencyStore, scopeOf, type Reservation } from '../../src/storage/idempotency.js';
import { keyHash } from '../../src/storage/keyed-result.js';
import { StorageFault, type Row, type RowOperation, type StoragePorts } from '../../src/storage/ports.js';
import { rowIntact } from '../../src/storage/row-checksum.js';
import { seededEntropy } from '../support/entropy.js';
import { memoryPorts } from '../support/memory-ports.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts, type Intercept } from '../support/wrap-ports.js';

const REQUEST = { key: 'key', scope: 'scope', fingerprint: 'print' };
const OTHER = { ...REQUEST, fingerprint: 'another' };
const HASH = keyHash('acme', REQUEST);
const PARTITION = `acme:${HASH.slice(0, 2)}`;
const ROW = `k:${HASH}`;
const START = Date.UTC(2026, 10, 21);
let clock: VirtualClock;
let ports: StoragePorts;
let budget: Budget;

beforeEach(() => {
  clock = new VirtualClock(START);
  ports = memoryPorts({ clock });
  // What a budget waits costs these tests no time.
  const waiting = { now: () => clock.now(), monotonic: () => 0, sleep: () => Promise.resolve() };
  budget = new Budget(waiting, seededEntropy('budget'));
});

/** Says what a fingerprint was keyed for. */
const keyed = (...of: readonly string[]): string => of.join('/');
const KEYED = keyed('acme', 'idempotency', 'print');
const blindIndex: BlindIndex = {
  blind: (tenant, purpose, value) => Promise.resolve(keyed(tenant, purpose, value)),
};

const store = (seed = 'a', intercept?: Intercept): IdempotencyStore =>
  new IdempotencyStore(intercept === undefined ? ports.tables : wrapPorts(ports, intercept).tables, clock, seededEntropy(seed), blindIndex); // prettier-ignore
const nothingCommitted = () => Promise.resolve(undefined);
const found = (): Promise<Row | undefined> => ports.tables.find('idempotency', PARTITION, ROW);

/** Reserves and expects that it may go on. */
async function reserved(ids = ['dec_1'], request = REQUEST, on = store()): Promise<Reservation> {
  const result = await on.reserve('acme', request, ids, nothingCommitted, budget);
  if ('replay' in result) throw new Error('there is nothing to replay');
  return result.reservation;
}
const refusal = (code: string, more: object = {}) => ({ code, ...more });

describe('a reservation', () => {
  it('is a row that fixes the body and the ids, for seven days', async () => {
    const reservation = await reserved(['dec_1', 'dec_2']);
    const row = await found();
    if (row === undefined) throw new Error('there is no row');
    expect(reservation).toEqual({
      ids: ['dec_1', 'dec_2'],
      hash: HASH,
      fingerprint: KEYED,
      first: true,
      etag: row.etag,
    });
    expect(row.properties).toMatchObject({
      schema_version: '1.0',
      fingerprint: KEYED,
      ids: '["dec_1","dec_2"]',
      reserved_ms: START,
      expires_ms: START + LIMITS.idempotencyKeptMs,
      state: 'running',
      nonce: expect.stringMatching(/^[A-Za-z0-9_-]{16}$/) as string,
    });
    expect(rowIntact(row)).toBe(true);
  });

  it('keeps others waiting for two seconds, or what is left of a minute, and is then taken over', async () => {
    const first = await reserved();
    for (const [passMs, retryAfterS] of [[0, 2], [58_500, 2], [500, 1], [999, 1]] as const) {
      await clock.advance(passMs);
      await expect(reserved(['dec_2'])).rejects.toMatchObject(refusal('idempotency-in-progress', { retryAfterS }));
    } // prettier-ignore
    await clock.advance(1);
    const taken = await reserved(['dec_2']);
    expect(taken).toMatchObject({ ids: ['dec_1'], hash: HASH, fingerprint: KEYED, first: false });
    expect(taken.etag).not.toBe(first.etag);
    // Whoever took it over has a minute of his own.
    await expect(reserved()).rejects.toMatchObject(refusal('idempotency-in-progress'));
  });

  it('is not another body’s, however old it is', async () => {
    await reserved();
    await expect(reserved(['dec_2'], OTHER)).rejects.toMatchObject(refusal('idempotency-key-reused'));
    await clock.advance(LIMITS.idempotencyTakeoverMs);
    await expect(reserved(['dec_2'], OTHER)).rejects.toMatchObject(refusal('idempotency-key-reused'));
  });

  it('that was answered is replayed to the same body, and to no other', async () => {
    await reserved();
    const seen: Reservation[] = [];
    const committed = async (known: Reservation) => {
      seen.push(known);
      return { fingerprint: KEYED, result: () => Promise.resolve('the answer') };
    };
    const ask = (request = REQUEST) => store().reserve('acme', request, ['dec_2'], committed, budget);
    expect(await ask()).toEqual({ replay: 'the answer' });
    expect(seen).toMatchObject([{ ids: ['dec_1'], hash: HASH, fingerprint: KEYED, first: false }]);
    await expect(ask(OTHER)).rejects.toMatchObject(refusal('idempotency-key-reused'));
  });

  it('is believed only as it was written', async () => {
    await reserved();
    const lie: RowOperation = { kind: 'merge', rowKey: ROW, properties: { ids: '["dec_9"]' }, etag: '*' };
    await ports.tables.commit('idempotency', PARTITION, [lie]);
    await expect(reserved()).rejects.toMatchObject(refusal('integrity-failure', { evidence: { id: ROW, revision: 0, what: 'idempotency row' } })); // prettier-ignore
  });

  it('is made again where it went between the insert and the look', async () => {
    await reserved(['dec_1']);
    let gone = false;
    const late = store('b', async (call, run) => {
      if (call.method === 'find' && !gone) {
        gone = true;
        await ports.tables.commit('idempotency', PARTITION, [{ kind: 'delete', rowKey: ROW, etag: '*' }]);
      }
      return run();
    });
    expect(await reserved(['dec_2'], REQUEST, late)).toMatchObject({ ids: ['dec_2'], first: true });
  });

  it('is made again where it went between the look and the takeover', async () => {
    await reserved(['dec_1']);
    await clock.advance(LIMITS.idempotencyTakeoverMs);
    const late = store('b', async (call, run) => {
      const [operation] = call.method === 'commit' ? (call.args[2] as RowOperation[]) : [];
      if (operation?.kind === 'replace')
        await ports.tables.commit('idempotency', PARTITION, [{ kind: 'delete', rowKey: ROW, etag: '*' }]);
      return run();
    });
    expect(await reserved(['dec_2'], REQUEST, late)).toMatchObject({ ids: ['dec_2'], first: true });
  });

  it('is given back by whoever slept for longer than a takeover takes on the way to it', async () => {
    const sleepy = (ms: number) =>
      store('b', async (call, run) => {
        const [operation] = call.method === 'commit' ? (call.args[2] as RowOperation[]) : [];
        if (operation?.kind === 'insert') await clock.advance(ms);
        return run();
      });
    const asleep = reserved(['dec_1'], REQUEST, sleepy(LIMITS.idempotencyTakeoverMs + 1));
    await expect(asleep).rejects.toMatchObject(refusal('storage-unavailable'));
    expect(await found()).toBeUndefined();
    const awake = await reserved(['dec_2'], REQUEST, sleepy(LIMITS.idempotencyTakeoverMs));
    expect(awake).toMatchObject({ ids: ['dec_2'], first: true, etag: (await found())?.etag });
  });

  it('that somebody else takes over a moment earlier is theirs', async () => {
    await reserved();
    await clock.advance(LIMITS.idempotencyTakeoverMs);
    let rival: Reservation | undefined;
    const slow = store('b', async (call, run) => {
      const [operation] = call.method === 'commit' ? (call.args[2] as RowOperation[]) : [];
      if (operation?.kind === 'replace' && rival === undefined)
        rival = await reserved([], REQUEST, store('c'));
      return run();
    });
    await expect(reserved([], REQUEST, slow)).rejects.toMatchObject(refusal('idempotency-in-progress'));
    expect((await found())?.etag).toBe(rival?.etag);
  });
});

describe('a reservation whose answer was lost', () => {
  const losing = (meanwhile?: () => Promise<unknown>): Intercept => {
    let lost = false;
    return async (call, run) => {
      if (call.method !== 'commit' || lost) return run();
      lost = true;
      await (meanwhile ?? run)();
      throw new StorageFault('unavailable', 'no answer');
    };
  };

  it('is found to be one’s own, with its version', async () => {
    const reservation = await reserved(['dec_1'], REQUEST, store('a', losing()));
    expect(reservation).toMatchObject({ first: true, ids: ['dec_1'], etag: (await found())?.etag });
  });

  it('is another’s where another came in the same millisecond with the same request', async () => {
    const rival = () => reserved(['dec_1'], REQUEST, store('rival'));
    const slow = reserved(['dec_1'], REQUEST, store('a', losing(rival)));
    await expect(slow).rejects.toMatchObject(refusal('idempotency-in-progress'));
  });

  it('is an error where storage says no', async () => {
    const closed = store('a', (call, run) =>
      call.method === 'commit' ? Promise.reject(new StorageFault('refused', 'no')) : run(),
    );
    await expect(reserved([], REQUEST, closed)).rejects.toMatchObject({ kind: 'refused' });
  });
});

describe('a reservation that is released', () => {
  it('is gone when nobody else can be at work under it', async () => {
    await store().release('acme', await reserved(), budget);
    expect(await found()).toBeUndefined();
    expect(await reserved(['dec_2'], OTHER)).toMatchObject({ ids: ['dec_2'], first: true });
  });

  it('is open, and keeps its ids, when it was taken over: another body may have it at once', async () => {
    await reserved(['dec_1']);
    await clock.advance(LIMITS.idempotencyTakeoverMs);
    await store().release('acme', await reserved(['dec_2']), budget);
    expect((await found())?.properties).toMatchObject({ state: 'open', ids: '["dec_1"]' });
    expect(await reserved(['dec_3'], OTHER)).toMatchObject({
      ids: ['dec_1'],
      fingerprint: keyed('acme', 'idempotency', 'another'),
      first: false,
    });
    expect((await found())?.properties).toMatchObject({ state: 'running', fingerprint: keyed('acme', 'idempotency', 'another') }); // prettier-ignore
  });

  it('is left alone when it is somebody else’s by now, or gone', async () => {
    const first = await reserved();
    await clock.advance(LIMITS.idempotencyTakeoverMs);
    const taken = await reserved();
    await store().release('acme', first, budget);
    expect((await found())?.etag).toBe(taken.etag);
    await ports.tables.commit('idempotency', PARTITION, [{ kind: 'delete', rowKey: ROW, etag: '*' }]);
    await store().release('acme', taken, budget);
    expect(await found()).toBeUndefined();
    const closed = store('a', () => Promise.reject(new StorageFault('refused', 'no')));
    await expect(closed.release('acme', taken, budget)).rejects.toMatchObject({ kind: 'refused' });
  });
});

describe('whether a reservation is still held', () => {
  it('is nobody’s question without a key', async () => {
    await store('a', () => Promise.reject(new Error('nobody asked'))).assertHeld('acme', undefined, budget);
  });

  it('is told by its version', async () => {
    const first = await reserved();
    await store().assertHeld('acme', first, budget);
    await clock.advance(LIMITS.idempotencyTakeoverMs);
    const taken = await reserved();
    await store().assertHeld('acme', taken, budget);
    const over = refusal('idempotency-in-progress', { retryAfterS: 2 });
    await expect(store().assertHeld('acme', first, budget)).rejects.toMatchObject(over);
    await ports.tables.commit('idempotency', PARTITION, [{ kind: 'delete', rowKey: ROW, etag: '*' }]);
    await expect(store().assertHeld('acme', taken, budget)).rejects.toMatchObject(over);
  });
});

describe('what a key is scoped to', () => {
  it('is the caller and the route, and the two cannot be taken for one another', () => {
    expect(scopeOf('ada', '/api/decisions')).toBe('["ada","/api/decisions"]');
  });

  it('is one body, whatever the order of its members', () => {
    expect(fingerprintOf({ a: 1, b: [2] })).toBe(fingerprintOf({ b: [2], a: 1 }));
    expect(fingerprintOf({ a: 1 })).not.toBe(fingerprintOf({ a: 2 }));
    expect(fingerprintOf(undefined)).toBe(fingerprintOf(null));
    expect(fingerprintOf(0)).not.toBe(fingerprintOf(null));
    expect(fingerprintOf({ a: '\ud800' })).toMatch(/^[0-9a-f]{64}$/);
  });
});
