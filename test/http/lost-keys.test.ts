import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BLOB_CONTAINERS } from '../../src/storage/keys.js';
import { readRange } from '../../src/storage/range.js';
import { KEYS_TABLE } from '../../src/security/keys/key-rows.js';
import { MINIMAL, newTenant, vote } from '../support/decisions.js';
import { httpHost, type HttpHost, type Reply, type RequestOptions } from '../support/http-harness.js';
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';

describe.each(STORAGES)('a key that nobody destroyed and that is gone $name', (kind) => {
  let storage: StorageUnderTest;
  let tenant: string;
  let host: HttpHost;
  beforeAll(async () => {
    storage = await openStorage(kind);
  });
  beforeEach(() => {
    tenant = newTenant();
    host = httpHost(storage.ports);
  });
  afterAll(() => storage.close());

  const post = (body: unknown, options: RequestOptions = {}): Promise<Reply> =>
    host.post('/decisions', body, { tenant, actor: 'carol', ...options });
  const dataKeys = async (): Promise<readonly string[]> =>
    (await readRange(storage.ports.tables, KEYS_TABLE, `${tenant}:keys`, { from: 'k:', to: 'k;' })).map(
      ({ rowKey }) => rowKey,
    );

  /** Deletes the keys that come with `work`; the next request meets a process that knows none. */
  async function lose(work: () => Promise<unknown>): Promise<readonly string[]> {
    const before = await dataKeys();
    await work();
    const lost = (await dataKeys()).filter((key) => !before.includes(key));
    expect(lost).toHaveLength(1);
    await storage.ports.tables.commit(KEYS_TABLE, `${tenant}:keys`, lost.map((rowKey) => ({ kind: 'delete', rowKey, etag: '*' }))); // prettier-ignore
    host = httpHost(storage.ports);
    return lost;
  }

  async function findings(): Promise<readonly Record<string, unknown>[]> {
    await host.platform.sealer.sealTenant(tenant);
    return (await host.get('/audit-events?event_type=integrity.failed', { tenant, actor: 'auditor' })).page
      .items;
  }

  it('stops what is written about its subject, and is audited by its name', async () => {
    await post(MINIMAL);
    const about = { ...MINIMAL, metadata: { subject_id: 'dora' } };
    const [key] = await lose(() => post(about));
    const reply = await post(about);
    expect([reply.status, reply.code]).toEqual([500, 'integrity-failure']);
    expect((await host.post('/decisions/batch', { items: [about] }, { tenant, actor: 'carol' })).code).toBe('integrity-failure'); // prettier-ignore
    const found = await findings();
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ resource_type: 'decision', resource_id: '-', actor_name: 'carol', details: { what: `keys ${String(key)} missing` } }); // prettier-ignore
    expect((await post(MINIMAL)).status).toBe(201);
  });

  it('is audited in nobody’s name when it is that of who meets it', async () => {
    const { envelope } = await post(MINIMAL);
    const path = `/decisions/${envelope.id}/votes`;
    await lose(() => host.post(path, vote('cfo'), { tenant, actor: 'bob' }));
    const reply = await host.post(path, vote('cto'), { tenant, actor: 'bob', headers: { 'x-session-id': 's1' } }); // prettier-ignore
    expect([reply.status, reply.code]).toEqual([500, 'integrity-failure']);
    const [found, ...more] = await findings();
    expect(more).toEqual([]);
    expect(found).toMatchObject({ actor_name: 'integrity-auditor', outcome: 'failure' });
    expect(found).not.toHaveProperty('session_id');
    expect((await host.post(path, vote('cto'), { tenant, actor: 'carol' })).status).toBe(200);
  });

  it('is told apart from a log that proves nothing, which is audited too', async () => {
    // Of two, so that a proof needs a tile.
    const { envelope } = await post(MINIMAL);
    await post(MINIMAL);
    await host.platform.sealer.sealTenant(tenant);
    const path = `/decisions/${envelope.id}/proof`;
    expect((await host.get(path, { tenant })).status).toBe(200);
    const { blobs } = storage.ports;
    const { names } = await blobs.list(BLOB_CONTAINERS.ledger, `${tenant}/tile/0/`);
    expect(names).not.toEqual([]);
    for (const name of names) await blobs.delete(BLOB_CONTAINERS.ledger, name);
    host = httpHost(storage.ports);
    const { code } = await host.get(path, { tenant });
    expect(code).toBe('integrity-failure');
    expect((await findings()).map(({ resource_type }) => resource_type)).toEqual(['audit_event']);
  });
});
