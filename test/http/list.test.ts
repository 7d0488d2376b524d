import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { created, newTenant, vote, walk } from '../support/decisions.js';
import { httpHost, type HttpHost } from '../support/http-harness.js';
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';

interface Made {
  readonly id: string;
  readonly createdMs: number;
  readonly fields: Readonly<Record<string, string>>;
}

const STATUSES = ['queued', 'in_progress', 'completed', 'failed'];
const TYPES = ['strategic', 'financial', 'technical', 'operational'];
const PEOPLE = ['ada', 'Grace H. <g@x>', 'ö'];

/** 48 decisions over 16 months, three in each, with every status and type. */
const BODIES = Array.from({ length: 48 }, (_, n) => ({
  decision_type: TYPES[n % 4] as string,
  title: `decision ${n}`,
  status: STATUSES[Math.floor(n / 4) % 4] as string,
  created_by: PEOPLE[n % 3] as string,
  created_at: new Date(Date.UTC(2024, n % 16, 1 + Math.floor(n / 16), 12)).toISOString(),
}));

describe.each(STORAGES)('GET /decisions $name', (kind) => {
  let storage: StorageUnderTest;
  let host: HttpHost;
  const tenant = newTenant();
  const made: Made[] = [];

  /** Ids of what fits, newest first. */
  const expected = (fits: (one: Made) => boolean = () => true): string[] =>
    made
      .filter(fits)
      .sort((a, b) => b.createdMs - a.createdMs)
      .map(({ id }) => id);

  beforeAll(async () => {
    storage = await openStorage(kind);
    host = httpHost(storage.ports);
    const reply = await host.post('/decisions/batch', { items: BODIES }, { tenant });
    expect(reply.status, reply.text).toBe(201);
    for (const [n, { id }] of reply.heads.entries()) {
      const { created_at: createdAt, ...fields } = BODIES[n] as (typeof BODIES)[number];
      made.push({ id, createdMs: Date.parse(createdAt), fields });
    }
    await created(host, {}, { tenant: newTenant() });
  });
  afterAll(() => storage.close());

  it('lists flat summaries, newest first, of this tenant only', async () => {
    const { ids } = await walk(host, '/decisions', { tenant });
    expect(ids).toEqual(expected());
    const [first] = (await host.get('/decisions?limit=1', { tenant })).page.items;
    const envelope = (await host.get(`/decisions/${ids[0] ?? ''}`, { tenant })).envelope;
    const { decision_type, title, status, created_at, completed_at } = envelope.data;
    const { record_type, id, revision, schema_version, tier, checksum, stored_at } = envelope;
    const declared = {
      decision_type,
      title,
      status,
      ...(completed_at === undefined ? {} : { completed_at }),
    };
    expect(first).toEqual({ record_type, id, revision, schema_version, tier, checksum, created_at, updated_at: stored_at, ...declared }); // prettier-ignore
  });

  it('shows a change at once: the new summary once, and the old one nowhere', async () => {
    const mine = { tenant: newTenant() };
    const record = await created(host, {}, mine);
    const { id } = record.envelope;
    await host.patch(`/decisions/${id}`, { status: 'in_progress', title: 'new' }, record.etag, mine);
    const voted = await host.post(`/decisions/${id}/votes`, vote('cfo'), mine);
    const summaries = (await host.get('/decisions', mine)).page.items;
    expect(summaries).toHaveLength(1);
    expect(summaries[0]).toMatchObject({ id, revision: 3, title: 'new', status: 'in_progress', checksum: voted.envelope.checksum, updated_at: voted.envelope.stored_at }); // prettier-ignore
    expect((await walk(host, '/decisions?status=queued', mine)).ids).toEqual([]);
    expect((await walk(host, '/decisions?status=in_progress', mine)).ids).toEqual([id]);
  });

  const fields = ['status', 'decision_type', 'created_by'] as const;
  const pairs = fields.flatMap((a, at) => fields.slice(at + 1).map((b) => [a, b] as const));
  it.each<readonly string[]>([...fields.map((field) => [field]), ...pairs, [...fields]])(
    'filters by %s %s %s, each page by page',
    async (...names) => {
      const used = names.filter((name) => (fields as readonly string[]).includes(name));
      const sample = made.slice(0, 12);
      for (const wanted of sample) {
        const query = used
          .map((name) => `${name}=${encodeURIComponent(wanted.fields[name] ?? '')}`)
          .join('&');
        const fits = (one: Made): boolean => used.every((name) => one.fields[name] === wanted.fields[name]);
        expect((await walk(host, `/decisions?${query}&limit=5`, { tenant })).ids).toEqual(expected(fits));
      }
    },
  );

  it.each(['status=dreaming', 'created_by=nobody', 'status=', 'created_by=%00%2F%23%3F%5C'])(
    'finds nothing for %s',
    async (query) => {
      expect((await walk(host, `/decisions?${query}`, { tenant })).ids).toEqual([]);
    },
  );

  it('from is inclusive and to exclusive, to the millisecond', async () => {
    const at = made[20] as Made;
    const border = (ms: number): string => new Date(at.createdMs + ms).toISOString();
    const cases: [string, (one: Made) => boolean][] = [
      [`from=${border(0)}`, (one) => one.createdMs >= at.createdMs],
      [`from=${border(1)}`, (one) => one.createdMs > at.createdMs],
      [`to=${border(0)}`, (one) => one.createdMs < at.createdMs],
      [`to=${border(1)}`, (one) => one.createdMs <= at.createdMs],
      [`from=${border(0)}&to=${border(1)}`, (one) => one === at],
      [`from=${border(0)}&to=${border(0)}`, () => false],
      [`from=${border(1)}&to=${border(0)}`, () => false],
      [`from=${border(0).replace('Z', '-00:00')}`, (one) => one.createdMs >= at.createdMs],
      ['from=0000-01-01T00:00:00Z&to=9999-12-31T23:59:59Z', () => true],
      ['to=1970-01-01T00:00:00Z', () => false],
      ['from=2999-01-01T00:00:00Z', () => false],
      [
        `status=queued&from=${border(0)}`,
        (one) => one.createdMs >= at.createdMs && one.fields['status'] === 'queued',
      ],
    ];
    for (const [query, fits] of cases)
      expect((await walk(host, `/decisions?${query}&limit=4`, { tenant })).ids, query).toEqual(
        expected(fits),
      );
  });

  it.each([1, 2, 3, 7, 47, 48, 49, 1000])('pages of %d return each record exactly once', async (limit) => {
    const { ids } = await walk(host, `/decisions?limit=${limit}`, { tenant });
    expect(ids).toEqual(expected());
  });

  it('has fifty to a page by default', async () => {
    const mine = { tenant: newTenant() };
    const items = Array.from({ length: 51 }, () => ({ decision_type: 'strategic', title: 'x' }));
    expect((await host.post('/decisions/batch', { items }, mine)).status).toBe(201);
    const first = await host.get('/decisions', mine);
    expect(first.page.items).toHaveLength(50);
    expect((await walk(host, '/decisions', mine)).ids).toHaveLength(51);
  });

  it('a page may be short or empty, and only next_cursor: null ends the list', async () => {
    const mine = { tenant: newTenant() };
    // One match, older than fourteen months without any.
    const items = Array.from({ length: 15 }, (_, month) => ({
      decision_type: 'strategic',
      title: 'x',
      status: month === 0 ? 'queued' : 'failed',
      created_at: new Date(Date.UTC(2023, month, 3)).toISOString(),
    }));
    const heads = (await host.post('/decisions/batch', { items }, mine)).heads;
    const first = await host.get('/decisions?status=queued', mine);
    expect([first.page.items, typeof first.page.next_cursor]).toEqual([[], 'string']);
    expect(await walk(host, '/decisions?status=queued', mine)).toEqual({ ids: [heads[0]?.id], pages: 2 });
  });

  it('a cursor goes on where it was while records are added and changed, and works on another host', async () => {
    const mine = { tenant: newTenant() };
    const other = httpHost(storage.ports);
    const old = await Promise.all([1, 2, 3, 4].map((day) => created(host, { created_at: `2024-05-0${day}T00:00:00Z` }, mine))); // prettier-ignore
    const ids = old.map((reply) => reply.envelope.id).reverse();
    const first = await host.get('/decisions?limit=2', mine);
    await created(host, { created_at: '2024-05-09T00:00:00Z' }, mine);
    await host.post(`/decisions/${ids[2] ?? ''}/votes`, vote('cfo'), mine);
    const second = await other.get(`/decisions?limit=5&cursor=${first.page.next_cursor ?? ''}`, mine);
    expect([...first.page.items, ...second.page.items].map((item) => item['id'])).toEqual(ids);
    expect(second.page.next_cursor).toBeNull();
  });

  it('refuses a cursor of another query, of another tenant, or one that was tampered with', async () => {
    const cursor = (await host.get('/decisions?limit=2&status=queued', { tenant })).page.next_cursor ?? '';
    const [body = '', tag = ''] = cursor.split('.');
    const flip = (text: string, at: number): string =>
      text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);
    const lastBit = (text: string): string => {
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
      return text.slice(0, -1) + (alphabet[alphabet.indexOf(text.at(-1) ?? '') ^ 1] ?? '');
    };
    const refused: [string, string][] = [
      ['status=failed', cursor],
      ['status=queued&decision_type=strategic', cursor],
      ['status=queued&from=2024-01-01T00:00:00Z', cursor],
      ['', cursor],
      ['status=queued', ''],
      ['status=queued', 'x'],
      ['status=queued', '.'],
      ['status=queued', `${cursor}.x`],
      ['status=queued', `${flip(body, 3)}.${tag}`],
      ['status=queued', `${body}.${flip(tag, 3)}`],
      ['status=queued', `${body}.${lastBit(tag)}`],
      ['status=queued', `${body}.${tag}=`],
      ['status=queued', `${body}.${tag}A`],
      ['status=queued', body],
      ['status=queued', 'x'.repeat(5000)],
    ];
    for (const [query, altered] of refused) {
      const reply = await host.get(`/decisions?${query}&cursor=${encodeURIComponent(altered)}`, { tenant });
      expect([reply.status, reply.code], `${query} ${altered}`).toEqual([400, 'request-malformed']);
    }
    const foreign = await host.get(`/decisions?status=queued&cursor=${cursor}`, { tenant: newTenant() });
    expect([foreign.status, foreign.code]).toEqual([400, 'request-malformed']);
    expect((await host.get(`/decisions?status=queued&limit=9&cursor=${cursor}`, { tenant })).status).toBe(
      200,
    );
  });
});

