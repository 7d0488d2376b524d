import { beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/domain/limits.js';
import { BLOB_CONTAINERS } from '../../src/storage/keys.js';
import { MINIMAL, newTenant, walk } from '../support/decisions.js';
import { httpHost, type HttpHost } from '../support/http-harness.js';
import { openStorage, STORAGES } from '../support/platform.js';
import { useHttpHost } from '../support/use-http-host.js';

const item = (n: number, more: object = {}): object => ({ ...MINIMAL, title: `decision ${n}`, ...more });

describe.each(STORAGES)('POST /decisions/batch $name', (kind) => {
  const { storage, host } = useHttpHost(kind);

  it('stores a hundred decisions of several months and answers their envelopes without data, in order', async () => {
    const tenant = newTenant();
    const items = Array.from({ length: 100 }, (_, n) =>
      item(n, { created_at: `2025-${String((n % 7) + 1).padStart(2, '0')}-01T00:00:00Z` }),
    );
    const reply = await host.post('/decisions/batch', { items }, { tenant });
    expect(reply.status).toBe(201);
    expect(Object.keys(reply.json)).toEqual(['items']);
    expect(reply.heads).toHaveLength(100);
    for (const [n, head] of reply.heads.entries()) {
      const read = await host.get(`/decisions/${head.id}`, { tenant });
      const { data, salts: _, ...rest } = read.envelope;
      expect(rest).toEqual(head);
      expect(data['title']).toBe(`decision ${n}`);
    }
    expect((await walk(host, '/decisions?limit=30', { tenant })).ids).toHaveLength(100);
  });

  it('writes all details as one pack', async () => {
    const tenant = newTenant();
    const reply = await host.post('/decisions/batch', { items: [item(1), item(2), item(3)] }, { tenant });
    expect(reply.status).toBe(201);
    const { names } = await storage.ports.blobs.list(BLOB_CONTAINERS.records, `${tenant}/`);
    expect(names).toEqual([expect.stringMatching(/^[^/]+\/decision\/_packs\/[0-9a-f-]{36}\.jsonl$/)]);
    const pack = await storage.ports.blobs.find(BLOB_CONTAINERS.records, names[0] ?? '');
    const lines = Buffer.from(pack?.bytes ?? [])
      .toString('utf8')
      .split('\n');
    expect(lines.map((line) => (line === '' ? '' : (JSON.parse(line) as { id: string }).id))).toEqual([
      ...reply.heads.map(({ id }) => id),
      '',
    ]);
  });
});

describe('a batch that is not valid', () => {
  const tenant = newTenant();
  let host: HttpHost;
  beforeAll(async () => {
    host = httpHost((await openStorage(STORAGES[0] as (typeof STORAGES)[0])).ports);
  });

  it.each<[string, unknown, string[]]>([
    ['one item is invalid', { items: [item(0), item(1, { decision_type: 'moral' })] }, ['/items/1/decision_type']], // prettier-ignore
    ['several items are invalid', { items: [item(0, { title: 7 }), item(1), {}] }, ['/items/0/title', '/items/2/decision_type', '/items/2/title']], // prettier-ignore
    ['an item breaks a rule across members', { items: [item(0), item(1, { completed_at: '2025-01-01T00:00:00Z' })] }, ['/items/1/completed_at']], // prettier-ignore
    ['an item is no object', { items: [item(0), 7] }, ['/items/1']],
    ['it has 101 items', { items: Array.from({ length: 101 }, (_, n) => item(n)) }, ['/items']],
    ['it is empty', { items: [] }, ['/items']],
    ['it has no items', {}, ['/items']],
    ['items is no list', { items: { 0: item(0) } }, ['/items']],
    ['it is a list itself', [item(0)], ['/items']],
    ['it has other members', { items: [item(0)], 'a/b': 1 }, ['/a~1b']],
  ])('because %s is 422 with pointers, and nothing is stored', async (_, body, pointers) => {
    const reply = await host.post('/decisions/batch', body, { tenant });
    expect([reply.status, reply.code, reply.pointers]).toEqual([422, 'record-invalid', pointers]);
    expect((await host.get('/decisions', { tenant })).page.items).toEqual([]);
  });

  const large = item(0, { inputs: { text: 'x'.repeat(LIMITS.batchItemBytes) } });
  it.each<[string, unknown]>([
    ['an item is larger than 1 MiB', { items: [item(0), large] }],
    ['an item is larger than 1 MiB and another invalid', { items: [{}, large] }],
    ['an item is larger than 1 MiB and there are too many', { items: [large, ...Array.from({ length: 100 }, (_, n) => item(n))] }], // prettier-ignore
  ])('because %s is 413, and nothing is stored', async (_, body) => {
    const reply = await host.post('/decisions/batch', body, { tenant });
    expect([reply.status, reply.code]).toEqual([413, 'payload-too-large']);
    expect((await host.get('/decisions', { tenant })).page.items).toEqual([]);
  });

  it('may be larger than 1 MiB as a whole', async () => {
    const items = [0, 1, 2].map((n) => item(n, { inputs: { texts: Array(12).fill('x'.repeat(60_000)) } }));
    const reply = await host.post('/decisions/batch', { items }, { tenant: newTenant() });
    expect([reply.status, reply.heads.length]).toEqual([201, 3]);
  });

  it('because it is larger than 16 MiB is 413', async () => {
    const raw = new Uint8Array(LIMITS.batchBodyBytes + 1).fill(0x20);
    const reply = await host.request('POST', '/decisions/batch', { raw, tenant });
    expect([reply.status, reply.code]).toEqual([413, 'payload-too-large']);
  });

  it('because an item is nested a hundred thousand levels deep is 422', async () => {
    const raw = `{"items":[${'['.repeat(100_000)}${']'.repeat(100_000)}]}`;
    const reply = await host.request('POST', '/decisions/batch', { raw, tenant });
    expect([reply.status, reply.code]).toEqual([422, 'record-invalid']);
  });
});
