import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { created, MINIMAL, newTenant, vote } from '../support/decisions.js';
import { httpHost, type HttpHost } from '../support/http-harness.js';
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';
import { useHttpHost } from '../support/use-http-host.js';

const ROLES = [
  'records.reader',
  'records.sensitive-reader',
  'records.writer',
  'records.auditor',
  'records.operator',
  'records.privacy-officer',
];
const ID = 'dec_01980000-0000-7000-8000-000000000000';
const READERS = ['records.reader', 'records.sensitive-reader'];

/** Every route, who may, and what it answers to those who may. */
const TABLE: readonly (readonly [string, string, readonly string[], number])[] = [
  ['POST', '/decisions', ['records.writer'], 201],
  ['POST', '/decisions/batch', ['records.writer'], 422],
  ['GET', '/decisions', READERS, 200],
  ['GET', `/decisions/${ID}`, READERS, 404],
  ['PATCH', `/decisions/${ID}`, ['records.writer'], 404],
  ['POST', `/decisions/${ID}/votes`, ['records.writer'], 404],
  ['POST', `/decisions/${ID}/outcome`, ['records.writer'], 404],
  ['GET', `/decisions/${ID}/revisions`, READERS, 404],
  ['GET', `/decisions/${ID}/revisions/1`, READERS, 404],
  ['POST', '/inbox/decisions', ['records.writer'], 202],
  [
    'GET',
    '/operations/op_01980000-0000-7000-8000-000000000000',
    [...READERS, 'records.writer', 'records.operator'],
    404,
  ],
  ['GET', '/audit-events', ['records.auditor'], 200],
  ['GET', '/configuration', ['records.operator'], 200],
  ['PUT', '/configuration', ['records.operator'], 422],
  ['POST', '/holds', ['records.privacy-officer'], 422],
  ['GET', '/holds', ['records.privacy-officer'], 200],
  ['GET', '/holds/hold_01980000-0000-7000-8000-000000000000', ['records.privacy-officer'], 404],
  ['POST', '/holds/hold_01980000-0000-7000-8000-000000000000/release', ['records.privacy-officer'], 404],
  ['POST', '/erasures', ['records.privacy-officer'], 422],
  ['GET', '/erasures', ['records.privacy-officer'], 200],
  ['POST', `/decisions/${ID}/rehydrate`, ['records.writer', 'records.operator'], 422],
  ['GET', '/audit-events/evt_01980000-0000-7000-8000-000000000000', ['records.auditor'], 404],
];

describe('roles', () => {
  let storage: StorageUnderTest;
  let host: HttpHost;
  beforeAll(async () => {
    storage = await openStorage(STORAGES[0] as (typeof STORAGES)[0]);
    host = httpHost(storage.ports);
  });
  afterAll(() => storage.close());

  it.each(TABLE)('%s %s is for %j', async (method, path, allowed, status) => {
    const body = method === 'GET' ? {} : { body: MINIMAL };
    for (const role of ROLES) {
      const reply = await host.request(method, path, { ...body, roles: role });
      expect([role, reply.status]).toEqual([role, allowed.includes(role) ? status : 403]);
      if (!allowed.includes(role)) expect(reply.code).toBe('forbidden');
    }
    for (const none of ['', 'records', 'admin, root'])
      expect((await host.request(method, path, { ...body, roles: none })).status).toBe(403);
    for (const some of [undefined, ROLES.join(','), `nobody , ${allowed[0] ?? ''} `]) {
      const reply = await host.request(method, path, {
        ...body,
        ...(some === undefined ? {} : { roles: some }),
      });
      expect(reply.status).toBe(status);
    }
  });

  it('health is for anybody', async () => {
    expect((await host.get('/health', { roles: '' })).status).toBe(200);
    expect((await host.get('/health', { tenant: 'NOBODY' })).status).toBe(200);
  });
});

