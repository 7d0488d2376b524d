import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/domain/limits.js';
import { holdsPartitionKey, HOLDS_TABLE } from '../../src/storage/hold-rows.js';
import { rowIntact } from '../../src/storage/row-checksum.js';
import { newTenant, created } from '../support/decisions.js';
import { held, holdOf, REASON, WHOLE } from '../support/holds.js';
import { httpHost, type HttpHost, type Reply, type RequestOptions } from '../support/http-harness.js';
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';
import { watched } from '../support/watched-ports.js';

const ID = /^hold_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const NEVER = 'hold_01980000-0000-7000-8000-000000000000';

describe.each(STORAGES)('/holds $name', (kind) => {
  let storage: StorageUnderTest;
  let host: HttpHost;
  const changes: string[] = [];
  beforeAll(async () => {
    storage = await openStorage(kind);
    host = httpHost(watched(storage.ports, changes));
  });
  afterAll(() => storage.close());

  const release = (id: string, options?: RequestOptions, reason: unknown = 'The case was closed.') =>
    host.post(`/holds/${id}/release`, { reason }, options);
  const ids = async (state: string, options: RequestOptions): Promise<readonly unknown[]> =>
    (await host.get(`/holds${state}`, options)).page.items.map((hold) => hold['hold_id']);
  const rows = async (tenant: string) => (await storage.ports.tables.range(HOLDS_TABLE, holdsPartitionKey(tenant), { from: '!', to: '~', limit: 1000 })).rows; // prettier-ignore
  const eventsOf = async (tenant: string, id: string) => {
    await host.platform.sealer.sealTenant(tenant);
    const reply = await host.get(`/audit-events?resource_id=${id}`, { tenant });
    return reply.page.items as unknown as readonly Record<string, unknown>[];
  };

  it('places a hold on a record, shows it, and releases it', async () => {
    const tenant = newTenant();
    const { id } = (await created(host, {}, { tenant })).envelope;
    const scope = { record: { collection: 'decisions', id } };
    const placed = await host.post('/holds', { scope, reason: REASON, reference: '2026-C-0117' }, { tenant });
    const hold = holdOf(placed);
    expect([placed.status, placed.headers['location']]).toEqual([201, `/api/holds/${hold.hold_id}`]);
    expect(hold).toEqual({
      schema_version: '1.0',
      hold_id: expect.stringMatching(ID) as string,
      state: 'active',
      scope,
      reason: REASON,
      reference: '2026-C-0117',
      placed_at: expect.stringMatching(/Z$/) as string,
      placed_by: await host.platform.actors.pseudonym(tenant, 'developer'),
    });
    expect((await host.get(`/holds/${hold.hold_id}`, { tenant })).json).toEqual(hold);
    const released = await release(hold.hold_id, { tenant, actor: 'olga' });
    expect([released.status, released.json]).toEqual([
      200,
      {
        ...hold,
        state: 'released',
        released_at: expect.stringMatching(/Z$/) as string,
        released_by: await host.platform.actors.pseudonym(tenant, 'olga'),
        release_reason: 'The case was closed.',
      },
    ]);
    expect((await host.get(`/holds/${hold.hold_id}`, { tenant })).json).toEqual(released.json);
    const again = await release(hold.hold_id, { tenant });
    expect([again.status, again.code]).toEqual([409, 'transition-not-allowed']);
  });

  it('takes every scope there is, and shows it as it was asked for, in UTC', async () => {
    const tenant = newTenant();
    const run = (await host.post('/metrics', { name: 'm', metric_type: 'gauge', unit: '1', current_value: 1 }, { tenant })).envelope.id; // prettier-ignore
    const scopes: readonly (readonly [object, object?])[] = [
      [{ record: { collection: 'metrics', id: run } }],
      [{ subject: 'Zoë Müller <zoe@example.test>' }],
      [{ subject: ' ' }],
      [{ query: { collection: 'conversations', all: true } }],
      [{ query: { collection: 'covenants', from: '2026-01-01T00:00:00.000Z' } }],
      [{ query: { collection: 'agents', to: '2026-01-01T01:00:00+01:00' } }, { query: { collection: 'agents', to: '2026-01-01T00:00:00.000Z' } }],
      [{ query: { collection: 'decisions', field: { created_by: 'Ada', status: 'completed' } } }],
      [{ query: { collection: 'workflow-executions', from: '2026-01-01T00:00:00.000Z', to: '2026-01-01T00:00:00.001Z', field: { workflow_name: 'w' } } }],
    ]; // prettier-ignore
    for (const [scope, shown = scope] of scopes)
      expect((await held(host, scope, { tenant })).scope).toEqual(shown);
    expect(await ids('', { tenant })).toHaveLength(scopes.length);
  });

  it('refuses what is no hold, says where, and stores nothing', async () => {
    const tenant = newTenant();
    const decisions = (query: object) => ({ query: { collection: 'decisions', ...query } });
    const scoped: readonly (readonly [unknown, readonly string[]])[] = [
      [{}, ['/scope']],
      [{ subject: 'a', record: { collection: 'decisions', id: 'x' } }, ['/scope']],
      [null, ['/scope']],
      [{ everything: true }, ['/scope', '/scope/everything']],
      [{ subject: '' }, ['/scope/subject']],
      [{ subject: 17 }, ['/scope/subject']],
      [{ subject: 'x'.repeat(LIMITS.holdSubjectChars + 1) }, ['/scope/subject']],
      [{ record: { collection: 'decisions' } }, ['/scope/record/id']],
      [{ record: { collection: 'nothing', id: 'x' } }, ['/scope/record/collection']],
      [{ record: { collection: 'audit-events', id: 'x' } }, ['/scope/record/collection']],
      [{ query: { collection: 'constructor', all: true } }, ['/scope/query/collection']],
      [{ query: { all: true } }, ['/scope/query/collection']],
      [decisions({}), ['/scope/query']],
      [decisions({ all: false }), ['/scope/query/all']],
      [decisions({ all: true, from: '2026-01-01T00:00:00Z' }), ['/scope/query/all']],
      [decisions({ from: 'yesterday' }), ['/scope/query/from']],
      [decisions({ from: '2026-01-02T00:00:00Z', to: '2026-01-01T00:00:00Z' }), ['/scope/query/to']],
      [decisions({ from: '2026-01-01T00:00:00Z', to: '2026-01-01T01:00:00+01:00' }), ['/scope/query/to']],
      [decisions({ field: {} }), ['/scope/query/field']],
      [decisions({ field: { title: 'x', workflow_name: 'y' } }), ['/scope/query/field/title', '/scope/query/field/workflow_name']],
      [decisions({ field: { status: 7 } }), ['/scope/query/field/status']],
      [decisions({ field: { status: ' ' } }), ['/scope/query/field/status']],
      [decisions({ field: { constructor: 'x' } }), ['/scope/query/field/constructor']],
      [JSON.parse('{"query":{"collection":"decisions","field":{"__proto__":"x"}}}'), ['/scope/query/field/__proto__']],
      [decisions({ limit: 1, all: true }), ['/scope/query/limit']],
    ]; // prettier-ignore
    const bad: readonly (readonly [unknown, readonly string[]])[] = [
      ...scoped.map(([scope, pointers]) => [{ scope, reason: REASON }, pointers] as const),
      [{ ...WHOLE, reason: undefined }, ['/reason']],
      [{ ...WHOLE, reason: ' \n' }, ['/reason']],
      [{ ...WHOLE, reason: 'x'.repeat(LIMITS.holdReasonChars + 1) }, ['/reason']],
      [{ ...WHOLE, reason: '\ud800' }, ['/reason']],
      [{ ...WHOLE, reference: ' ' }, ['/reference']],
      [{ ...WHOLE, hold_id: NEVER }, ['/hold_id']],
      [{ ...WHOLE, placed_by: 'eve', placed_at: '2026-01-01T00:00:00Z' }, ['/placed_by', '/placed_at']],
      [[], ['']],
      ['x', ['']],
    ];
    changes.length = 0;
    for (const [body, pointers] of bad) {
      const reply = await host.post('/holds', body, { tenant });
      expect([reply.status, reply.code, [...reply.pointers].sort()], JSON.stringify(body)).toEqual([422, 'record-invalid', [...pointers].sort()]); // prettier-ignore
    }
    const others: readonly (readonly [Promise<Reply>, number, string])[] = [
      [host.request('POST', '/holds', { tenant, raw: '{' }), 400, 'request-malformed'],
      [host.request('POST', '/holds', { tenant, raw: '{}', headers: { 'content-type': 'text/plain' } }), 415, 'unsupported-media-type'],
      [host.get('/holds?state=none', { tenant }), 400, 'request-malformed'],
      [host.get('/holds?state=all&state=active', { tenant }), 400, 'request-malformed'],
      [host.get('/holds?collection=decisions', { tenant }), 400, 'request-malformed'],
      [host.get('/holds?limit=0', { tenant }), 400, 'request-malformed'],
      [host.get('/holds?cursor=a.b', { tenant }), 400, 'request-malformed'],
      [host.get(`/holds/${NEVER}`, { tenant }), 404, 'record-not-found'],
      [host.get('/holds/nonsense', { tenant }), 404, 'record-not-found'],
      [release('nonsense', { tenant, key: 'k' }, 7), 404, 'record-not-found'],
      [release(NEVER, { tenant }, ''), 404, 'record-not-found'],
    ]; // prettier-ignore
    for (const [asked, status, code] of others) {
      const reply = await asked;
      expect([reply.status, reply.code]).toEqual([status, code]);
    }
    expect(changes).toEqual([]);
    expect(await rows(tenant)).toEqual([]);
  });

  it('refuses a release without a reason, and leaves the hold in force', async () => {
    const tenant = newTenant();
    const { hold_id: id } = await held(host, WHOLE.scope, { tenant });
    for (const [body, pointer] of [[{}, '/reason'], [{ reason: '' }, '/reason'], [{ reason: 'x', by: 'me' }, '/by'], [[], '']] as const) {
      const reply = await host.post(`/holds/${id}/release`, body, { tenant });
      expect([reply.status, reply.pointers]).toEqual([422, [pointer]]);
    } // prettier-ignore
    expect(await ids('', { tenant })).toEqual([id]);
  });

  it('does not hold a record that is not there, of this tenant, or by an id that can be none', async () => {
    const tenant = newTenant();
    const { id } = (await created(host, {}, { tenant: newTenant() })).envelope;
    const never = id.replace(/....$/, '0000');
    const at = (collection: string, of: string) => ({ scope: { record: { collection, id: of } }, reason: REASON }); // prettier-ignore
    for (const body of [at('decisions', id), at('decisions', never), at('decisions', 'nonsense'), at('metrics', id), at('metrics', never.replace('dec', 'met'))]) {
      const reply = await host.post('/holds', body, { tenant, key: 'k' });
      expect([reply.status, reply.code]).toEqual([404, 'record-not-found']);
    } // prettier-ignore
    // The key was opened: nothing was stored under it.
    expect((await host.post('/holds', WHOLE, { tenant, key: 'k' })).status).toBe(201);
  });

  it('answers the same request under its key with the first answer, also after a release', async () => {
    const tenant = newTenant();
    const options = { tenant, key: 'place' };
    const first = await host.post('/holds', WHOLE, options);
    const id = holdOf(first).hold_id;
    const second = await host.post('/holds', WHOLE, options);
    expect([second.status, second.json, second.headers['idempotency-replayed'], second.headers['location']]).toEqual([201, first.json, 'true', first.headers['location']]); // prettier-ignore
    expect((await host.post('/holds', { ...WHOLE, reason: 'Another' }, options)).code).toBe('idempotency-key-reused'); // prettier-ignore
    const released = await release(id, { tenant, key: 'release' });
    const again = await release(id, { tenant, key: 'release' });
    expect([again.status, again.json, again.headers['idempotency-replayed']]).toEqual([200, released.json, 'true']); // prettier-ignore
    expect((await release(id, { tenant, key: 'release' }, 'Another')).code).toBe('idempotency-key-reused');
    expect((await release(id, { tenant, key: 'other' })).code).toBe('transition-not-allowed');
    const third = await host.post('/holds', WHOLE, options);
    expect([third.json, third.headers['idempotency-replayed']]).toEqual([first.json, 'true']);
    expect(await eventsOf(tenant, id)).toHaveLength(2);
  });

  it('lists those in force, those that were released and all, newest first, page by page', async () => {
    const tenant = newTenant();
    const made: string[] = [];
    for (let n = 0; n < 5; n += 1) made.unshift((await held(host, { subject: `s-${n}` }, { tenant })).hold_id); // prettier-ignore
    const [, second = '', , fourth = ''] = made;
    await release(second, { tenant });
    await release(fourth, { tenant });
    const active = made.filter((id) => ![second, fourth].includes(id));
    expect(await ids('', { tenant })).toEqual(active);
    expect(await ids('?state=active', { tenant })).toEqual(active);
    expect(await ids('?state=released', { tenant })).toEqual([second, fourth]);
    expect(await ids('?state=all', { tenant })).toEqual(made);
    for (const state of ['active', 'released', 'all'] as const) {
      const all = await ids(`?state=${state}`, { tenant });
      for (const limit of [1, 2, 3, 5]) {
        const pages: unknown[] = [];
        let cursor: string | null = '';
        while (cursor !== null) {
          const at: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
          const { page } = await host.get(`/holds?state=${state}&limit=${limit}${at}`, { tenant });
          expect(page.items.length).toBeLessThanOrEqual(limit);
          pages.push(...page.items.map((hold) => hold['hold_id']));
          cursor = page.next_cursor;
        }
        expect([state, limit, pages]).toEqual([state, limit, all]);
      }
    }
    const { next_cursor: cursor } = (await host.get('/holds?limit=1', { tenant })).page;
    const foreign = encodeURIComponent(cursor ?? '');
    for (const [query, as] of [
      [`?state=all&limit=1&cursor=${foreign}`, tenant],
      [`?limit=1&cursor=${foreign}`, newTenant()],
    ] as const)
      // prettier-ignore
      expect((await host.get(`/holds${query}`, { tenant: as })).code).toBe('request-malformed');
  });

  it('is each tenant’s own', async () => {
    const [mine, theirs] = [newTenant(), newTenant()];
    const { hold_id: id } = await held(host, WHOLE.scope, { tenant: mine });
    expect(await ids('?state=all', { tenant: theirs })).toEqual([]);
    expect((await host.get(`/holds/${id}`, { tenant: theirs })).code).toBe('record-not-found');
    expect((await release(id, { tenant: theirs })).code).toBe('record-not-found');
    expect(await ids('', { tenant: mine })).toEqual([id]);
  });

  it('is in the trail, each step once, with commitments in the places of what nobody may read there', async () => {
    const tenant = newTenant();
    const scope = { query: { collection: 'decisions', field: { created_by: 'ada lovelace', status: 'queued' } } }; // prettier-ignore
    const { hold_id: id } = await held(host, scope, { tenant, actor: 'olga' }, { reference: 'ada v. babbage' }); // prettier-ignore
    await release(id, { tenant, actor: 'grace' }, 'lovelace agreed');
    const commitment = { $commitment: expect.stringMatching(/^[0-9a-f]{64}$/) as string };
    const told = { query: { collection: 'decisions', field: { created_by: commitment, status: 'queued' } } };
    const common = { resource_type: 'hold', resource_id: id, outcome: 'success', severity: 'info' };
    const events = await eventsOf(tenant, id);
    expect(events).toMatchObject([
      { ...common, event_type: 'hold.released', action: 'release', actor: await host.platform.actors.pseudonym(tenant, 'grace'), details: { scope: told, reason: commitment } },
      { ...common, event_type: 'hold.placed', action: 'place', actor: await host.platform.actors.pseudonym(tenant, 'olga'), details: { scope: told, reason: commitment, reference: commitment } },
    ]); // prettier-ignore
    const { placed_at, released_at } = holdOf(await host.get(`/holds/${id}`, { tenant }));
    expect(events.map(({ timestamp }) => timestamp)).toEqual([released_at, placed_at]);
    expect(JSON.stringify(events)).not.toMatch(/lovelace|babbage|agreed/);
    // The same commitment: what was ordered then is what the log says.
    const [row] = (await rows(tenant)).filter(({ rowKey }) => rowKey.startsWith('r:'));
    const details = events[1]?.['details'] as { reason: { $commitment: string } };
    expect(String(row?.properties['hold_0'])).toContain(details.reason.$commitment);
  });

  it('lies in rows with checksums, with nothing in clear', async () => {
    const tenant = newTenant();
    const { hold_id: id } = await held(host, { subject: 'ada lovelace' }, { tenant }, { reason: 'lovelace', reference: 'babbage' }); // prettier-ignore
    const all = await rows(tenant);
    expect(all.map(({ rowKey }) => rowKey.split(':')[0])).toEqual(['a', 'a', 'o', 'r', 'v']);
    for (const row of all) expect([row.rowKey, rowIntact(row)]).toEqual([row.rowKey, true]);
    expect(JSON.stringify(all)).not.toMatch(/lovelace|babbage|developer/);
    await release(id, { tenant }, 'lovelace');
    const after = await rows(tenant);
    expect(after.map(({ rowKey }) => rowKey.split(':')[0])).toEqual(['a', 'o', 'o', 'r', 'v', 'v']);
    expect(JSON.stringify(after)).not.toMatch(/lovelace|babbage|developer/);
  });

  it('shows a commitment in the place of a subject that was erased since', async () => {
    const tenant = newTenant();
    const ofSubject = await held(host, { subject: 'ada' }, { tenant });
    const ofField = await held(host, { query: { collection: 'decisions', field: { created_by: 'ada' } } }, { tenant }); // prettier-ignore
    for (const { hold_id: id } of [ofSubject, ofField]) await release(id, { tenant });
    expect(await host.platform.dataKeys.destroySubject(tenant, 'ada')).toMatchObject({
      outcome: 'destroyed',
    });
    const shown = holdOf(await host.get(`/holds/${ofSubject.hold_id}`, { tenant }));
    expect(shown).toMatchObject({ scope: { subject: { $commitment: expect.any(String) as string } }, reason: REASON }); // prettier-ignore
    const { items } = (await host.get('/holds?state=released', { tenant })).page;
    expect(items).toHaveLength(2);
    expect(JSON.stringify(items)).not.toContain('"ada"');
  });

  it('waits for its receipt where that is preferred', async () => {
    const tenant = newTenant();
    const other = httpHost(storage.ports, { backgroundClock: { now: () => Date.now(), monotonic: () => performance.now(), sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) } }); // prettier-ignore
    const placed = await other.post('/holds', WHOLE, { tenant, headers: { prefer: 'wait=10' } });
    expect([placed.status, placed.headers['preference-applied']]).toEqual([201, 'wait=10']);
    const [, path = ''] = /^<\/api([^>]+)>; rel="proof"$/.exec(placed.headers['link'] ?? '') ?? [];
    expect((await other.get(path, { tenant })).status).toBe(200);
  });

  it('tells the trail who was shown holds, where reads are audited', async () => {
    const tenant = newTenant();
    const reading = httpHost(storage.ports, { auditReads: 'buffered' });
    const { hold_id: id } = await held(reading, WHOLE.scope, { tenant });
    await reading.get(`/holds/${id}`, { tenant });
    await reading.get('/holds', { tenant });
    await reading.get('/holds?state=released', { tenant });
    await reading.platform.readAuditor.flush();
    await reading.platform.sealer.sealTenant(tenant);
    const { items } = (await reading.get('/audit-events?event_type=record.read', { tenant })).page;
    const told = items.map(({ action, resource_type, resource_id, details }) => [action, resource_type, resource_id, details]); // prettier-ignore
    expect(told.sort()).toEqual([
      ['list', 'hold', '-', { count: 1, sensitive: true }],
      ['read', 'hold', id, { sensitive: true }],
    ]);
  });
});
