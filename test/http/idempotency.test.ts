import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { StorageFault, type StoragePorts } from '../../src/storage/ports.js';
import { created, MINIMAL, newTenant, vote, walk } from '../support/decisions.js';
import { httpHost, type HttpHost, type Reply } from '../support/http-harness.js';
import { inTime } from '../support/in-time.js';
import { memoryPorts, type Intercept } from '../support/memory-ports.js';
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';

/** Everything of an answer that a replay repeats. */
const said = ({ status, json, headers }: Reply) => ({
  status,
  json,
  etag: headers['etag'],
  location: headers['location'],
});
const replayed = (reply: Reply): boolean => reply.headers['idempotency-replayed'] === 'true';

describe.each(STORAGES)('Idempotency-Key $name', (kind) => {
  let storage: StorageUnderTest;
  let host: HttpHost;
  let other: HttpHost;
  let tenant: string;
  beforeAll(async () => {
    storage = await openStorage(kind);
    host = httpHost(storage.ports);
    other = httpHost(storage.ports);
  });
  beforeEach(() => (tenant = newTenant()));
  afterAll(() => storage.close());

  const count = async (): Promise<number> => (await walk(host, '/decisions', { tenant })).ids.length;

  it('the same key and body get the first answer again, on any host, and nothing is stored twice', async () => {
    const options = { tenant, key: 'once' };
    const first = await host.post('/decisions', MINIMAL, options);
    expect([first.status, replayed(first)]).toEqual([201, false]);
    for (const each of [host, other]) {
      const again = await each.post('/decisions', MINIMAL, options);
      expect([said(again), replayed(again)]).toEqual([said(first), true]);
    }
    const reordered = '{ "title": "Open a second warehouse",\n "decision_type": "strategic" }';
    expect(said(await host.request('POST', '/decisions', { raw: reordered, ...options }))).toEqual(
      said(first),
    );
    expect(await count()).toBe(1);
  });

  it('the replay is the first answer even after the record has changed', async () => {
    const options = { tenant, key: 'once' };
    const first = await host.post('/decisions', MINIMAL, options);
    await host.patch(`/decisions/${first.envelope.id}`, { title: 'new' }, first.etag, { tenant });
    expect(said(await host.post('/decisions', MINIMAL, options))).toEqual(said(first));
  });

  it('another body is 422, and the first answer stands', async () => {
    const options = { tenant, key: 'once' };
    const first = await host.post('/decisions', MINIMAL, options);
    for (const title of ['other', 'another']) {
      const reply = await other.post('/decisions', { ...MINIMAL, title }, options);
      expect([reply.status, reply.code]).toEqual([422, 'idempotency-key-reused']);
    }
    expect(said(await host.post('/decisions', MINIMAL, options))).toEqual(said(first));
    expect(await count()).toBe(1);
  });

  it('belongs to a tenant, a caller and a route', async () => {
    const key = 'shared';
    const tenants = [tenant, newTenant()];
    const replies: Reply[] = [];
    for (const each of tenants)
      for (const actor of ['ada', 'grace']) {
        const options = { tenant: each, actor, key };
        const record = await host.post('/decisions', MINIMAL, options);
        const path = `/decisions/${record.envelope.id}`;
        replies.push(
          record,
          await host.post(`${path}/votes`, vote('a'), options),
          await host.post(`${path}/outcome`, { decision: 'go', confidence: 1 }, options),
          await host.post('/decisions/batch', { items: [MINIMAL] }, options),
          await host.post('/inbox/decisions', MINIMAL, options),
        );
      }
    expect(replies.map((reply) => reply.status)).toEqual(
      [1, 2, 3, 4].flatMap(() => [201, 200, 200, 201, 202]),
    );
    expect(replies.some(replayed)).toBe(false);
  });

  it('the address of a route may be written in several ways and is one route', async () => {
    const options = { tenant, key: 'once' };
    const first = await host.post('/decisions', MINIMAL, options);
    for (const path of ['/decisions/', '/%64ecisions', '/decisions?', '/../API/decisions'])
      expect(said(await host.post(path, MINIMAL, options)), path).toEqual(said(first));
    const votes = `/decisions/${first.envelope.id}/votes`;
    const voted = await host.post(votes, vote('a'), options);
    expect(said(await host.post(`${votes}/`, vote('a'), options))).toEqual(said(voted));
    expect(await count()).toBe(1);
  });

  it('of many requests at once on two hosts, one stores and no other does', async () => {
    const options = { tenant, key: 'once' };
    const replies = await Promise.all(
      Array.from({ length: 12 }, (_, n) => (n % 2 === 0 ? host : other).post('/decisions', MINIMAL, options)),
    );
    const stored = replies.filter((reply) => reply.status === 201);
    expect(stored.filter((reply) => !replayed(reply))).toHaveLength(1);
    expect(new Set(stored.map((reply) => reply.text)).size).toBe(1);
    for (const reply of replies.filter(({ status }) => status !== 201)) {
      expect([reply.status, reply.code]).toEqual([409, 'idempotency-in-progress']);
      expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0);
    }
    expect(await count()).toBe(1);
  });

  it('a replayed action is answered before anything about the record is', async () => {
    const record = await created(host, {}, { tenant });
    const path = `/decisions/${record.envelope.id}`;
    const options = { tenant, key: 'vote', ifMatch: record.etag };
    const first = await host.post(`${path}/votes`, vote('cfo'), options);
    expect(first.status).toBe(200);
    // Now the same request would be stale, and late.
    const failed = await host.patch(path, { status: 'failed' }, first.etag, { tenant });
    expect(failed.status).toBe(200);
    const again = await other.post(`${path}/votes`, vote('cfo'), options);
    expect([said(again), replayed(again)]).toEqual([said(first), true]);
    expect((await host.post(`${path}/votes`, vote('cfo'), { ...options, key: 'v2' })).status).toBe(412);
    expect((await host.get(path, { tenant })).envelope.revision).toBe(3);
  });

  it('a replayed batch names the records of the first', async () => {
    const options = { tenant, key: 'batch' };
    const months = ['2024-01', '2025-02', '2025-03'];
    const items = Array.from({ length: 40 }, (_, n) => ({ ...MINIMAL, created_at: `${months[n % 3] ?? ''}-01T00:00:00Z` })); // prettier-ignore
    const first = await host.post('/decisions/batch', { items }, options);
    expect(first.status).toBe(201);
    const again = await other.post('/decisions/batch', { items }, options);
    expect([said(again), replayed(again)]).toEqual([said(first), true]);
    const reused = await host.post('/decisions/batch', { items: items.slice(1) }, options);
    expect(reused.code).toBe('idempotency-key-reused');
    expect(await count()).toBe(40);
  });

  it.each<[string, string, object]>([
    ['POST', '/decisions', { decision_type: 'moral' }],
    ['POST', '/decisions', { ...MINIMAL, agent_votes: [vote('a'), vote('a')] }],
    ['POST', '/decisions', { ...MINIMAL, completed_at: '2024-01-01T00:00:00Z' }],
    ['POST', '/decisions/batch', { items: [{ ...MINIMAL, agent_votes: [vote('a'), vote('a')] }] }],
    ['POST', '/inbox/decisions', { ...MINIMAL, agent_votes: [vote('a'), vote('a')] }],
  ])('a definite 4xx of %s %s opens the key at once', async (method, path, bad) => {
    const options = { tenant, key: 'mended' };
    for (const attempt of [1, 2]) {
      const refused = await host.request(method, path, { body: bad, ...options });
      expect([attempt, refused.status, refused.code]).toEqual([attempt, 422, 'record-invalid']);
    }
    const good = path.endsWith('batch') ? { items: [MINIMAL] } : MINIMAL;
    const reply = await host.request(method, path, { body: good, ...options });
    expect([reply.status, replayed(reply)]).toEqual([path.startsWith('/inbox') ? 202 : 201, false]);
  });

  it('a definite 4xx of an action opens the key at once', async () => {
    const record = await created(host, {}, { tenant });
    const path = `/decisions/${record.envelope.id}/votes`;
    const options = { tenant, key: 'mended' };
    expect((await host.post(path, vote('a', { confidence: 2 }), options)).status).toBe(422);
    expect((await host.post(path, vote('a'), { ...options, ifMatch: '"stale"' })).status).toBe(412);
    expect((await host.post(path, vote('a'), options)).status).toBe(200);
    const closed = `/decisions/${(await created(host, { status: 'failed' }, { tenant })).envelope.id}/votes`;
    for (const attempt of [1, 2])
      expect([attempt, (await host.post(closed, vote('a'), options)).status]).toEqual([attempt, 409]);
    expect((await host.post(closed, vote('a'), options)).code).toBe('transition-not-allowed');
    expect((await host.post(path.replace(/.{4}\/votes/, '0000/votes'), vote('a'), options)).status).toBe(404);
  });

  it.each(['', ' ', 'a b', 'tab\there', 'ä', 'x'.repeat(256), '\u007f'])('may not be "%s"', async (key) => {
    for (const path of ['/decisions', '/decisions/batch', '/inbox/decisions']) {
      const reply = await host.post(path, MINIMAL, { tenant, key });
      expect([reply.status, reply.code]).toEqual([400, 'request-malformed']);
    }
  });

  it.each(['x', 'x'.repeat(255), '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~'])('may be "%s"', async (key) => {
    const first = await host.post('/decisions', MINIMAL, { tenant, key });
    expect(said(await host.post('/decisions', MINIMAL, { tenant, key }))).toEqual(said(first));
  });
});

