import { describe, expect, it } from 'vitest';
import { newTenant } from '../support/decisions.js';
import { httpHost } from '../support/http-harness.js';
import { STORAGES } from '../support/platform.js';
import { useHttpHost } from '../support/use-http-host.js';

const EVENT = { event_type: 'crm.login', action: 'login', resource_type: 'account', resource_id: 'acc-7', outcome: 'success' }; // prettier-ignore

/** REQ-DATA-006: audit events of other systems. */
describe.each(STORAGES)('POST /audit-events $name', (kind) => {
  const { storage, host } = useHttpHost(kind);

  it('puts the event into the same stream, as external, by the pseudonym of its caller', async () => {
    const options = { tenant: newTenant(), actor: 'crm' };
    const body = { ...EVENT, severity: 'warning', timestamp: '2026-01-02T03:04:05Z', details: { device: 'tablet' }, ip_address: '192.0.2.7', session_id: 's-1' }; // prettier-ignore
    const made = await host.post('/audit-events', body, options);
    expect(made.status, made.text).toBe(201);
    const event = made.json;
    expect(made.headers['location']).toBe(`/api/audit-events/${String(event['event_id'])}`);
    expect(event).toMatchObject({ event_type: 'external', severity: 'warning', action: 'login', resource_type: 'account', resource_id: 'acc-7', outcome: 'success', timestamp: '2026-01-02T03:04:05.000Z', details: { event_type: 'crm.login', details: { device: 'tablet' } } }); // prettier-ignore
    expect(String(event['actor'])).toMatch(/^act_/);
    expect(JSON.stringify(event)).not.toMatch(/192\.0\.2\.7|s-1"/);
    expect(await host.platform.sealer.sealTenant(options.tenant)).toMatchObject({ sealed: 1 });
    const read = await host.get(`/audit-events/${String(event['event_id'])}`, options);
    expect(read.json).toEqual({ ...event, actor_name: 'crm', leaf_index: 0 });
    const found = await host.get('/audit-events?event_type=external&resource_id=acc-7&from=2026-01-02T00:00:00Z', options); // prettier-ignore
    expect(found.page.items.map((item) => item['event_id'])).toEqual([event['event_id']]);
    expect((await host.get(`/audit-events/${String(event['event_id'])}`, { tenant: newTenant() })).status).toBe(404); // prettier-ignore
  });

  it('stores it once for a key, and answers with it again', async () => {
    const options = { tenant: newTenant(), key: 'k' };
    const first = await host.post('/audit-events', EVENT, options);
    expect(await host.platform.sealer.sealTenant(options.tenant)).toMatchObject({ sealed: 1 });
    const again = await httpHost(storage.ports).post('/audit-events', EVENT, options);
    expect([again.status, again.json, again.headers['idempotency-replayed']]).toEqual([201, first.json, 'true']); // prettier-ignore
    const other = await host.post('/audit-events', { ...EVENT, action: 'logout' }, options);
    expect(other.code).toBe('idempotency-key-reused');
    expect((await host.get('/audit-events', options)).page.items).toHaveLength(1);
  });

  it('refuses what no event can be, says where, and stores nothing', async () => {
    const options = { tenant: newTenant() };
    const bad: readonly (readonly [object, string])[] = [
      [{ outcome: 'maybe' }, '/outcome'],
      [{ action: ' ' }, '/action'],
      [{ severity: 'fatal' }, '/severity'],
      [{ timestamp: '2026-13-01T00:00:00Z' }, '/timestamp'],
      [{ timestamp: new Date(Date.now() + 3_600_000).toISOString() }, '/timestamp'],
      [{ actor: 'me' }, '/actor'],
      [{ event_id: 'evt_1' }, '/event_id'],
    ];
    for (const [change, pointer] of bad) {
      const reply = await host.post('/audit-events', { ...EVENT, ...change }, options);
      expect([reply.status, reply.pointers], reply.text).toEqual([422, [pointer]]);
    }
    const large = { ...EVENT, details: { text: 'ä'.repeat(15_000) } };
    expect((await host.post('/audit-events', large, options)).code).toBe('payload-too-large');
    expect((await host.post('/audit-events', EVENT, { ...options, roles: 'records.reader' })).status).toBe(403); // prettier-ignore
    expect(await host.platform.sealer.sealTenant(options.tenant)).toMatchObject({ sealed: 0 });
  });
});
