import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { created, newTenant, vote } from '../support/decisions.js';
import { httpHost, type HttpHost, type Reply } from '../support/http-harness.js';
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';
import { realClock } from '../support/virtual-clock.js';

const UNKNOWN = 'dec_01980000-0000-7000-8000-000000000000';
const shifted = (time: string, ms: number): string => new Date(Date.parse(time) + ms).toISOString();

describe.each(STORAGES)('reading a decision $name', (kind) => {
  let storage: StorageUnderTest;
  let host: HttpHost;
  let path: string;
  /** Answers of the writes, a few milliseconds apart. */
  const revisions: Reply[] = [];

  beforeAll(async () => {
    storage = await openStorage(kind);
    // stored_at has a distance that a test can step into.
    let nowMs = Date.now() - 60_000;
    host = httpHost(storage.ports, { clock: { ...realClock, now: () => (nowMs += 500) } });
    const first = await created(host);
    path = `/decisions/${first.envelope.id}`;
    revisions.push(first);
    for (const agent of ['cfo', 'cto', 'coo']) revisions.push(await host.post(`${path}/votes`, vote(agent)));
    revisions.push(await host.patch(path, { status: 'in_progress' }, revisions.at(-1)?.etag));
  });
  afterAll(() => storage.close());

  it('gives the current revision with its ETag', async () => {
    const read = await host.get(path);
    expect([read.status, read.json, read.etag]).toEqual([200, revisions[4]?.json, revisions[4]?.etag]);
    expect(new Set(revisions.map((revision) => revision.etag)).size).toBe(5);
  });

  it.each([
    ['the ETag', (etag: string) => etag],
    ['a list with the ETag in it', (etag: string) => `"x", ${etag}`],
    ['the ETag as a weak one', (etag: string) => `W/${etag}`],
    ['an asterisk', () => '*'],
  ])('answers If-None-Match with %s by 304 without a body', async (_, condition) => {
    const etag = revisions[4]?.etag ?? '';
    const reply = await host.get(path, { headers: { 'if-none-match': condition(etag) } });
    expect([reply.status, reply.text, reply.etag]).toEqual([304, '', etag]);
  });

  it.each([
    ['an older ETag', () => revisions[0]?.etag ?? ''],
    ['a foreign one', () => '"x"'],
    ['none', () => ''],
  ])('answers If-None-Match with %s by the record', async (_, condition) => {
    const reply = await host.get(path, { headers: { 'if-none-match': condition() } });
    expect([reply.status, reply.envelope.revision]).toEqual([200, 5]);
  });

  it('as_of gives the latest revision stored at or before the time', async () => {
    for (const [at, revision] of revisions.entries()) {
      const storedAt = revision.envelope.stored_at;
      for (const [offset, expected] of [
        [-1, at],
        [0, at + 1],
        [1, at + 1],
      ] as const) {
        const reply = await host.get(`${path}?as_of=${shifted(storedAt, offset)}`);
        if (expected === 0) expect([reply.status, reply.code]).toEqual([404, 'record-not-found']);
        else expect([reply.status, reply.json, reply.etag]).toEqual([200, revisions[expected - 1]?.json, revisions[expected - 1]?.etag]); // prettier-ignore
      }
    }
  });

  it.each(['%2B02:00', '+02:00'])('as_of takes an offset, written %s', async (written) => {
    const local = shifted(revisions[1]?.envelope.stored_at ?? '', 2 * 3_600_000).replace('Z', written);
    expect((await host.get(`${path}?as_of=${local}`)).json).toEqual(revisions[1]?.json);
  });

  it('as_of takes any distant time', async () => {
    expect((await host.get(`${path}?as_of=9999-12-31T23:59:59Z`)).envelope.revision).toBe(5);
    expect((await host.get(`${path}?as_of=0000-01-01T00:00:00Z`)).status).toBe(404);
  });

  it.each(['yesterday', '2026-02-30T00:00:00Z', '2026-01-01', ''])('as_of=%s is 400', async (time) => {
    const reply = await host.get(`${path}?as_of=${time}`);
    expect([reply.status, reply.code]).toEqual([400, 'request-malformed']);
  });

  it('lists revisions oldest first, as envelopes without data', async () => {
    const reply = await host.get(`${path}/revisions`);
    const heads = revisions.map((revision) => ({ ...revision.json }));
    for (const head of heads) for (const member of ['data', 'salts']) Reflect.deleteProperty(head, member);
    expect([reply.status, reply.json]).toEqual([200, { items: heads, next_cursor: null }]);
  });

  it('pages through revisions, each once', async () => {
    const found: number[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const next: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const reply = await host.get(`${path}/revisions?limit=2${next}`);
      expect(reply.heads.length).toBeLessThanOrEqual(2);
      found.push(...reply.heads.map((head) => head.revision));
      cursor = reply.page.next_cursor;
    }
    expect(found).toEqual([1, 2, 3, 4, 5]);
  });

  it('gives one revision as it was stored, with the ETag it had', async () => {
    for (const [at, revision] of revisions.entries()) {
      const reply = await host.get(`${path}/revisions/${at + 1}`);
      expect([reply.status, reply.json, reply.etag]).toEqual([200, revision.json, revision.etag]);
    }
  });

  it.each(['6', '0', '-1', '01', '1.0', 'last', '99999999999'])('has no revision %s', async (n) => {
    const reply = await host.get(`${path}/revisions/${n}`);
    expect([reply.status, reply.code]).toEqual([404, 'record-not-found']);
  });

  it('refuses a revisions cursor of another record, another tenant or another kind of list', async () => {
    const cursor = (await host.get(`${path}/revisions?limit=1`)).page.next_cursor ?? '';
    const other = await created(host);
    const tenant = newTenant();
    const uses: [string, object][] = [
      [`/decisions/${other.envelope.id}/revisions?cursor=${cursor}`, {}],
      [`${path}/revisions?cursor=${cursor}`, { tenant }],
      [`/decisions?cursor=${cursor}`, {}],
      [`/audit-events?cursor=${cursor}`, {}],
    ];
    for (const [use, options] of uses) {
      const reply = await host.get(use, options);
      expect([reply.status, reply.code], use).toEqual([400, 'request-malformed']);
    }
  });

  it('a record of another tenant, a malformed id and one that never existed cannot be told apart', async () => {
    const etag = revisions[4]?.etag;
    const ids = [
      path.split('/')[2] ?? '',
      UNKNOWN,
      'nonsense',
      UNKNOWN.toUpperCase(),
      UNKNOWN.replace('dec', 'evt'),
    ];
    const bodies = await Promise.all(
      ids.flatMap((id) => {
        const options = { tenant: newTenant() };
        return [
          host.get(`/decisions/${id}`, options),
          host.get(`/decisions/${id}?as_of=2030-01-01T00:00:00Z`, options),
          host.get(`/decisions/${id}/revisions`, options),
          host.get(`/decisions/${id}/revisions/1`, options),
          host.patch(`/decisions/${id}`, { title: 'x' }, etag, options),
          host.post(`/decisions/${id}/votes`, vote('cfo'), options),
          host.post(`/decisions/${id}/outcome`, { decision: 'x', confidence: 1 }, { ...options, key: 'k' }),
        ];
      }),
    );
    // How much of its rate a caller has left is its own: it counts requests, and not what they found.
    const shapes = bodies.map(({ json, headers }) => ({ ...json, instance: 'any', headers: { ...headers, ratelimit: 'any' } })); // prettier-ignore
    for (const shape of shapes) expect(shape).toEqual(shapes[0]);
    expect(bodies.map((reply) => reply.status)).toEqual(bodies.map(() => 404));
  });
});