describe('Idempotency-Key when an attempt is interrupted', () => {
  let clock: VirtualClock;
  let storage: StoragePorts;
  let tenant: string;
  beforeEach(() => {
    clock = new VirtualClock();
    storage = memoryPorts({ clock });
    tenant = newTenant();
  });

  /** A host on the storage, whose every call goes through `intercept`. */
  const hostOn = (intercept: Intercept = (_, run) => run()): HttpHost =>
    httpHost(wrapPorts(storage, intercept), { clock });
  /** True for the transaction that commits records, rather than reservations or the directory. */
  const isCommit = (call: Parameters<Intercept>[0]): boolean =>
    call.method === 'commit' && call.args[0] === 'decisions';
  const never = (): Promise<never> => new Promise(() => undefined);
  const down = (): Promise<never> => Promise.reject(new StorageFault('unavailable', 'down'));
  const count = async (): Promise<number> => (await walk(hostOn(), '/decisions', { tenant })).ids.length;

  it('while the first is running the answer is 409 with Retry-After; after 60 s a retry takes over', async () => {
    let reached: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (reached = resolve));
    const stuck = hostOn((call, run) => {
      if (!isCommit(call)) return run();
      reached();
      return never();
    });
    const options = { tenant, key: 'once' };
    void stuck.post('/decisions', MINIMAL, options);
    await held;
    const host = hostOn();
    const early = await host.post('/decisions', MINIMAL, options);
    expect([early.status, early.code, early.headers['retry-after']]).toEqual([
      409,
      'idempotency-in-progress',
      '2',
    ]);
    const otherBody = await host.post('/decisions', { ...MINIMAL, title: 'other' }, options);
    expect([otherBody.status, otherBody.code]).toEqual([422, 'idempotency-key-reused']);
    await clock.advance(59_000);
    expect((await host.post('/decisions', MINIMAL, options)).headers['retry-after']).toBe('1');
    const startedMs = clock.now() - 59_000;
    await clock.advance(1_000);
    const late = await host.post('/decisions', MINIMAL, options);
    expect([late.status, replayed(late)]).toEqual([201, false]);
    // The reservation fixed id and time.
    expect(late.envelope.data['created_at']).toBe(new Date(startedMs).toISOString());
    expect(await count()).toBe(1);
  });

  it('is remembered for days', async () => {
    const options = { tenant, key: 'once' };
    const first = await hostOn().post('/decisions', MINIMAL, options);
    await clock.advance(5 * 24 * 3_600_000);
    const again = await hostOn().post('/decisions', MINIMAL, options);
    expect([said(again), replayed(again)]).toEqual([said(first), true]);
    expect(await count()).toBe(1);
  });

  it('an attempt that wakes up after it was taken over answers what was stored', async () => {
    let wake: () => void = () => undefined;
    let reached: () => void = () => undefined;
    const awake = new Promise<void>((resolve) => (wake = resolve));
    const held = new Promise<void>((resolve) => (reached = resolve));
    const sleeper = hostOn(async (call, run) => {
      if (isCommit(call)) {
        reached();
        await awake;
      }
      return run();
    });
    const options = { tenant, key: 'once' };
    const slept = sleeper.post('/decisions', MINIMAL, options);
    await held;
    await clock.advance(60_000);
    const winner = await hostOn().post('/decisions', MINIMAL, options);
    wake();
    const loser = await inTime(clock, slept);
    expect([said(loser), replayed(loser)]).toEqual([said(winner), true]);
    expect(await count()).toBe(1);
  });

  it.each([true, false])(
    'an attempt is not refused for what another one under its key has done (the first one wins: %s)',
    async (wakesBefore) => {
      const record = await created(hostOn(), {}, { tenant });
      const path = `/decisions/${record.envelope.id}/votes`;
      const options = { tenant, key: 'once', ifMatch: record.etag };
      let wake: () => void = () => undefined;
      let reached: () => void = () => undefined;
      const awake = new Promise<void>((resolve) => (wake = resolve));
      const held = new Promise<void>((resolve) => (reached = resolve));
      const first = hostOn(async (call, run) => {
        if (isCommit(call)) {
          reached();
          await awake;
        }
        return run();
      });
      const slept = first.post(path, vote('cfo'), options);
      await held;
      await clock.advance(60_000);
      // Either the first wakes up when the second is done, or when the second found no trace of it and reads the record.
      const second = hostOn(async (call, run) => {
        if (!wakesBefore || call.method !== 'find' || !String(call.args[2]).startsWith('r:')) return run();
        wake();
        await slept;
        return run();
      });
      const later = await inTime(clock, second.post(path, vote('cfo'), options));
      wake();
      const earlier = await inTime(clock, slept);
      const [winner, loser] = wakesBefore ? [earlier, later] : [later, earlier];
      expect([said(loser), replayed(loser)]).toEqual([said(winner), true]);
      expect([winner.status, winner.envelope.revision]).toEqual([200, 2]);
      const read = await hostOn().get(`/decisions/${record.envelope.id}`, { tenant });
      expect(read.envelope.revision).toBe(2);
    },
  );

  it('an attempt that slept before it held the key stores nothing: the key may have been used and forgotten', async () => {
    const options = { tenant, key: 'once' };
    const sleeper = hostOn(async (call, run) => {
      const done = await run();
      if (call.method === 'commit' && call.args[0] === 'idempotency') clock.jump(9 * 24 * 3_600_000);
      return done;
    });
    const reply = await sleeper.post('/decisions', MINIMAL, options);
    expect([reply.status, reply.code, await count()]).toEqual([503, 'storage-unavailable', 0]);
    // Nothing is in the way of whoever asks now.
    const again = await hostOn().post('/decisions', MINIMAL, options);
    expect([again.status, replayed(again), await count()]).toEqual([201, false, 1]);
  });

  it.each<[string, string]>([
    ['create', '/decisions'],
    ['vote', ''],
  ])('a %s that crashed after its commit is answered with its own result at once', async (_, fixed) => {
    const record = await created(hostOn(), {}, { tenant });
    const path = fixed === '' ? `/decisions/${record.envelope.id}/votes` : fixed;
    const body = fixed === '' ? vote('cfo') : MINIMAL;
    let committed: () => void = () => undefined;
    const done = new Promise<void>((resolve) => (committed = resolve));
    const dying = hostOn(async (call, run) => {
      const result = await run();
      if (!isCommit(call)) return result;
      committed();
      return never();
    });
    const options = { tenant, key: 'once' };
    void dying.post(path, body, options);
    await done;
    const reply = await hostOn().post(path, body, options);
    expect([reply.status, replayed(reply)]).toEqual([fixed === '' ? 200 : 201, true]);
    const id = fixed === '' ? record.envelope.id : reply.envelope.id;
    const read = await hostOn().get(`/decisions/${id}`, { tenant });
    expect([read.json, read.etag]).toEqual([reply.json, reply.etag]);
    expect(read.envelope.revision).toBe(fixed === '' ? 2 : 1);
    expect(await count()).toBe(fixed === '' ? 1 : 2);
  });

  it('a batch that was interrupted is 503, and its key completes it without storing anything twice', async () => {
    const items = Array.from({ length: 60 }, (_, n) => ({ ...MINIMAL, title: `decision ${n}` }));
    let commits = 0;
    const failing = hostOn((call, run) => {
      if (isCommit(call)) commits += 1;
      return isCommit(call) && commits > 2 ? down() : run();
    });
    const options = { tenant, key: 'batch' };
    const first = await inTime(clock, failing.post('/decisions/batch', { items }, options));
    expect([first.status, first.code]).toEqual([503, 'storage-unavailable']);
    const partly = (await walk(hostOn(), '/decisions', { tenant })).ids;
    expect(partly.length).toBeGreaterThan(0);
    expect(partly.length).toBeLessThan(60);
    const early = await hostOn().post('/decisions/batch', { items }, options);
    expect([early.status, early.code]).toEqual([409, 'idempotency-in-progress']);
    await clock.advance(60_000);
    const second = await hostOn().post('/decisions/batch', { items }, options);
    expect(second.status).toBe(201);
    const { ids } = await walk(hostOn(), '/decisions', { tenant });
    expect(ids.sort()).toEqual(second.heads.map(({ id }) => id).sort());
    for (const id of partly) expect(ids).toContain(id);
    for (const [n, head] of second.heads.entries()) {
      const { data, salts: _, ...rest } = (await hostOn().get(`/decisions/${head.id}`, { tenant })).envelope;
      expect([rest, data['title']]).toEqual([head, `decision ${n}`]);
    }
    const third = await hostOn().post('/decisions/batch', { items }, options);
    expect([said(third), replayed(third)]).toEqual([said(second), true]);
  });

  it('a 503 keeps the key: whether it was stored or not, the retry stores it once', async () => {
    for (const when of ['before', 'after'] as const) {
      const options = { tenant: newTenant(), key: 'once' };
      const failing = hostOn(async (call, run) => {
        if (!call.method.startsWith('commit') || call.args[0] !== 'decisions') return run();
        if (when === 'after') await run().catch(() => undefined);
        return down();
      });
      const blind = hostOn(
        async (call, run) =>
        isCommit(call) || (call.method === 'find' && call.args[0] === 'decisions') ? (when === 'after' && isCommit(call) ? run().then(down, down) : down()) : run(), // prettier-ignore
      );
      const first = await inTime(
        clock,
        (when === 'after' ? blind : failing).post('/decisions', MINIMAL, options),
      );
      expect([when, first.status]).toEqual([when, 503]);
      await clock.advance(60_000);
      const retry = await hostOn().post('/decisions', MINIMAL, options);
      expect([when, retry.status, replayed(retry)]).toEqual([when, 201, when === 'after']);
      expect((await walk(hostOn(), '/decisions', options)).ids).toEqual([retry.envelope.id]);
    }
  });
});
