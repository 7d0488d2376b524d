import { describe, expect, it } from 'vitest';
import { countingPorts } from '../support/counting-ports.js';
import { created, newTenant } from '../support/decisions.js';
import { httpHost, type RequestOptions } from '../support/http-harness.js';
import { STORAGES } from '../support/platform.js';
import { useHttpHost } from '../support/use-http-host.js';

const DEFAULTS = { schema_version: '1.0', list_limit_default: 50, cache: { enabled: true }, retention: {} };

describe.each(STORAGES)('/configuration $name', (kind) => {
  const { storage, host } = useHttpHost(kind);

  const put = (body: unknown, options: RequestOptions) => host.request('PUT', '/configuration', { body, ...options }); // prettier-ignore

  it('shows the defaults, then what was put, and takes conditions', async () => {
    const options = { tenant: newTenant() };
    const none = await host.get('/configuration', options);
    expect([none.status, none.json, none.etag]).toEqual([200, DEFAULTS, '']);
    const first = await put({ list_limit_default: 5 }, { ...options, headers: { 'if-none-match': '*' } });
    expect([first.status, first.json]).toEqual([200, { ...DEFAULTS, list_limit_default: 5 }]);
    expect(first.etag).toMatch(/^"[0-9a-f]{24}"$/);
    const shown = await host.get('/configuration', options);
    expect([shown.status, shown.json, shown.etag]).toEqual([200, first.json, first.etag]);
    const same = await host.get('/configuration', { ...options, headers: { 'if-none-match': first.etag } });
    expect([same.status, same.text]).toEqual([304, '']);
    const again = await put({}, { ...options, headers: { 'if-none-match': '*' } });
    expect([again.status, again.code]).toEqual([412, 'version-conflict']);
    const second = await put(
      { ...first.json, cache: { enabled: false } },
      { ...options, ifMatch: first.etag },
    );
    expect([second.status, second.json]).toEqual([200, { ...DEFAULTS, list_limit_default: 5, cache: { enabled: false } }]); // prettier-ignore
    expect((await put({}, { ...options, ifMatch: first.etag })).status).toBe(412);
    expect((await host.get('/configuration', options)).json).toEqual(second.json);
    const back = await put({}, options);
    expect([back.status, back.json]).toEqual([200, DEFAULTS]);
  });

  it('is each tenant’s own, and another host’s too', async () => {
    const [mine, theirs] = [{ tenant: newTenant() }, { tenant: newTenant() }];
    const made = await put({ list_limit_default: 7 }, mine);
    const other = httpHost(storage.ports);
    expect((await other.get('/configuration', mine)).json).toEqual(made.json);
    expect((await other.get('/configuration', theirs)).json).toEqual(DEFAULTS);
  });

  it('refuses what is no configuration, says where, and stores nothing', async () => {
    const options = { tenant: newTenant() };
    const bad: readonly (readonly [unknown, readonly string[]])[] = [
      [{ list_limit_default: 0 }, ['/list_limit_default']],
      [{ list_limit_default: 1e9 }, ['/list_limit_default']],
      [{ cache: { enabled: 1 } }, ['/cache/enabled']],
      [{ cache: { enabled: true, x: 1 } }, ['/cache/x']],
      [{ display_name: 'Acme', list_limit_default: 'many' }, ['/list_limit_default', '/display_name']],
      [[], ['']],
      ['x', ['']],
      [JSON.parse('{"__proto__":{"list_limit_default":1}}'), ['/__proto__']],
    ];
    for (const [body, pointers] of bad) {
      const reply = await put(body, options);
      expect([reply.status, reply.pointers], JSON.stringify(body)).toEqual([422, pointers]);
    }
    const malformed = await host.request('PUT', '/configuration', { ...options, raw: '{' });
    expect([malformed.status, malformed.code]).toEqual([400, 'request-malformed']);
    const typed = await host.request('PUT', '/configuration', { ...options, raw: '{}', headers: { 'content-type': 'text/plain' } }); // prettier-ignore
    expect([typed.status, typed.code]).toEqual([415, 'unsupported-media-type']);
    expect((await put({}, { ...options, roles: 'records.writer' })).code).toBe('forbidden');
    expect((await host.get('/configuration', { ...options, roles: 'records.reader' })).code).toBe(
      'forbidden',
    );
    expect((await host.get('/configuration?limit=1', options)).code).toBe('request-malformed');
    const shown = await host.get('/configuration', options);
    expect([shown.json, shown.etag]).toEqual([DEFAULTS, '']);
  });

  it('decides how long the pages are of lists that are asked for without a limit', async () => {
    const options = { tenant: newTenant() };
    const { id } = (await created(host, {}, options)).envelope;
    await created(host, {}, options);
    const { etag } = await host.get(`/decisions/${id}`, options);
    await host.patch(`/decisions/${id}`, { title: 'Another' }, etag, options);
    const run = (await host.post('/workflow-executions', { workflow_name: 'w', version: '1', status: 'running', total_steps: 2 }, options)).envelope.id; // prettier-ignore
    for (const step_id of ['a', 'b'])
      await host.post(`/workflow-executions/${run}/steps`, { step_id, step_name: 's', status: 'running' }, options); // prettier-ignore
    const metric = (await host.post('/metrics', { name: 'm', metric_type: 'gauge', unit: '1', current_value: 1 }, options)).envelope.id; // prettier-ignore
    await host.post(`/metrics/${metric}/values`, { values: [{ value: 2 }, { value: 3 }] }, options);
    await host.platform.sealer.sealTenant(options.tenant);
    const lists = ['/decisions', `/decisions/${id}/revisions`, `/workflow-executions/${run}/steps`, `/metrics/${metric}/values`, '/audit-events']; // prettier-ignore
    const length = async (path: string) => (await host.get(path, options)).page.items.length;
    for (const path of lists) expect([path, await length(path)]).not.toEqual([path, 1]);
    await put({ list_limit_default: 1 }, options);
    for (const path of lists) {
      expect([path, await length(path)]).toEqual([path, 1]);
      expect([path, await length(`${path}?limit=2`)]).toEqual([path, 2]);
    }
  });

  it('is not looked for where a list is refused anyway', async () => {
    const counting = countingPorts(storage.ports);
    const other = httpHost(counting.ports);
    for (const path of [
      '/decisions',
      '/decisions/x/revisions',
      '/metrics/x/values',
      '/workflow-executions/x/steps',
      '/audit-events',
    ])
      for (const query of ['cursor=7', 'cursor=a.b', 'limit=0', 'no=1']) {
        const refused = await other.get(`${path}?${query}`, { tenant: newTenant() });
        expect([path, query, refused.status, refused.code]).toEqual([path, query, 400, 'request-malformed']);
      }
    expect(counting.calls).toEqual([]);
  });

  it('is in the trail of its tenant', async () => {
    const options = { tenant: newTenant() };
    await put({ list_limit_default: 5 }, { ...options, actor: 'olga' });
    await host.platform.sealer.sealTenant(options.tenant);
    const [event] = (await host.get('/audit-events', options)).page.items;
    expect(event).toMatchObject({
      event_type: 'configuration.changed',
      action: 'put',
      resource_id: options.tenant,
      details: { changed: ['list_limit_default'] },
    });
  });
});
