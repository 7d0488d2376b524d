import { describe, expect, it } from 'vitest';
import { countingPorts } from '../support/counting-ports.js';
import { created, newTenant } from '../support/decisions.js';
import { httpHost, type Reply } from '../support/http-harness.js';
import { openStorage, STORAGES } from '../support/platform.js';
import { VirtualClock } from '../support/virtual-clock.js';

const MINUTE = 60_000;
const NO_CACHE = { 'cache-control': 'no-cache' };

/** REQ-STO-019, as clients see it. Hosts have a clock of their own, which stands still. */
describe.each(STORAGES)('reads from memory $name', (kind) => {
  async function stage() {
    const storage = await openStorage(kind);
    const options = { tenant: newTenant() };
    const open = () => {
      const clock = new VirtualClock(Date.now());
      const counting = countingPorts(storage.ports);
      const host = httpHost(counting.ports, { clock });
      const put = (body: object, path = 'cfo/cfo-1', more = {}) => host.request('PUT', `/agents/${path}`, { body, ...options, ...more }); // prettier-ignore
      const get = (path = '/agents/cfo/cfo-1', headers: Record<string, string> = {}) => host.get(path, { ...options, headers }); // prettier-ignore
      return { ...host, clock, counting, put, get };
    };
    return { options, here: open(), there: open() };
  }
  const said = ({ status, headers }: Reply) => [status, headers['cache-status'], headers['age']];
  const hit = (age: string) => [200, 'business-records; hit', age];
  const forwarded = (why: string) => [200, `business-records; fwd=${why}`, undefined];

  it('say so, say how old they are, and take no storage call', async () => {
    const { here } = await stage();
    const made = await here.put({ status: 'idle' });
    expect(said(made)).toEqual([201, undefined, undefined]);
    const first = await here.get();
    expect(said(first)).toEqual(forwarded('miss'));
    here.counting.reset();
    await here.clock.advance(2500);
    for (const path of ['/agents/cfo/cfo-1', `/agents/${made.envelope.id}`]) {
      const again = await here.get(path);
      expect(said(again)).toEqual(hit('2'));
      expect([again.json, again.etag]).toEqual([first.json, made.etag]);
      expect(again.headers['cache-control']).toBe('private, no-cache');
      const unchanged = await here.get(path, { 'if-none-match': made.etag });
      expect([...said(unchanged), unchanged.text, unchanged.etag]).toEqual([304, 'business-records; hit', '2', '', made.etag]); // prettier-ignore
    }
    expect(here.counting.calls).toEqual([]);
  });

  it('see what this host writes at once, what another one writes in time or when they ask for it', async () => {
    const { here, there } = await stage();
    await here.put({ status: 'one' });
    const status = async (headers = {}) => (await here.get(undefined, headers)).envelope.data['status'];
    expect(await status()).toBe('one');
    await here.put({ status: 'two' });
    expect(await status()).toBe('two');
    await there.put({ status: 'three' });
    expect(await status()).toBe('two');
    for (const headers of [
      NO_CACHE,
      { 'cache-control': 'max-age=0' },
      { 'cache-control': 'No-Store' },
      { pragma: 'no-cache' },
    ]) {
      await there.put({ status: JSON.stringify(headers) });
      const fresh = await here.get(undefined, headers);
      expect(said(fresh)).toEqual(forwarded('request'));
      expect(fresh.envelope.data['status']).toBe(JSON.stringify(headers));
    }
    const before = await status();
    await there.put({ status: 'four' });
    await here.clock.advance(5 * MINUTE);
    expect(await status()).toBe(before);
    await here.clock.advance(1);
    const late = await here.get();
    expect([late.envelope.data['status'], ...said(late)]).toEqual(['four', ...forwarded('stale')]);
  });

  it('are made conditional by what another host wrote only when they ask for it', async () => {
    const { here, there } = await stage();
    const { etag } = await here.put({ status: 'one' });
    await here.get();
    await there.put({ status: 'two' });
    expect((await here.get(undefined, { 'if-none-match': etag })).status).toBe(304);
    expect((await here.get(undefined, { 'if-none-match': etag, ...NO_CACHE })).status).toBe(200);
  });

  it('show each step, value and end of a workflow that this host took', async () => {
    const { here, options } = await stage();
    const { id } = (await here.post('/workflow-executions', { workflow_name: 'w', version: '1', status: 'running', total_steps: 3 }, options)).envelope; // prettier-ignore
    const path = `/workflow-executions/${id}`;
    for (const n of [1, 2, 3]) {
      const step = { step_id: `s${n}`, step_name: 's', status: 'running' };
      const added = await here.post(`${path}/steps`, step, options);
      expect(added.status, added.text).toBe(200);
      const read = await here.get(path);
      expect([Object.keys(read.envelope.data['step_results'] as object).length, read.etag]).toEqual([
        n,
        added.etag,
      ]);
      expect(said(await here.get(path))).toEqual(hit('0'));
    }
    const { etag } = await here.get(path);
    const ended = await here.patch(path, { status: 'completed' }, etag, options);
    expect(ended.status, ended.text).toBe(200);
    for (let n = 0; n < 2; n += 1) {
      const read = await here.get(path);
      expect([read.envelope.data['status'], ...said(read)]).toEqual(['completed', ...forwarded('miss')]);
    }
  });

  it('are of the tenant that asks', async () => {
    const { here } = await stage();
    const { id } = (await here.put({ status: 'idle' })).envelope;
    expect(said(await here.get())).toEqual(forwarded('miss'));
    for (const path of ['/agents/cfo/cfo-1', `/agents/${id}`, `/metrics/${id}`])
      expect([path, (await here.request('GET', path, { tenant: newTenant() })).status]).toEqual([path, 404]);
    expect((await here.get(`/metrics/${id}`)).status).toBe(404);
    expect(said(await here.get())).toEqual(hit('0'));
  });

  it('are none where a decision, a revision, the past or a list is read', async () => {
    const { here, options } = await stage();
    const { envelope } = await here.put({ status: 'idle' });
    const decision = await created(here, {}, options);
    await here.get();
    for (const path of [
      `/decisions/${decision.envelope.id}`,
      `/agents/${envelope.id}/revisions`,
      `/agents/${envelope.id}/revisions/1`,
      `/agents/${envelope.id}?as_of=${envelope.stored_at}`,
      '/agents',
    ]) {
      here.counting.reset();
      expect([path, ...said(await here.get(path))]).toEqual([path, 200, undefined, undefined]);
      expect(here.counting.calls.length, path).toBeGreaterThan(0);
    }
  });

  it('are none where the tenant does not want them', async () => {
    const { here, there } = await stage();
    await here.put({ status: 'one' });
    await here.get();
    const off = await here.request('PUT', '/configuration', { body: { cache: { enabled: false } }, tenant: (await here.get()).envelope.tenant }); // prettier-ignore
    expect(off.status, off.text).toBe(200);
    await there.put({ status: 'two' });
    for (let n = 0; n < 2; n += 1) {
      const read = await here.get();
      expect([read.envelope.data['status'], ...said(read)]).toEqual(['two', ...forwarded('bypass')]);
    }
    expect(here.platform.manager.cacheStatistics()).toMatchObject({ agent_state: { bypassed: 2 } });
  });
});
