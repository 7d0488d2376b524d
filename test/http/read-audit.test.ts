import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RowOperation } from '../../src/storage/ports.js';
import { countingPorts, type CountingPorts } from '../support/counting-ports.js';
import { aCovenant } from '../support/covenants.js';
import { created, MINIMAL, newTenant, vote } from '../support/decisions.js';
import { httpHost, type HttpHost, type Reply, type RequestOptions } from '../support/http-harness.js';
import { writeOldDecision } from '../support/old-decision.js';
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';

const READER = 'records.reader';
const SENSITIVE = 'records.sensitive-reader';
const EMAIL = 'ada@meridian.example';
const STEP = { step_id: 's1', status: 'running' };

/** The same entries, in whatever order. */
function expectSame(one: readonly unknown[], other: readonly unknown[]): void {
  const sorted = (list: readonly unknown[]) => [...list].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)); // prettier-ignore
  expect(sorted(one)).toEqual(sorted(other));
}

/** Reads over HTTP in the audit trail (audit-ledger.md, Events; docs/roles.md). */
describe.each(STORAGES)('reads in the audit trail $name', (kind) => {
  let storage: StorageUnderTest;
  let counting: CountingPorts;
  let host: HttpHost;
  beforeAll(async () => {
    storage = await openStorage(kind);
    counting = countingPorts(storage.ports);
    host = httpHost(counting.ports, { auditReads: 'buffered' });
  });
  afterAll(() => storage.close());

  /** What became of the reads of a tenant, of one moment in no order: action, type, id, details. */
  async function told(tenant: string, on = host): Promise<readonly (readonly unknown[])[]> {
    await on.platform.readAuditor.flush();
    await on.platform.sealer.sealTenant(tenant);
    const reply = await on.get('/audit-events?event_type=record.read&limit=100', { tenant });
    expect(reply.status, reply.text).toBe(200);
    return reply.page.items.map((event) => {
      expect(event).toMatchObject({ severity: 'info', outcome: 'success', tenant, actor: expect.stringMatching(/^act_/) }); // prettier-ignore
      return [event['action'], event['resource_type'], event['resource_id'], event['details']];
    });
  }

  async function got(path: string, options: RequestOptions, status = 200): Promise<Reply> {
    const reply = await host.get(path, options);
    expect([path, reply.status], reply.text).toEqual([path, status]);
    return reply;
  }

  it('say which revision of which record was shown, whatever way it was asked for', async () => {
    const as = { tenant: newTenant() };
    const made = await created(host, {}, as);
    const { id, stored_at: at } = made.envelope;
    await host.post(`/decisions/${id}/votes`, vote('cfo'), as);
    await got(`/decisions/${id}`, as);
    await got(`/decisions/${id}?as_of=${at}`, as);
    await got(`/decisions/${id}/revisions/1`, as);
    await got(`/decisions/${id}/revisions`, as);
    await got(`/decisions/${id}/lineage?direction=down`, as);
    await got('/decisions?status=queued&decision_type=strategic', as);
    expectSame(await told(as.tenant), [
      ['read', 'decision', id, { revision: 2, sensitive: true }],
      ['as_of', 'decision', id, { revision: 1, sensitive: true }],
      ['revision', 'decision', id, { revision: 1, sensitive: true }],
      ['list_revisions', 'decision', id, { count: 2, sensitive: false }],
      ['lineage', 'decision', id, { direction: 'down', count: 1, sensitive: false }],
      ['list', 'decision', '-', { count: 1, filters: ['status', 'decision_type'], sensitive: false }], // prettier-ignore
    ]);
  });

  it('say it of names, parts and values too', async () => {
    const as = { tenant: newTenant() };
    const put = await host.request('PUT', '/agents/cfo/a-1', { ...as, body: { status: 'idle' } });
    expect(put.status, put.text).toBe(201);
    await got('/agents/cfo/a-1', as);
    await got(`/agents/cfo/a-1?as_of=${put.envelope.stored_at}`, as);
    const flow = await host.post('/workflow-executions', { workflow_name: 'w', version: '1' }, as);
    await host.post(`/workflow-executions/${flow.envelope.id}/steps`, STEP, as);
    await got(`/workflow-executions/${flow.envelope.id}/steps`, as);
    const metric = await host.post('/metrics', { name: 'm', metric_type: 'gauge', unit: 'EUR', current_value: 1 }, as); // prettier-ignore
    expect(metric.status, metric.text).toBe(201);
    const posted = await host.post(`/metrics/${metric.envelope.id}/values`, { values: [{ value: 1 }, { value: 2 }] }, as); // prettier-ignore
    expect(posted.status, posted.text).toBe(200);
    await host.platform.jobs.run('roll-up-series');
    await got(`/metrics/${metric.envelope.id}/values`, as);
    const events = await told(as.tenant);
    expectSame(events, [
      ['read', 'agent_state', put.envelope.id, { revision: 1, sensitive: true }],
      ['as_of', 'agent_state', put.envelope.id, { revision: 1, sensitive: true }],
      ['list_parts', 'workflow_execution', flow.envelope.id, { parts: 'steps', count: 1, sensitive: true }],
      ['list_parts', 'metric', metric.envelope.id, { parts: 'values', count: 3, sensitive: false }],
    ]);
  });

  it('say whether sensitive values were shown in clear, and hold none', async () => {
    const as = { tenant: newTenant() };
    const organization = { name: 'Meridian', contact: { email: EMAIL } };
    const { id } = (await aCovenant(host, { organization }, as)).envelope;
    const inClear: boolean[] = [];
    for (const roles of [READER, SENSITIVE]) {
      const { text } = await got(`/covenants/${id}`, { ...as, roles });
      inClear.push(text.includes(EMAIL));
      const { text: old } = await got(`/covenants/${id}/revisions/1`, { ...as, roles });
      expect(old.includes(EMAIL)).toBe(inClear.at(-1));
      await got(`/covenants/${id}/ledger`, { ...as, roles });
    }
    expect(inClear.at(-1)).toBe(true);
    const plain = (await aCovenant(host, {}, as)).envelope.id;
    await got(`/covenants/${plain}`, { ...as, roles: SENSITIVE });
    const events = await told(as.tenant);
    const of = (sensitive: boolean) => [
      ['read', 'covenant', id, { revision: 1, sensitive }],
      ['revision', 'covenant', id, { revision: 1, sensitive }],
      ['view', 'covenant', id, { revision: 1, view: 'ledger', sensitive }],
    ];
    expectSame(events, [...inClear.flatMap(of), ['read', 'covenant', plain, { revision: 1, sensitive: false }]]); // prettier-ignore
    const whole = await host.get('/audit-events?event_type=record.read', as);
    expect(whole.text).not.toContain(EMAIL);
  });

  it('say it also of what an older version has in clear, without salts', async () => {
    const as = { tenant: newTenant() };
    const { id } = await writeOldDecision(storage.ports, as.tenant);
    for (const roles of [READER, SENSITIVE])
      expect((await got(`/decisions/${id}`, { ...as, roles })).text.includes('grace')).toBe(roles === SENSITIVE); // prettier-ignore
    expectSame(await told(as.tenant), [
      ['read', 'decision', id, { revision: 1, sensitive: false }],
      ['read', 'decision', id, { revision: 1, sensitive: true }],
    ]);
  });

  it('are reads also when the answer is 304 or comes from memory', async () => {
    const as = { tenant: newTenant() };
    const put = await host.request('PUT', '/agents/cfo/a-1', { ...as, body: { status: 'idle' } });
    const { id } = put.envelope;
    const first = await got(`/agents/${id}`, as);
    const again = await got(`/agents/${id}`, as);
    expect(again.headers['cache-status']).toContain('hit');
    await got(`/agents/${id}`, { ...as, headers: { 'if-none-match': first.etag } }, 304);
    expectSame(await told(as.tenant), [
      ['read', 'agent_state', id, { revision: 1, sensitive: true }],
      ['read', 'agent_state', id, { revision: 1, sensitive: true }],
      ['read', 'agent_state', id, { revision: 1, sensitive: true, not_modified: true }],
    ]);
  });

  it('are told with whose they were, and when', async () => {
    const as = { tenant: newTenant() };
    const { id } = (await created(host, {}, { ...as, actor: 'ada' })).envelope;
    const before = Date.now();
    await got(`/decisions/${id}`, { ...as, actor: 'eve', headers: { 'x-correlation-id': 'c-7', 'x-session-id': 's-7' } }); // prettier-ignore
    const after = Date.now();
    await told(as.tenant);
    const { items } = (await host.get('/audit-events?event_type=record.read', as)).page;
    const event = items[0] as Record<string, unknown>;
    const { leaf_index: _, ...rest } = event;
    expect(items).toHaveLength(1);
    expect(rest).toEqual({
      schema_version: '1.0',
      event_id: expect.stringMatching(/^evt_/),
      event_type: 'record.read',
      severity: 'info',
      timestamp: expect.any(String),
      tenant: as.tenant,
      actor: await host.platform.actors.pseudonym(as.tenant, 'eve'),
      actor_name: 'eve',
      action: 'read',
      resource_type: 'decision',
      resource_id: id,
      outcome: 'success',
      details: { revision: 1, sensitive: true },
      correlation_id: 'c-7',
      ip_address: { $commitment: expect.any(String) },
      session_id: { $commitment: expect.any(String) },
    });
    const at = Date.parse(String(event['timestamp']));
    expect(at >= before && at <= after).toBe(true);
  });

  it('are nothing where nothing of a record was shown to a reader', async () => {
    const as = { tenant: newTenant() };
    const { id } = (await created(host, {}, as)).envelope;
    await host.patch(`/decisions/${id}`, { title: 'Another' }, '*', as);
    await got('/decisions/dec_01980000-0000-7000-8000-000000000000', as, 404);
    await got(`/decisions/${id}/revisions/9`, as, 404);
    await got(`/decisions/${id}`, { tenant: newTenant() }, 404);
    await got(`/decisions/${id}`, { ...as, roles: 'records.operator' }, 403);
    await got(`/decisions/${id}?nonsense=1`, as, 400);
    await got('/decisions?status=failed', as);
    for (const path of ['/audit-events', '/configuration', '/jobs', '/health', '/openapi.json'])
      await got(path, as);
    await host.platform.manager.get(host.platform.registry.findByCollection('decisions') as never, id, { tenant: as.tenant, actor: 'a job', correlationId: 'j' }); // prettier-ignore
    expect(await told(as.tenant)).toEqual([]);
  });

  it('are not audited where that is off', async () => {
    const quiet = httpHost(storage.ports, { auditReads: 'off' });
    const as = { tenant: newTenant() };
    const { id } = (await created(quiet, {}, as)).envelope;
    expect((await quiet.get(`/decisions/${id}`, as)).status).toBe(200);
    expect(await told(as.tenant, quiet)).toEqual([]);
  });

  it('cost the caller nothing: a read is 1 point read and 1 blob read, as without', async () => {
    const as = { tenant: newTenant() };
    const { id } = (await created(host, {}, as)).envelope;
    await host.platform.readAuditor.flush();
    counting.reset();
    for (let read = 0; read < 10; read += 1) await got(`/decisions/${id}`, as);
    expect(counting.counts()).toEqual({ 'tables.find': 10, 'blobs.find': 10 });
  });

  it('cost, in the background, a transaction for each 50, once partition and actor are known', async () => {
    const as = { tenant: newTenant() };
    const { id } = (await created(host, {}, as)).envelope;
    await got(`/decisions/${id}`, as);
    await host.platform.readAuditor.flush();
    for (let read = 0; read < 120; read += 1) await got(`/decisions/${id}`, as);
    counting.reset();
    await host.platform.readAuditor.flush();
    expect(counting.counts()).toEqual({ 'tables.commit': 3 });
    expect(counting.calls.map(({ args }) => (args[2] as RowOperation[]).length)).toEqual([100, 100, 40]);
  });

  it('are in the index of the record and of the reader, among its changes', async () => {
    const as = { tenant: newTenant() };
    const { id } = (await created(host, MINIMAL, { ...as, actor: 'ada' })).envelope;
    await got(`/decisions/${id}`, { ...as, actor: 'eve' });
    await told(as.tenant);
    const types = async (query: string) => (await host.get(`/audit-events?${query}`, as)).page.items.map((event) => event['event_type']).sort(); // prettier-ignore
    expect(await types(`resource_id=${id}`)).toEqual(['record.created', 'record.read']);
    expect(await types('actor=eve')).toEqual(['record.read']);
    expect(await types('actor=eve&outcome=failure')).toEqual([]);
  });
});
