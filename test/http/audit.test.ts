import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canonicalJson, type Json } from '../../src/domain/canonical-json.js';
import { BLOB_CONTAINERS } from '../../src/storage/keys.js';
import { committedOf } from '../support/committed.js';
import { created, MINIMAL, newTenant, vote, walk } from '../support/decisions.js';
import { httpHost, type HttpHost, type Reply } from '../support/http-harness.js';
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';

type Event = Readonly<Record<string, Json>>;

describe.each(STORAGES)('the audit trail $name', (kind) => {
  let storage: StorageUnderTest;
  let host: HttpHost;
  const tenant = newTenant();
  const as = { tenant, actor: 'ada' };
  /** May read the trail, and not know who is behind its pseudonyms. */
  const auditor = { tenant, roles: 'records.auditor' };
  /** Envelopes of one record's revisions, in order. */
  const revisions: Reply[] = [];
  let operationId: string;

  beforeAll(async () => {
    storage = await openStorage(kind);
    host = httpHost(storage.ports);
    const headers = { 'x-session-id': 'session-of-ada', 'x-correlation-id': 'corr-1' };
    const record = await created(host, {}, { ...as, headers });
    const path = `/decisions/${record.envelope.id}`;
    revisions.push(record);
    revisions.push(await host.post(`${path}/votes`, vote('cfo'), { ...as, actor: 'grace' }));
    revisions.push(await host.patch(path, { status: 'in_progress' }, revisions[1]?.etag, as));
    revisions.push(await host.post(`${path}/outcome`, { decision: 'go', confidence: 1 }, as));
    await host.post('/decisions/batch', { items: [MINIMAL, MINIMAL, MINIMAL] }, as);
    await created(host, {}, { tenant: newTenant() });
    operationId = String((await host.post('/inbox/decisions', MINIMAL, as)).json['operation_id']);
  });
  afterAll(() => storage.close());

  const list = async (query = ''): Promise<Event[]> => {
    const reply = await host.get(`/audit-events?limit=100${query}`, auditor);
    expect(reply.status, reply.text).toBe(200);
    return reply.page.items as unknown as Event[];
  };

  it('shows nothing before it is sealed, then one event for each revision', async () => {
    expect(await list()).toEqual([]);
    await host.platform.sealer.sealTenant(tenant);
    expect(await list()).toHaveLength(4 + 3);
    await host.platform.sealer.sealTenant(tenant);
    expect(await list()).toHaveLength(4 + 3);
    expect(operationId).toMatch(/^op_/);
  });

  it('tells who did what to which revision, in bytes that hide the rest', async () => {
    const id = revisions[0]?.envelope.id ?? '';
    const events = (await list(`&resource_id=${id}`)).reverse();
    expect(events.map((event) => [event['event_type'], event['action'], event['details']])).toEqual([
      ['record.created', 'create', {}],
      ['record.action', 'vote', {}],
      ['record.updated', 'patch', { changed: ['status'], status: { from: 'queued', to: 'in_progress' } }],
      ['record.action', 'outcome', {}],
    ]);
    expect(events[0]).toEqual({
      schema_version: '1.0',
      event_id: expect.stringMatching(/^evt_[0-9a-f-]{36}$/),
      event_type: 'record.created',
      severity: 'info',
      timestamp: revisions[0]?.envelope.stored_at,
      tenant,
      actor: expect.stringMatching(/^act_[0-9a-f-]{36}$/),
      action: 'create',
      resource_type: 'decision',
      resource_id: id,
      outcome: 'success',
      details: {},
      correlation_id: 'corr-1',
      ip_address: { $commitment: expect.stringMatching(/^[0-9a-f]{64}$/) },
      session_id: { $commitment: expect.stringMatching(/^[0-9a-f]{64}$/) },
      record_type: 'decision',
      revision: 1,
      checksum: revisions[0]?.envelope.checksum,
      leaf_index: expect.any(Number),
    });
    const actors = events.map((event) => event['actor']);
    expect(actors).toEqual([actors[0], actors[1], actors[0], actors[0]]);
    expect(actors[1]).not.toBe(actors[0]);
    expect(JSON.stringify(events)).not.toMatch(/\bada\b|grace|session-of|127\.0\.0\.1|warehouse/);
  });

  it('chains checksums that are those of the envelopes and of their data', async () => {
    const events = (await list(`&resource_id=${revisions[0]?.envelope.id ?? ''}`)).reverse();
    const checksums = revisions.map((revision) => revision.envelope.checksum);
    const computed = revisions.map((revision) =>
      createHash('sha256')
        .update(canonicalJson(committedOf(revision.envelope) as Json))
        .digest('hex'),
    );
    expect(checksums).toEqual(computed);
    expect(events.map((event) => event['checksum'])).toEqual(checksums);
    expect(events.map((event) => event['previous_checksum'])).toEqual([undefined, ...checksums.slice(0, 3)]);
    expect(events.map((event) => event['revision'])).toEqual([1, 2, 3, 4]);
  });

  it('is a stream of the canonical bytes of the events, in the order of their leaves', async () => {
    const { names } = await storage.ports.blobs.list(BLOB_CONTAINERS.audit, `${tenant}/`);
    // One stream a day of sealing: two if midnight passed meanwhile. Their names sort in log order.
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) expect(name).toMatch(/^[^/]+\/\d{4}-\d\d-\d\d\/\d{4}\.jsonl$/);
    const contents = await Promise.all(
      names.map((name) => storage.ports.blobs.find(BLOB_CONTAINERS.audit, name)),
    );
    const text = contents.map((content) => Buffer.from(content?.bytes ?? []).toString('utf8')).join('');
    const events = (await list()).sort((a, b) => Number(a['leaf_index']) - Number(b['leaf_index']));
    expect(events.map((event) => event['leaf_index'])).toEqual(events.map((_, index) => index));
    const lines = events.map((event) => {
      const logged = { ...event };
      delete logged['leaf_index'];
      return `${canonicalJson(logged)}\n`;
    });
    expect(text).toBe(lines.join(''));
  });

  it('gives one event by its id, as the list shows it', async () => {
    for (const event of await list()) {
      const reply = await host.get(`/audit-events/${String(event['event_id'])}`, auditor);
      expect([reply.status, reply.json]).toEqual([200, event]);
    }
  });

  it('is listed newest first, in pages, each event once', async () => {
    const events = await list();
    const times = events.map((event) => String(event['timestamp']));
    expect([...times].sort().reverse()).toEqual(times);
    const all = events.map((event) => String(event['event_id']));
    for (const limit of [1, 2, 3, 7, 8]) {
      const { ids, pages } = await walk(host, `/audit-events?limit=${limit}`, { tenant });
      expect([limit, ids, pages]).toEqual([limit, all, Math.ceil(all.length / limit)]);
    }
    const cursor = (await host.get('/audit-events?limit=1', { tenant })).page.next_cursor ?? '';
    for (const use of ['event_type=record.action&', 'from=2020-01-01T00:00:00Z&'])
      expect((await host.get(`/audit-events?${use}cursor=${cursor}`, { tenant })).status).toBe(400);
    expect((await host.get(`/audit-events?cursor=${cursor}`, { tenant: newTenant() })).status).toBe(400);
  });

  it('is filtered by time, resource, type, actor, severity and outcome, alone and together', async () => {
    const all = await list();
    const [last, , middle] = all as [Event, Event, Event];
    const at = String(middle['timestamp']);
    const id = String(revisions[0]?.envelope.id);
    const cases: [string, (event: Event) => boolean][] = [
      [`&from=${at}`, (event) => String(event['timestamp']) >= at],
      [`&to=${at}`, (event) => String(event['timestamp']) < at],
      [`&from=${at}&to=${String(last['timestamp'])}`, (event) => String(event['timestamp']) >= at && String(event['timestamp']) < String(last['timestamp'])], // prettier-ignore
      ['&to=2020-01-01T00:00:00Z', () => false],
      ['&event_type=record.created', (event) => event['event_type'] === 'record.created'],
      ['&event_type=record.read', () => false],
      [`&resource_id=${id}`, (event) => event['resource_id'] === id],
      [`&resource_id=${id}&event_type=record.action`, (event) => event['resource_id'] === id && event['event_type'] === 'record.action'], // prettier-ignore
      ['&resource_id=nothing', () => false],
      ['&severity=info', () => true],
      ['&severity=critical', () => false],
      ['&outcome=success&event_type=record.updated', (event) => event['event_type'] === 'record.updated'],
      [`&actor=${String(last['actor'])}`, (event) => event['actor'] === last['actor']],
    ];
    for (const [query, fits] of cases) expect([query, await list(query)]).toEqual([query, all.filter(fits)]);
  });

  it('carries on where it was, in order, when more happens', async () => {
    const path = `/decisions/${revisions[0]?.envelope.id ?? ''}`;
    const other = httpHost(storage.ports);
    const before = await list();
    for (const agent of ['x', 'y']) await other.post(`${path}/votes`, vote(agent), as);
    await other.platform.sealer.sealTenant(tenant);
    const after = await list();
    expect(after.slice(2)).toEqual(before);
    expect(after.slice(0, 2).map((event) => event['leaf_index'])).toEqual([before.length + 1, before.length]);
    const record = await other.get(path, { tenant });
    expect(after[0]?.['checksum']).toBe(record.envelope.checksum);
  });
});
