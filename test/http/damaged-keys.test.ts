import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { KEYS_TABLE, NOBODY_ROW, subjectKeyRow } from '../../src/security/keys/key-rows.js';
import { created, MINIMAL, newTenant } from '../support/decisions.js';
import { httpHost, type HttpHost, type Reply } from '../support/http-harness.js';
import { testKeyRing } from '../support/key-ring.js';
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';

/** A key belongs to no record; whoever needs it is told all the same, and so is the audit trail. */
describe.each(STORAGES)('a key that was damaged in storage $name', (kind) => {
  let storage: StorageUnderTest;
  let tenant: string;
  let host: HttpHost;
  beforeAll(async () => (storage = await openStorage(kind)));
  beforeEach(async () => {
    tenant = newTenant();
    await created(httpHost(storage.ports), { created_by: 'Ada' }, { tenant });
    host = httpHost(storage.ports);
  });
  afterAll(() => storage.close());

  const damage = async (rowKey: string): Promise<void> => {
    const merge = { kind: 'merge', rowKey, properties: { data_key: 'x' }, etag: '*' } as const;
    await storage.ports.tables.commit(KEYS_TABLE, `${tenant}:keys`, [merge]);
  };

  async function expectAudited(refused: Reply, rowKey: string): Promise<void> {
    expect([refused.status, refused.code]).toEqual([500, 'integrity-failure']);
    await host.platform.sealer.sealTenant(tenant);
    const { page } = await host.get('/audit-events?event_type=integrity.failed', { tenant });
    expect(page.items).toMatchObject([
      { resource_type: 'keys', resource_id: rowKey, details: { what: 'checksum' } },
    ]);
  }

  it('is named by a write of what is about its subject, and hinders no other', async () => {
    const rowKey = subjectKeyRow(await testKeyRing(storage.ports).blindIndex.blind(tenant, 'subject', 'Ada'));
    await damage(rowKey);
    await expectAudited(await host.post('/decisions', { ...MINIMAL, created_by: 'Ada' }, { tenant }), rowKey);
    expect((await host.post('/decisions', MINIMAL, { tenant })).status).toBe(201);
  });

  it('is named by a promise of a write', async () => {
    await host.post('/inbox/decisions', MINIMAL, { tenant });
    await damage(NOBODY_ROW);
    host = httpHost(storage.ports);
    await expectAudited(await host.post('/inbox/decisions', MINIMAL, { tenant }), NOBODY_ROW);
  });
});
