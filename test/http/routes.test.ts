import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { realClock } from '../support/virtual-clock.js';
import { memoryPorts } from '../support/memory-ports.js';
import { httpHost, ROUTES } from '../support/http-harness.js';
import { newTenant } from '../support/decisions.js';

const FUNCTIONS = join(import.meta.dirname, '..', '..', 'functions');
const host = httpHost(memoryPorts({ clock: realClock }));

describe('the registrations in functions/', () => {
  const registered = readdirSync(FUNCTIONS)
    .map((name) => readFileSync(join(FUNCTIONS, name), 'utf8'))
    .filter((text) => text.includes('app.http('));

  it('are the routes that the tests speak to', () => {
    const templates = registered.map((text) => /route: '(.+)'/.exec(text)?.[1]);
    expect(templates.sort()).toEqual(Object.keys(ROUTES).sort());
  });

  it('take every method, anonymously, so that our own answers are given', () => {
    for (const text of registered) {
      expect(text).toContain('methods: [...ALL_METHODS]');
      expect(text).toContain("authLevel: 'anonymous'");
      expect(text).toMatch(/handler: handle\(\w+Resource, httpServices\)/);
    }
  });
});

describe('a method that a resource does not take', () => {
  const id = 'dec_01980000-0000-7000-8000-000000000000';
  it.each([
    ['DELETE', '/decisions', 'POST, GET'],
    ['PUT', '/decisions', 'POST, GET'],
    ['PATCH', '/decisions', 'POST, GET'],
    ['GET', '/decisions/batch', 'POST'],
    ['DELETE', `/decisions/${id}`, 'GET, PATCH'],
    ['POST', `/decisions/${id}`, 'GET, PATCH'],
    ['PUT', `/decisions/${id}`, 'GET, PATCH'],
    ['GET', `/decisions/${id}/votes`, 'POST'],
    ['POST', `/decisions/${id}/revisions`, 'GET'],
    ['DELETE', `/decisions/${id}/revisions/1`, 'GET'],
    ['POST', `/decisions/${id}/lineage`, 'GET'],
    ['GET', '/inbox/decisions', 'POST'],
    ['DELETE', '/operations/op_1', 'GET'],
    ['POST', '/health', 'GET'],
    ['POST', '/jobs', 'GET'],
    ['GET', '/jobs/migrate/run', 'POST'],
    ['POST', '/configuration', 'GET, PUT'],
    ['DELETE', '/holds', 'POST, GET'],
    ['DELETE', '/holds/hold_1', 'GET'],
    ['GET', '/holds/hold_1/release', 'POST'],
    ['POST', '/openapi.json', 'GET'],
    ['PUT', '/docs', 'GET'],
    ['DELETE', '/docs/start.js', 'GET'],
    ['PATCH', '/audit-events', 'POST, GET'],
    ['DELETE', '/audit-events/evt_1', 'GET'],
  ])('%s %s is 405 and says which it does take', async (method, path, allow) => {
    const reply = await host.request(method, path);
    expect([reply.status, reply.code, reply.headers['allow']]).toEqual([405, 'method-not-allowed', allow]);
  });
});

describe('an address where nothing is', () => {
  it.each([
    ['GET', '/nothing/at/all/here/either'],
    ['POST', '/'],
    ['GET', '/metrics-of-no-kind'],
    ['POST', '/metrics-of-no-kind'],
    ['POST', '/metrics-of-no-kind/batch'],
    ['POST', '/inbox/metrics-of-no-kind'],
    ['GET', '/metrics-of-no-kind/x'],
    ['GET', '/metrics-of-no-kind/x/revisions'],
    ['GET', '/metrics-of-no-kind/x/lineage'],
    ['GET', '/audit-events/evt_01980000-0000-7000-8000-000000000000/lineage'],
    ['POST', '/decisions/dec_01980000-0000-7000-8000-000000000000/blessings'],
    ['POST', '/decisions/dec_01980000-0000-7000-8000-000000000000/constructor'],
    ['GET', '/operations/op_01980000-0000-7000-8000-000000000000'],
    ['GET', '/audit-events/evt_01980000-0000-7000-8000-000000000000'],
    ['GET', '/audit-events/nonsense'],
    ['GET', '/holds/hold_01980000-0000-7000-8000-000000000000'],
    ['POST', '/holds/nonsense/release'],
    ['GET', '/jobs/migrate'],
    ['GET', '/jobs/migrate/revisions'],
  ])('%s %s is a problem document with 404', async (method, path) => {
    const reply = await host.request(method, path, method === 'POST' ? { body: {} } : {});
    expect([reply.status, reply.code]).toEqual([404, 'record-not-found']);
    expect(reply.headers['content-type']).toMatch(/^application\/problem\+json/);
  });

  it('has nothing to list either for a tenant that never stored anything', async () => {
    const reply = await host.get('/decisions', { tenant: newTenant() });
    expect([reply.status, reply.json]).toEqual([200, { items: [], next_cursor: null }]);
  });
});
