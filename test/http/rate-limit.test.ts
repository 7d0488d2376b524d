import { beforeEach, describe, expect, it } from 'vitest';
import type { RateLimits } from '../../src/security/rate-limiter.js';
import { MINIMAL } from '../support/decisions.js';
import { httpHost, type HttpHost, type Reply, type RequestOptions } from '../support/http-harness.js';
import { memoryPorts } from '../support/memory-ports.js';
import { VirtualClock } from '../support/virtual-clock.js';

const LOW: RateLimits = {
  caller: { perSecond: 2, burst: 3 },
  tenant: { perSecond: 2, burst: 5 },
  address: { perSecond: 1, burst: 2 },
};

let clock: VirtualClock;
let host: HttpHost;

function hostWith(rateLimits: Partial<RateLimits>): HttpHost {
  return httpHost(memoryPorts({ clock }), { clock, rateLimits });
}

beforeEach(() => {
  clock = new VirtualClock();
  host = hostWith(LOW);
});

const create = (options: RequestOptions = {}): Promise<Reply> => host.post('/decisions', MINIMAL, options);
const list = (options: RequestOptions = {}): Promise<Reply> => host.get('/decisions', options);

/** Asks so often, one after the other. */
async function repeat(times: number, ask: () => Promise<Reply>): Promise<readonly number[]> {
  const statuses: number[] = [];
  for (let each = 0; each < times; each += 1) statuses.push((await ask()).status);
  return statuses;
}

describe('a caller who asks too often', () => {
  it('is answered 429 with Retry-After, after which the request succeeds', async () => {
    expect(await repeat(4, () => create({ actor: 'ann' }))).toEqual([201, 201, 201, 429]);
    const refused = await create({ actor: 'ann' });
    expect([refused.status, refused.code]).toEqual([429, 'rate-limited']);
    const seconds = Number(refused.headers['retry-after']);
    expect(seconds).toBe(1);
    await clock.advance(seconds * 1000);
    expect((await create({ actor: 'ann' })).status).toBe(201);
  });

  it('is never told to come back too early', async () => {
    host = hostWith({ caller: { perSecond: 1, burst: 1 } });
    for (const laterMs of [0, 1, 400, 999, 1600]) {
      await clock.advance(laterMs);
      while ((await list()).status === 200);
      const { status, headers } = await list();
      expect(status).toBe(429);
      await clock.advance(Number(headers['retry-after']) * 1000);
      expect((await list()).status).toBe(200);
    }
  });

  it('has stored nothing with what was refused', async () => {
    expect(await repeat(5, () => create({ actor: 'ann' }))).toEqual([201, 201, 201, 429, 429]);
    await clock.advance(10_000);
    expect((await list()).page.items).toHaveLength(3);
  });

  it('may repeat it with the same Idempotency-Key', async () => {
    await repeat(3, () => list());
    expect((await create({ key: 'k1' })).status).toBe(429);
    await clock.advance(1000);
    const made = await create({ key: 'k1' });
    expect([made.status, made.headers['idempotency-replayed']]).toEqual([201, undefined]);
  });

  it('does not stop another one, nor one of the same name elsewhere', async () => {
    host = hostWith({ ...LOW, tenant: { perSecond: 2, burst: 50 } });
    await repeat(20, () => list({ actor: 'ann' }));
    expect((await list({ actor: 'ann' })).status).toBe(429);
    expect((await list({ actor: 'bob' })).status).toBe(200);
    expect((await list({ actor: 'ann', tenant: 'acme' })).status).toBe(200);
  });

  it.each([
    ['401', { tenant: 'NOBODY' }, '', undefined, 401],
    ['403', { roles: '' }, '', undefined, 429],
    ['415', { headers: { 'content-type': 'text/plain' } }, '', undefined, 429],
    ['413', {}, '', ' '.repeat(2 ** 20 + 1), 429],
    ['400, of the query', {}, '?surprise=1', undefined, 429],
    ['400, of the body', {}, '', '{', 429],
    ['422', {}, '', '{}', 429],
  ])('and whose request deserves %s: 429 comes right after 401', async (_, options, query, raw, status) => {
    await repeat(3, () => list());
    const sent = { raw: raw ?? JSON.stringify(MINIMAL), ...options };
    expect((await host.request('POST', `/decisions${query}`, sent)).status).toBe(status);
  });

  it('uses the limit up with what is refused later, and not with what nobody was authenticated for', async () => {
    expect(await repeat(5, () => list({ tenant: 'NOBODY' }))).toEqual([401, 401, 401, 401, 401]);
    expect(await repeat(4, () => list({ roles: '' }))).toEqual([403, 403, 403, 429]);
  });
});

