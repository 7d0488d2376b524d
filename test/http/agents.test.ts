import { describe, expect, it } from 'vitest';
import { newTenant, walk } from '../support/decisions.js';
import { httpHost, type Reply, type RequestOptions } from '../support/http-harness.js';
import { STORAGES } from '../support/platform.js';
import { realClock } from '../support/virtual-clock.js';
import { useHttpHost } from '../support/use-http-host.js';

/** REQ-DATA-004: agents put their state under their role and their name. */
describe.each(STORAGES)('/agents $name', (kind) => {
  const { storage, host } = useHttpHost(kind);

  const put = (path: string, body: unknown, options: RequestOptions = {}, on = host): Promise<Reply> =>
    on.request('PUT', `/agents/${path}`, { body, ...options });

  it('creates a state, then replaces it, and keeps what it was', async () => {
    const options = { tenant: newTenant() };
    const first = await put('cfo/cfo-1', { status: 'busy', current_load: 0.5, tasks: [{ task_id: 't', status: 'running' }] }, options); // prettier-ignore
    expect([first.status, first.headers['location']]).toEqual([201, `/api/agents/${first.envelope.id}`]);
    expect(first.envelope.id).toMatch(/^agt_/);
    const { last_updated, tasks, ...rest } = first.envelope.data;
    expect(rest).toEqual({ agent_id: 'cfo-1', role: 'cfo', status: 'busy', current_load: 0.5, metrics: {}, configuration: {} }); // prettier-ignore
    expect(tasks).toEqual([{ task_id: 't', status: 'running', started_at: last_updated }]);
    const second = await put('cfo/cfo-1', { status: 'idle' }, options);
    expect(second.status).toBe(200);
    expect(second.envelope).toMatchObject({ id: first.envelope.id, revision: 2, data: { status: 'idle', tasks: [], current_load: 0 } }); // prettier-ignore
    for (const path of ['/agents/cfo/cfo-1', `/agents/${first.envelope.id}`]) {
      const read = await host.get(path, options);
      expect([read.status, read.json, read.etag]).toEqual([200, second.json, second.etag]);
      const fresh = await host.get(path, { ...options, headers: { 'if-none-match': second.etag } });
      expect(fresh.status).toBe(304);
      const then = await host.get(`${path}?as_of=${first.envelope.stored_at}`, options);
      expect(then.json).toEqual(first.json);
    }
    const revisions = await host.get(`/agents/${first.envelope.id}/revisions`, options);
    expect(revisions.heads.map(({ revision }) => revision)).toEqual([1, 2]);
    const patched = await host.patch(`/agents/${first.envelope.id}`, { current_load: 2 }, second.etag, options); // prettier-ignore
    expect([patched.status, patched.envelope.revision]).toEqual([200, 3]);
  });

  it('has one record for a name, however many hosts create it at once', async () => {
    const options = { tenant: newTenant() };
    const hosts = [host, httpHost(storage.ports), httpHost(storage.ports)];
    const replies = await Promise.all(hosts.map((on, n) => put('coo/x', { status: `s${n}` }, options, on)));
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 200, 201]);
    expect(new Set(replies.map(({ envelope }) => envelope.id)).size).toBe(1);
    expect((await host.get('/agents/coo/x', options)).envelope.revision).toBe(3);
    expect((await walk(host, '/agents', options)).ids).toHaveLength(1);
  });

  it('holds to conditions', async () => {
    const options = { tenant: newTenant() };
    const onlyNew = { ...options, headers: { 'if-none-match': '*' } };
    expect((await put('cfo/a', { status: 'idle' }, { ...options, ifMatch: '"x"' })).status).toBe(412);
    const first = await put('cfo/a', { status: 'idle' }, onlyNew);
    expect(first.status).toBe(201);
    expect((await put('cfo/a', { status: 'busy' }, onlyNew)).status).toBe(412);
    const second = await put('cfo/a', { status: 'busy' }, { ...options, ifMatch: first.etag });
    expect(second.status).toBe(200);
    expect((await put('cfo/a', { status: 'idle' }, { ...options, ifMatch: first.etag })).status).toBe(412);
    expect((await host.get('/agents/cfo/a', options)).envelope.revision).toBe(2);
  });

  it('takes any role and name that an address can say, and tells them apart', async () => {
    const options = { tenant: newTenant() };
    const names = ['a b', 'ä/ö', 'A', 'a', 'a'.repeat(256), '..a', "o'x", '=41'];
    const ids = [];
    for (const name of names) {
      const path = `${encodeURIComponent('chief of ☃')}/${encodeURIComponent(name)}`;
      const made = await put(path, { status: 'idle' }, options);
      expect([made.status, made.envelope.data['agent_id']], made.text).toEqual([201, name]);
      ids.push(made.envelope.id);
      expect((await httpHost(storage.ports).get(`/agents/${path}`, options)).envelope.id).toBe(made.envelope.id); // prettier-ignore
      expect((await httpHost(storage.ports).get(`/agents/${made.envelope.id}`, options)).status).toBe(200);
    }
    expect(new Set(ids).size).toBe(names.length);
    const found = await walk(host, `/agents?role=${encodeURIComponent('chief of ☃')}`, options);
    expect(found.ids.sort()).toEqual(ids.sort());
    expect((await host.get('/agents/chief/A', options)).code).toBe('record-not-found');
    expect((await host.get('/agents/chief%20of%20%E2%98%83/A', { tenant: newTenant() })).status).toBe(404);
  });

  it('refuses what no state can be, says where, and stores nothing', async () => {
    const options = { tenant: newTenant() };
    const bad: readonly (readonly [string, unknown, readonly string[]])[] = [
      ['cfo/a', {}, ['/status']],
      ['cfo/a', { status: ' ' }, ['/status']],
      ['cfo/a', { status: 'x', role: 'cfo' }, ['/role']],
      ['cfo/a', { status: 'x', agent_id: 'a' }, ['/agent_id']],
      ['cfo/a', { status: 'x', last_updated: '2026-01-01T00:00:00Z' }, ['/last_updated']],
      ['cfo/a', { status: 'x', current_load: -0.1 }, ['/current_load']],
      ['cfo/a', { status: 'x', metrics: { avg_confidence: 1.1, uptime_percentage: 101, error_count: 0.5 } }, ['/metrics/avg_confidence', '/metrics/error_count', '/metrics/uptime_percentage']], // prettier-ignore
      ['cfo/a', { status: 'x', tasks: [{ task_id: 't', status: 'x' }, { task_id: 't', status: 'y' }] }, ['/tasks/1/task_id']], // prettier-ignore
      ['cfo/a', { status: 'x', tasks: Array.from({ length: 1001 }, (_, n) => ({ task_id: `${n}`, status: 'x' })) }, ['/tasks']], // prettier-ignore
      [`${'r'.repeat(129)}/a`, { status: 'x' }, ['']],
      [`${encodeURIComponent('ä'.repeat(22))}/a`, { status: 'x' }, ['']],
      [`cfo/${'n'.repeat(257)}`, { status: 'x' }, ['']],
      ['cfo/batch', { status: 'x' }, ['']],
    ];
    for (const [path, body, pointers] of bad) {
      const reply = await put(path, body, options);
      expect([reply.status, reply.code, [...reply.pointers].sort()], `${path} ${reply.text}`).toEqual([422, 'record-invalid', pointers]); // prettier-ignore
    }
    const wrong = await put('cfo/a', undefined, { ...options, raw: '{"status":"x","current_load":1e999}' });
    expect(wrong.status).toBe(422);
    // These are routes of their own.
    expect((await put('cfo/revisions', { status: 'x' }, options)).status).toBe(405);
    expect((await host.get('/agents/cfo/revisions', options)).status).toBe(404);
    expect((await host.get('/agents/cfo/a', options)).status).toBe(404);
    expect((await walk(host, '/agents', options)).ids).toEqual([]);
    expect((await host.request('PUT', '/decisions/x/votes', { body: {}, ...options })).headers['allow']).toBe('POST'); // prettier-ignore
    expect((await host.get('/decisions/x/votes', options)).code).toBe('method-not-allowed');
    expect((await put('cfo/a', { status: 'x' }, { ...options, roles: 'records.reader' })).status).toBe(403);
  });

  it('takes the whole state by POST, alone or in a batch, and a name once', async () => {
    const options = { tenant: newTenant() };
    const body = { role: 'cfo', agent_id: 'a', status: 'idle' };
    expect((await host.post('/agents', body, options)).status).toBe(201);
    expect((await host.post('/agents', body, options)).code).toBe('record-exists');
    const items = Array.from({ length: 30 }, (_, n) => ({ role: `role ${n % 3}`, agent_id: `a${n}`, status: 'idle' })); // prettier-ignore
    const batch = await host.post('/agents/batch', { items }, { ...options, key: 'k' });
    expect(batch.status, batch.text).toBe(201);
    const again = await httpHost(storage.ports).post('/agents/batch', { items }, { ...options, key: 'k' });
    expect([again.status, again.text]).toEqual([201, batch.text]);
    const other = { items: [{ ...body, agent_id: 'z' }] };
    expect((await host.post('/agents/batch', other, { ...options, key: 'k' })).code).toBe('idempotency-key-reused'); // prettier-ignore
    for (const [n, { id }] of batch.heads.entries()) {
      const read = await httpHost(storage.ports).get(`/agents/role%20${n % 3}/a${n}`, options);
      expect(read.envelope.id).toBe(id);
    }
    expect((await host.post('/agents/batch', { items: [body] }, options)).code).toBe('record-exists');
  });

  it('lists by role and status, newest first across roles, in pages of any size', async () => {
    const options = { tenant: newTenant() };
    let now = Date.UTC(2026, 5, 1);
    const writer = httpHost(storage.ports, { clock: { ...realClock, now: () => now } });
    const made: { id: string; role: string; status: string }[] = [];
    for (let n = 0; n < 40; n += 1) {
      now += 1000 * (n % 3);
      const [role, status] = [`role-${n % 7}`, n % 5 === 0 ? 'idle' : 'busy'];
      const reply = await put(`${role}/agent-${n}`, { status }, options, writer);
      expect(reply.status, reply.text).toBe(201);
      made.unshift({ id: reply.envelope.id, role, status });
    }
    const timeOf = (id: string): string => id.slice(4, 17);
    const expected = (fits: (one: (typeof made)[number]) => boolean): string[] =>
      made
        .filter(fits)
        .map(({ id }) => id)
        .sort((a, b) => (timeOf(a) === timeOf(b) ? (a < b ? -1 : 1) : timeOf(a) > timeOf(b) ? -1 : 1));
    for (const limit of [1, 3, 7, 40, 1000]) {
      expect((await walk(host, `/agents?limit=${limit}`, options)).ids).toEqual(expected(() => true));
      expect((await walk(host, `/agents?limit=${limit}&role=role-3`, options)).ids).toEqual(expected(({ role }) => role === 'role-3')); // prettier-ignore
      expect((await walk(host, `/agents?limit=${limit}&status=idle`, options)).ids).toEqual(expected(({ status }) => status === 'idle')); // prettier-ignore
      expect((await walk(host, `/agents?limit=${limit}&status=idle&role=role-3`, options)).ids).toEqual(expected(({ role, status }) => role === 'role-3' && status === 'idle')); // prettier-ignore
    }
    const from = new Date(Date.UTC(2026, 5, 1) + 10_000).toISOString();
    const late = expected((one) => parseInt(timeOf(one.id).replace('-', ''), 16) >= Date.parse(from));
    expect((await walk(host, `/agents?limit=3&from=${from}`, options)).ids).toEqual(late);
    const [item] = (await host.get('/agents?limit=1', options)).page.items;
    expect(Object.keys(item ?? {}).sort()).toEqual(['agent_id', 'checksum', 'created_at', 'current_load', 'id', 'last_updated', 'record_type', 'revision', 'role', 'schema_version', 'status', 'tier', 'updated_at']); // prettier-ignore
    expect((await host.get('/agents?agent_id=x', options)).status).toBe(400);
  });

  it('takes a promise, and says when the name was taken meanwhile', async () => {
    const options = { tenant: newTenant() };
    const body = { role: 'cfo', agent_id: 'late', status: 'idle' };
    const promised = await host.post('/inbox/agents', body, options);
    expect(promised.status).toBe(202);
    expect((await put('cfo/late', { status: 'busy' }, options)).status).toBe(201);
    const { manager } = host.platform;
    const type = host.platform.registry.findByCollection('agents');
    if (type === undefined) throw new Error('there are no agents');
    const id = 'agt_019b0000-0000-7000-8000-000000000000';
    const call = { tenant: options.tenant, actor: 'a', correlationId: 'c' };
    const fixed = { id, createdMs: 0x019b00000000 };
    await expect(manager.createPromised(type, body, fixed, call)).rejects.toMatchObject({ code: 'record-exists' }); // prettier-ignore
    const free = { ...body, agent_id: 'free' };
    const stored = await manager.createPromised(type, free, fixed, call);
    const again = await manager.createPromised(type, free, fixed, call);
    expect([again.replayed, again.envelope]).toEqual([true, stored.envelope]);
  });

  it('takes no reserved word for a name, whatever the way', async () => {
    const options = { tenant: newTenant() };
    for (const agent_id of ['revisions', 'lineage', 'proof', 'rehydrate']) {
      const body = { role: 'cfo', agent_id, status: 'idle' };
      for (const [path, sent, pointer] of [
        ['/agents', body, '/agent_id'],
        ['/inbox/agents', body, '/agent_id'],
        ['/agents/batch', { items: [body] }, '/items/0/agent_id'],
      ] as const) {
        const reply = await host.post(path, sent, options);
        expect([path, reply.status, reply.pointers]).toEqual([path, 422, [pointer]]);
      }
    }
    // Where the word has a route already, that answers.
    for (const word of ['rehydrate', 'proof'])
      expect((await put(`cfo/${word}`, { status: 'idle' }, options)).status).toBe(405);
    expect((await host.get('/agents', options)).page.items).toEqual([]);
  });

  it('says what is wrong with the condition before what is wrong with the body', async () => {
    const options = { tenant: newTenant() };
    const wrong = { nope: 1 };
    expect((await put('cfo/a', wrong, { ...options, ifMatch: '"1-stale"' })).status).toBe(412);
    expect((await put('cfo/a', wrong, options)).status).toBe(422);
    await put('cfo/a', { status: 'idle' }, options);
    expect((await put('cfo/a', wrong, { ...options, ifMatch: '"1-stale"' })).status).toBe(412);
    expect((await put('cfo/a', wrong, { ...options, headers: { 'if-none-match': '*' } })).status).toBe(412);
    expect((await put('cfo/a', wrong, options)).pointers).toContain('/nope');
  });
});
