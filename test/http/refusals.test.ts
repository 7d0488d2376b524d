import { describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../src/domain/audit-event.js';
import { dayOf, partitionKey, prefixRange, SYSTEM_TENANT } from '../../src/storage/keys.js';
import { readRange } from '../../src/storage/range.js';
import { created, newTenant } from '../support/decisions.js';
import { type Reply } from '../support/http-harness.js';
import { STORAGES } from '../support/platform.js';
import { useHttpHost } from '../support/use-http-host.js';

const NOBODY = '01980000-0000-7000-8000-000000000000';
const ID = `dec_${NOBODY}`;

/** Every route that needs a caller: what is asked, and how its refusal stands in the audit trail. */
const ROUTES: readonly (readonly [method: string, path: string, action: string, type: string, id: string])[] =
  [
    ['POST', '/decisions', 'POST collection', 'decision', '-'],
    ['GET', '/decisions?status=queued', 'GET collection', 'decision', '-'],
    ['POST', '/decisions/batch', 'POST collection-batch', 'decision', '-'],
    ['GET', `/decisions/${ID}`, 'GET record', 'decision', ID],
    ['PATCH', `/decisions/${ID}`, 'PATCH record', 'decision', ID],
    ['GET', '/decisions/hunter2', 'GET record', 'decision', '-'],
    ['GET', `/decisions/cov_${NOBODY}`, 'GET record', 'decision', '-'],
    ['GET', `/hunter2s/${ID}`, 'GET record', '-', '-'],
    ['POST', `/decisions/${ID}/votes`, 'POST record-action votes', 'decision', ID],
    ['POST', `/decisions/${ID}/hunter2`, 'POST record-action', 'decision', ID],
    ['POST', `/decisions/${ID}/constructor`, 'POST record-action', 'decision', ID],
    ['POST', `/conversations/con_${NOBODY}/messages`, 'POST record-action messages', 'conversation', `con_${NOBODY}`], // prettier-ignore
    ['GET', '/agents/hunter2/hunter3', 'GET record-action', 'agent_state', '-'],
    ['PUT', '/agents/hunter2/hunter3', 'PUT record-action', 'agent_state', '-'],
    ['GET', `/decisions/${ID}/revisions`, 'GET revisions', 'decision', ID],
    ['GET', `/decisions/${ID}/revisions/1`, 'GET revision', 'decision', ID],
    ['GET', `/decisions/${ID}/lineage`, 'GET lineage', 'decision', ID],
    ['POST', '/inbox/decisions', 'POST inbox', 'decision', '-'],
    ['GET', `/operations/op_${NOBODY}`, 'GET operation', 'operation', `op_${NOBODY}`],
    ['GET', '/audit-events', 'GET audit-events', 'audit_event', '-'],
    ['POST', '/audit-events', 'POST audit-events', 'audit_event', '-'],
    ['GET', `/audit-events/evt_${NOBODY}`, 'GET audit-event', 'audit_event', `evt_${NOBODY}`],
    ['GET', '/configuration', 'GET configuration', 'tenant_configuration', '-'],
    ['PUT', '/configuration', 'PUT configuration', 'tenant_configuration', '-'],
    ['POST', '/holds', 'POST holds', 'hold', '-'],
    ['GET', `/holds/hold_${NOBODY}`, 'GET hold', 'hold', `hold_${NOBODY}`],
    ['POST', `/holds/hold_${NOBODY}/release`, 'POST hold-release', 'hold', `hold_${NOBODY}`],
    ['GET', '/holds/hunter2', 'GET hold', 'hold', '-'],
    ['GET', '/jobs', 'GET jobs', 'job', '-'],
    ['POST', '/jobs/hunter2/run', 'POST job-run', 'job', '-'],
  ];

/** What a refused caller sees, but for the id of the invocation and what is left of the rate. */
function seen({ status, headers, text }: Reply): readonly unknown[] {
  const { instance: _, ...problem } = JSON.parse(text) as Record<string, unknown>;
  return [status, { ...headers, ratelimit: undefined }, problem];
}

describe.each(STORAGES)('refusals $name', (kind) => {
  const { storage, host } = useHttpHost(kind);

  /** The `access.refused` events of a tenant since then. */
  async function events(tenant: string, sinceMs: number): Promise<readonly AuditEvent[]> {
    await host.platform.refusals.flush();
    const found: AuditEvent[] = [];
    for (const day of new Set([dayOf(sinceMs), dayOf(Date.now())])) {
      const rows = await readRange(storage.ports.tables, 'auditevents', partitionKey(tenant, day), prefixRange('r:')); // prettier-ignore
      found.push(...rows.map(({ properties }) => JSON.parse(String(properties['event'])) as AuditEvent));
    }
    return found.filter((event) => event.event_type === 'access.refused' && Date.parse(event.timestamp) >= sinceMs); // prettier-ignore
  }

  it('of a caller without a role are audited on every route, in its tenant and under its name', async () => {
    for (const [method, path, action, type, id] of ROUTES) {
      const tenant = newTenant();
      const body = method === 'GET' ? {} : { body: { hunter2: 'hunter2' } };
      const reply = await host.request(method, path, { ...body, tenant, roles: '', actor: 'mallory' });
      expect([path, reply.status]).toEqual([path, 403]);
      const [event, ...more] = await events(tenant, 0);
      expect([path, more]).toEqual([path, []]);
      expect([path, event]).toEqual([path, expect.objectContaining({ action, resource_type: type, resource_id: id, severity: 'warning', outcome: 'failure', correlation_id: reply.problem.instance, details: expect.objectContaining({ code: 'forbidden', reason: 'role', count: 1 }) as unknown })]); // prettier-ignore
      expect(await host.platform.actors.nameOf(tenant, event?.actor ?? '')).toBe('mallory');
      expect(JSON.stringify(event)).not.toMatch(/hunter|mallory|ip_address/);
    }
  });

  it('of nobody are audited on every route, without a tenant', async () => {
    for (const [method, path, action, type] of ROUTES) {
      const sinceMs = Date.now();
      const body = method === 'GET' ? {} : { body: { hunter2: 'hunter2' } };
      const reply = await host.request(method, path, { ...body, tenant: 'Not A Tenant' });
      expect([path, reply.status]).toEqual([path, 401]);
      const [event] = (await events(SYSTEM_TENANT, sinceMs)).filter(({ correlation_id }) => correlation_id === reply.problem.instance); // prettier-ignore
      expect([path, event]).toEqual([path, expect.objectContaining({ action, resource_type: type, resource_id: '-' })]); // prettier-ignore
      expect(JSON.stringify(event)).not.toMatch(/hunter|Not A Tenant|127\.0\.0\.1/);
    }
  });

  it('tell nobody whether there is such a record, or whose it is', async () => {
    const mine = newTenant();
    const own = (await created(host, {}, { tenant: mine })).envelope.id;
    const theirs = (await created(host, {}, { tenant: newTenant() })).envelope.id;
    for (const [method, tail] of [
      ['GET', ''],
      ['PATCH', ''],
      ['POST', '/votes'],
      ['POST', '/outcome'],
      ['GET', '/revisions'],
      ['GET', '/revisions/1'],
      ['GET', '/lineage'],
    ] as const) {
      const body = method === 'GET' ? {} : { body: {} };
      for (const caller of [{ tenant: mine, roles: 'records.privacy-officer' }, { tenant: 'Nobody' }]) {
        const ids = [own, theirs, ID, 'no-id-at-all'];
        const replies = await Promise.all(
          ids.map((id) => host.request(method, `/decisions/${id}${tail}`, { ...body, ...caller })),
        );
        const [first, ...others] = replies.map(seen);
        expect(first?.[0]).toBe(caller.tenant === mine ? 403 : 401);
        for (const other of others) expect(other).toEqual(first);
      }
    }
    // The audit trail says what was tried as little: several records are none.
    const found = await events(mine, 0);
    expect(found).toHaveLength(7);
    for (const event of found) expect(event).toMatchObject({ resource_id: '-', details: { count: 4 } });
  });

  it('wait for no storage, and nothing else is one', async () => {
    const tenant = newTenant();
    const { waiting } = host.platform.refusals;
    for (const path of ['/decisions/nothing', '/decisions?nothing=1', '/nothing'])
      expect((await host.get(path, { tenant })).status).toBeGreaterThanOrEqual(400);
    expect((await host.request('DELETE', '/decisions', { tenant, roles: '' })).status).toBe(405);
    expect(host.platform.refusals.waiting).toBe(waiting);
    expect((await host.get('/decisions', { tenant, roles: '' })).status).toBe(403);
    expect(host.platform.refusals.waiting).toBe(waiting + 1);
  });
});