describe('the caller', () => {
  let storage: StorageUnderTest;
  let host: HttpHost;
  beforeAll(async () => {
    storage = await openStorage(STORAGES[0] as (typeof STORAGES)[0]);
    host = httpHost(storage.ports);
  });
  afterAll(() => storage.close());

  it('is developer of the tenant default, with all roles, unless the headers say otherwise', async () => {
    const { tenant, data } = (await created(host)).envelope;
    expect([tenant, data['created_by']]).toEqual(['default', 'developer']);
  });

  it.each(['127.0.0.1', '127.0.0.1:7071', 'localhost:7071', '[::1]:7071'])('may call %s', async (host_) => {
    expect((await host.get('/decisions', { origin: `http://${host_}` })).status).toBe(200);
  });

  it.each(['example.com', '10.0.0.1', 'localhost.example.com', '0.0.0.0', '127.0.0.1.nip.io', '[::]'])(
    'is nobody at %s, which may not be this machine',
    async (name) => {
      const reply = await host.get('/decisions', { origin: `http://${name}:7071` });
      expect([reply.status, reply.code]).toEqual([401, 'unauthenticated']);
      expect(reply.headers['www-authenticate']).toBe('Bearer');
    },
  );

  it.each([
    { tenant: 'Acme' },
    { tenant: '' },
    { tenant: 'a_b' },
    { tenant: '_system' },
    { tenant: 'a'.repeat(64) },
    { tenant: 'a:b' },
    { actor: '' },
    { actor: ' ' },
    { actor: 'a'.repeat(257) },
  ])('is nobody with %j', async (options) => {
    const reply = await host.get('/decisions', options);
    expect([reply.status, reply.code]).toEqual([401, 'unauthenticated']);
  });

  it('has the tenant of the header alone: neither the body nor the query can choose another', async () => {
    const reply = await host.post('/decisions', { ...MINIMAL, tenant: 'acme' });
    expect([reply.status, reply.pointers]).toEqual([422, ['/tenant']]);
    expect((await host.get('/decisions?tenant=acme')).status).toBe(400);
  });

  it.each(['x-session-id', 'x-correlation-id'])(
    'may send %s of 256 visible characters, no more',
    async (name) => {
      const send = async (value: string): Promise<number> =>
        (await host.get('/decisions', { headers: { [name]: value } })).status;
      expect([await send('s'.repeat(256)), await send('s'.repeat(257)), await send('ä')]).toEqual([
        200, 400, 400,
      ]);
    },
  );
});

describe.each(STORAGES)('tenants $name', (kind) => {
  const { host } = useHttpHost(kind);

  it('see nothing of each other, by any route', async () => {
    const mine = { tenant: newTenant() };
    const other = { tenant: `${mine.tenant}x` };
    const record = await created(host, {}, mine);
    const { id } = record.envelope;
    const operation = await host.post('/inbox/decisions', MINIMAL, mine);
    await host.platform.sealer.sealTenant(mine.tenant);
    const [event] = (await host.get('/audit-events', mine)).page.items;
    for (const path of [
      `/decisions/${id}`,
      `/decisions/${id}/revisions`,
      `/decisions/${id}/revisions/1`,
      `/operations/${String(operation.json['operation_id'])}`,
      `/audit-events/${String(event?.['event_id'])}`,
    ]) {
      expect([path, (await host.get(path, mine)).status]).toEqual([path, 200]);
      expect([path, (await host.get(path, other)).status]).toEqual([path, 404]);
    }
    expect((await host.patch(`/decisions/${id}`, {}, '*', other)).status).toBe(404);
    expect((await host.post(`/decisions/${id}/votes`, vote('a'), other)).status).toBe(404);
    for (const path of ['/decisions', '/audit-events', `/audit-events?resource_id=${id}`])
      expect([path, (await host.get(path, other)).page.items]).toEqual([path, []]);
    expect((await host.get(`/decisions/${id}`, mine)).json).toEqual(record.json);
  });
});
