import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleEntries, tileIn, tilePath, TILE_WIDTH, type Tile } from '../../src/audit/log/tiles.js';
import { verifyEventProof } from '../../src/audit/verifier/index.js';
import { ran } from '../cli/support.js';
import { created, newTenant } from '../support/decisions.js';
import { httpHost, type HttpHost } from '../support/http-harness.js';
import { TEST_LOG_KEYS } from '../support/log-keys.js';
import { writeOldDecision } from '../support/old-decision.js';
import { openStorage, STORAGES } from '../support/platform.js';
import { seenIn } from '../support/published-log.js';
import type { StorageUnderTest } from '../support/storages.js';

/** Events that no write of a caller brings about: each way another part of the platform emits them. */
describe.each(STORAGES)('proofs of events that come from elsewhere $name', (kind) => {
  let storage: StorageUnderTest;
  let host: HttpHost;
  let size: number;
  const tenant = newTenant();
  const as = { tenant, roles: 'records.auditor' };
  const [vkey = ''] = TEST_LOG_KEYS.vkeys(tenant);

  beforeAll(async () => {
    storage = await openStorage(kind);
    host = httpHost(storage.ports, { auditReads: 'buffered' });
    const path = `/decisions/${(await created(host, {}, { tenant })).envelope.id}`;
    expect((await host.get(path, { tenant })).status).toBe(200);
    expect((await host.get(path, { tenant, roles: '', actor: 'mallory' })).status).toBe(403);
    await writeOldDecision(storage.ports, tenant, 0);
    expect((await host.request('POST', '/jobs/migrate/run')).json['outcome']).toBe('done');
    await host.platform.readAuditor.flush();
    await host.platform.refusals.flush();
    await host.platform.sealer.sealTenant(tenant);
    const seen = seenIn(tenant, (await host.get('/audit/log/checkpoint', as)).text);
    if (typeof seen === 'string') throw new Error(seen);
    ({ size } = seen);
  });
  afterAll(() => storage.close());

  /** The exact bytes of a leaf, as an auditor takes them from the log. */
  async function leafAt(index: number): Promise<string> {
    const tile = tileIn(size, { level: 'entries', index: Math.floor(index / TILE_WIDTH) }) as Tile;
    const { bytes } = await host.get(`/audit/log/${tilePath(tile)}`, as);
    const entries = bundleEntries(bytes, tile.width) ?? [];
    return Buffer.from(entries[index % TILE_WIDTH] ?? []).toString('utf8');
  }

  it.each([
    ['a read', 'record.read', {}],
    ['a refusal', 'access.refused', {}],
    ['a job', 'record.updated', { action: 'migrate' }],
  ])('verify offline: of %s', async (_, type, members) => {
    const { items } = (await host.get(`/audit-events?event_type=${type}&limit=100`, as)).page;
    expect(items).toHaveLength(1);
    expect(items[0]).toMatchObject({ event_type: type, ...members });
    const id = String(items[0]?.['event_id']);
    const event = await leafAt(Number(items[0]?.['leaf_index']));
    expect(JSON.parse(event)).toMatchObject({ event_id: id, event_type: type, tenant });

    const reply = await host.get(`/audit-events/${id}/proof`, as);
    expect([reply.status, reply.headers['content-type']]).toEqual([200, 'text/plain; charset=utf-8']);
    const report = await verifyEventProof(event, reply.text, { vkey });
    expect(report).toMatchObject({ verdict: 'yes', proven: { tenant, event_id: id, event_type: type } });

    const command = ['verify', 'event.proof', '--event', 'event.json', '--vkey', vkey];
    const yes = await ran(command, { 'event.proof': reply.text, 'event.json': event });
    expect([yes.code, yes.complaints]).toEqual([0, '']);
    expect(yes.out).toContain(type);
    const other = event.replace('"timestamp":"2', '"timestamp":"1');
    expect(other).not.toBe(event);
    expect((await ran(command, { 'event.proof': reply.text, 'event.json': other })).code).toBe(1);
  });
});