describe('a query that cannot be understood', () => {
  let host: HttpHost;
  beforeAll(async () => {
    host = httpHost((await openStorage(STORAGES[0] as (typeof STORAGES)[0])).ports);
  });

  it.each([
    '/decisions?colour=red',
    '/decisions?Status=queued',
    '/decisions?title=x',
    '/decisions?limit=0',
    '/decisions?limit=1001',
    '/decisions?limit=-1',
    '/decisions?limit=ten',
    '/decisions?limit=',
    '/decisions?limit=1.0',
    '/decisions?from=yesterday',
    '/decisions?to=2026-13-01T00:00:00Z',
    '/decisions?from=',
    '/decisions?status=queued&status=failed',
    '/decisions?limit=5&limit=5',
    '/decisions/dec_01980000-0000-7000-8000-000000000000?limit=5',
    '/decisions/dec_01980000-0000-7000-8000-000000000000/revisions?as_of=2026-01-01T00:00:00Z',
    '/decisions/dec_01980000-0000-7000-8000-000000000000/revisions?limit=0',
    '/audit-events?colour=red',
    '/audit-events?from=x',
    '/audit-events?cursor=x',
    '/operations/op_01980000-0000-7000-8000-000000000000?verbose=1',
  ])('%s is 400', async (path) => {
    const reply = await host.get(path);
    expect([reply.status, reply.code]).toEqual([400, 'request-malformed']);
  });
});