describe('a tenant that asks too often', () => {
  it('is answered 429 whoever of it asks, and stops no other tenant', async () => {
    const asked = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((actor) => () => list({ actor, tenant: 'acme' }));
    const statuses = [];
    for (const ask of asked) statuses.push((await ask()).status);
    expect(statuses).toEqual([200, 200, 200, 200, 200, 429, 429]);
    expect((await list({ actor: 'a', tenant: 'other' })).status).toBe(200);
    await clock.advance(1000);
    expect(await repeat(3, () => list({ actor: 'h', tenant: 'acme' }))).toEqual([200, 200, 429]);
  });
});

describe('what needs no caller', () => {
  const from = (address: string) => ({ headers: { 'x-forwarded-for': address } });

  it('is limited by where it comes from', async () => {
    expect(await repeat(3, () => host.get('/openapi.json', from('10.0.0.1:1111')))).toEqual([200, 200, 429]);
    const refused = await host.get('/docs', from('6.6.6.6, 10.0.0.1:2222'));
    expect([refused.code, refused.headers['retry-after']]).toEqual(['rate-limited', '1']);
    expect((await host.get('/docs', from('10.0.0.2'))).status).toBe(200);
    await clock.advance(1000);
    expect((await host.get('/docs', from('10.0.0.1'))).status).toBe(200);
  });

  it('is not limited by what callers ask, nor the other way', async () => {
    await repeat(6, () => list());
    expect((await host.get('/health')).status).toBe(200);
    expect(await repeat(3, () => host.get('/health'))).toEqual([200, 429, 429]);
    expect((await list({ tenant: 'other' })).status).toBe(200);
  });

  it('includes addresses where there is nothing', async () => {
    expect(await repeat(3, () => host.get('/a/b/c/d/e/f'))).toEqual([404, 404, 429]);
  });
});

describe('the headers RateLimit-Policy and RateLimit', () => {
  const state = ({ headers }: Reply) => [headers['ratelimit-policy'], headers['ratelimit']];
  const POLICY = '"caller";q=3;w=2, "tenant";q=5;w=3';

  it('say what is left, on every answer to who was authenticated', async () => {
    expect(state(await create())).toEqual([POLICY, '"caller";r=2;t=1, "tenant";r=4;t=1']);
    expect(state(await list({ roles: '' }))).toEqual([POLICY, '"caller";r=1;t=1, "tenant";r=3;t=1']);
    expect(state(await host.get('/decisions/none'))).toEqual([POLICY, '"caller";r=0;t=1, "tenant";r=2;t=1']);
    const refused = await list();
    expect([refused.status, ...state(refused)]).toEqual([429, POLICY, '"caller";r=0;t=1, "tenant";r=2;t=1']);
  });

  it('say of what needs no caller the limit of the address', async () => {
    expect(state(await host.get('/openapi.json'))).toEqual(['"address";q=2;w=2', '"address";r=1;t=1']);
    const { etag } = await host.get('/openapi.json', { headers: { 'x-forwarded-for': '10.0.0.9' } });
    const same = await host.get('/openapi.json', { headers: { 'if-none-match': etag } });
    expect([same.status, ...state(same)]).toEqual([304, '"address";q=2;w=2', '"address";r=0;t=1']);
  });

  it('are not there without anybody, nor without a limit', async () => {
    expect(state(await list({ tenant: 'NOBODY' }))).toEqual([undefined, undefined]);
    host = hostWith({ caller: undefined, tenant: undefined, address: undefined });
    expect(await repeat(50, () => list())).toEqual(Array.from({ length: 50 }, () => 200));
    expect(state(await list())).toEqual([undefined, undefined]);
    expect(state(await host.get('/health'))).toEqual([undefined, undefined]);
  });
});
