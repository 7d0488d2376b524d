import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BLOB_CONTAINERS, partitionKey } from '../../src/storage/keys.js';
import type { Properties, Row } from '../../src/storage/ports.js';
import { readRange } from '../../src/storage/range.js';
import { created, MINIMAL, newTenant, vote } from '../support/decisions.js';
import { httpHost, type HttpHost, type Reply } from '../support/http-harness.js';
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';

describe.each(STORAGES)('a record that was damaged in storage $name', (kind) => {
  let storage: StorageUnderTest;
  let host: HttpHost;
  let tenant: string;
  let damaged: Reply;
  let healthy: Reply;
  let path: string;

  beforeAll(async () => {
    storage = await openStorage(kind);
  });
  beforeEach(async () => {
    tenant = newTenant();
    host = httpHost(storage.ports);
    [damaged, healthy] = await Promise.all([created(host, {}, { tenant }), created(host, {}, { tenant })]);
    path = `/decisions/${damaged.envelope.id}`;
    damaged = await host.post(`${path}/votes`, vote('cfo'), { tenant });
  });
  afterAll(() => storage.close());

  const partition = (): string =>
    partitionKey(tenant, String(damaged.envelope.data['created_at']).slice(0, 'YYYY-MM'.length));
  const rows = async (prefix: string): Promise<Row[]> =>
    readRange(storage.ports.tables, 'decisions', partition(), { from: prefix, to: `${prefix}~` });

  /** Changes one property of a row, as a hand in the storage account would. */
  async function alter(rowKey: string, change: (properties: Properties) => Properties): Promise<void> {
    const row = await storage.ports.tables.find('decisions', partition(), rowKey);
    expect(row).toBeDefined();
    const properties = change(row?.properties ?? {});
    await storage.ports.tables.commit('decisions', partition(), [
      { kind: 'replace', rowKey, properties, etag: '*' },
    ]);
  }

  /** Flips the lowest bit of one byte of the record's current detail. */
  async function flip(at: (text: string) => number): Promise<void> {
    const [row] = await rows(`r:${damaged.envelope.id}`);
    const name = String(row?.properties['blob']);
    const content = await storage.ports.blobs.find(BLOB_CONTAINERS.records, name);
    const bytes = Uint8Array.from(content?.bytes ?? []);
    const offset = at(Buffer.from(bytes).toString('latin1'));
    bytes[offset] = (bytes[offset] ?? 0) ^ 1;
    await storage.ports.blobs.delete(BLOB_CONTAINERS.records, name);
    await storage.ports.blobs.putOnce(BLOB_CONTAINERS.records, name, bytes, 'application/json');
  }

  /** The damage was audited, shows once it is sealed, and has done nothing to the other record. */
  async function expectAudited(what?: string): Promise<void> {
    await host.platform.sealer.sealTenant(tenant);
    const events = (await host.get('/audit-events?event_type=integrity.failed', { tenant })).page.items;
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({
      severity: 'critical',
      outcome: 'failure',
      resource_type: 'decision',
      resource_id: damaged.envelope.id,
      details: what === undefined ? expect.anything() : { what },
    });
    const other = await host.get(`/decisions/${healthy.envelope.id}`, { tenant });
    expect([other.status, other.json]).toEqual([200, healthy.json]);
    const voted = await host.post(`/decisions/${healthy.envelope.id}/votes`, vote('cto'), { tenant });
    expect(voted.status).toBe(200);
  }

  const expectBroken = (reply: Reply): void => {
    expect([reply.status, reply.code]).toEqual([500, 'integrity-failure']);
    expect(reply.text).not.toContain(MINIMAL.title);
  };

  it.each<[string, (text: string) => number]>([
    ['its title', (text) => text.indexOf('warehouse')],
    ['its brackets', (text) => text.length - 1],
    ['the name of a member', (text) => text.indexOf('"title"') + 1],
    ['its checksum', (text) => text.indexOf('"checksum":"') + 20],
    ['its revision', (text) => text.indexOf('"revision":') + 11],
    ['its tenant', (text) => text.indexOf('"tenant":"') + 12],
  ])('with a flipped bit in the blob, in %s, is integrity-failure and audited', async (_, at) => {
    await flip(at);
    expectBroken(await host.get(path, { tenant }));
    expectBroken(await host.get(`${path}/revisions/2`, { tenant }));
    expect((await host.get(`${path}/revisions/1`, { tenant })).status).toBe(200);
    await expectAudited();
  });

  it('without its blob is integrity-failure and audited', async () => {
    const [row] = await rows(`r:${damaged.envelope.id}`);
    await storage.ports.blobs.delete(BLOB_CONTAINERS.records, String(row?.properties['blob']));
    expectBroken(await host.get(path, { tenant }));
    await expectAudited('blob missing');
  });

  it('with nothing left in its blob is integrity-failure and audited', async () => {
    const [row] = await rows(`r:${damaged.envelope.id}`);
    const name = String(row?.properties['blob']);
    await storage.ports.blobs.delete(BLOB_CONTAINERS.records, name);
    await storage.ports.blobs.putOnce(BLOB_CONTAINERS.records, name, new Uint8Array(), 'application/json');
    expectBroken(await host.get(path, { tenant }));
    await expectAudited();
  });

  it('is not written on by a host that has not seen it whole', async () => {
    await flip((text) => text.indexOf('warehouse'));
    const other = httpHost(storage.ports);
    expectBroken(await other.post(`${path}/votes`, vote('cto'), { tenant }));
    expectBroken(await other.patch(path, { title: 'x' }, damaged.etag, { tenant }));
    expect((await rows(`v:${damaged.envelope.id}:`)).length).toBe(2);
    await expectAudited();
  });

  it.each(['checksum', 'blob', 'event_id', 'updated_at', 'title', 'tier'])(
    'with another %s in its row is integrity-failure, for reads and writes, and audited',
    async (column) => {
      await alter(`r:${damaged.envelope.id}`, (old) => ({ ...old, [column]: `${String(old[column])}x` }));
      expectBroken(await host.get(path, { tenant }));
      expectBroken(await host.get(`${path}?as_of=2999-01-01T00:00:00Z`, { tenant }));
      expectBroken(await host.post(`${path}/votes`, vote('cto'), { tenant }));
      expectBroken(await host.patch(path, { title: 'x' }, damaged.etag, { tenant }));
      await expectAudited('row');
    },
  );

  it('with another column in its row is integrity-failure', async () => {
    await alter(`r:${damaged.envelope.id}`, (old) => ({ ...old, extra: 1 }));
    expectBroken(await host.get(path, { tenant }));
  });

  it('with the row of another record in its place is integrity-failure', async () => {
    const [other] = await rows(`r:${healthy.envelope.id}`);
    await alter(`r:${damaged.envelope.id}`, () => other?.properties ?? {});
    expectBroken(await host.get(path, { tenant }));
    await expectAudited();
  });

  it('with another checksum in a revision row is integrity-failure wherever that revision is asked for', async () => {
    await alter(`v:${damaged.envelope.id}:0000000001`, (old) => ({ ...old, checksum: 'f'.repeat(64) }));
    expectBroken(await host.get(`${path}/revisions/1`, { tenant }));
    expectBroken(await host.get(`${path}/revisions`, { tenant }));
    const asOf = new Date(Date.parse(damaged.envelope.stored_at) - 1).toISOString();
    expectBroken(await host.get(`${path}?as_of=${asOf}`, { tenant }));
    expect((await host.get(path, { tenant })).json).toEqual(damaged.json);
    await expectAudited('revision row');
  });

  it('with a damaged index row is listed as its own row says, and audited', async () => {
    const index = (await rows('i:status:queued:')).find((row) => row.rowKey.endsWith(damaged.envelope.id));
    await alter(index?.rowKey ?? '', (old) => ({ ...old, title: 'a lie' }));
    const page = (await host.get('/decisions?status=queued', { tenant })).page;
    expect(page.items.map((item) => [item['id'], item['title']]).sort()).toEqual(
      [damaged, healthy].map((reply) => [reply.envelope.id, MINIMAL.title]).sort(),
    );
    await expectAudited('index row');
  });

  it('does not flood the audit trail when it is read again and again', async () => {
    await flip((text) => text.indexOf('warehouse'));
    for (let n = 0; n < 10; n += 1) expectBroken(await host.get(path, { tenant }));
    await expectAudited();
  });

  it('is not taken for a replay of a request', async () => {
    const first = await host.post('/decisions', MINIMAL, { tenant, key: 'k' });
    damaged = first;
    await flip((text) => text.indexOf('warehouse'));
    expectBroken(await host.post('/decisions', MINIMAL, { tenant, key: 'k' }));
    await expectAudited();
  });
});
