import { describe, expect, it } from 'vitest';
import { RECORD_TYPES } from '../../src/records/registry.js';
import { created, newTenant } from '../support/decisions.js';
import { STORAGES } from '../support/platform.js';
import { useHttpHost } from '../support/use-http-host.js';

/** REQ-STO-021: only the members that are asked for. */
describe.each(STORAGES)('GET /{collection}?fields= $name', (kind) => {
  const { host } = useHttpHost(kind);

  it.each(RECORD_TYPES.map((type) => [type.recordType, type] as const))(
    'shows of %s each member alone, and all together what no projection shows',
    async (_, type) => {
      const options = { tenant: newTenant() };
      const made = await host.post(`/${type.collection}`, type.example, options);
      expect(made.status, made.text).toBe(201);
      const [whole = {}] = (await host.get(`/${type.collection}`, options)).page.items;
      const shown = async (fields: string): Promise<unknown> =>
        (await host.get(`/${type.collection}?fields=${fields}`, options)).page.items;
      for (const [name, value] of Object.entries(whole))
        expect(await shown(name)).toEqual([{ id: whole['id'], [name]: value }]);
      expect(await shown(Object.keys(whole).join())).toEqual([whole]);
      const absent = type.summary.find((name) => !(name in whole));
      if (absent !== undefined) expect(await shown(absent)).toEqual([{ id: whole['id'] }]);
      expect(await shown('id')).toEqual([{ id: whole['id'] }]);
      expect(await shown('id,id,revision')).toEqual([{ id: whole['id'], revision: 1 }]);
    },
  );

  it('goes with filters, and a page may be continued with other members', async () => {
    const options = { tenant: newTenant() };
    for (const title of ['a', 'b', 'c', 'd'])
      await created(host, { title, status: title === 'c' ? 'failed' : 'queued' }, options);
    const list = async (query: string) => {
      const reply = await host.get(`/decisions?status=queued&limit=1&${query}`, options);
      expect(reply.status, reply.text).toBe(200);
      const [{ id: _, ...rest } = {}] = reply.page.items;
      return { rest, cursor: `cursor=${encodeURIComponent(reply.page.next_cursor ?? '')}` };
    };
    const first = await list('fields=title,status');
    expect(first.rest).toEqual({ title: 'd', status: 'queued' });
    const second = await list(`fields=title&${first.cursor}`);
    expect(second.rest).toEqual({ title: 'b' });
    const third = await list(second.cursor);
    expect(third.rest).toMatchObject({ title: 'a', record_type: 'decision', revision: 1 });
  });

  it.each([
    ['/decisions?fields=', 'fields: a summary of decisions has record_type, id, '],
    ['/decisions?fields=title,,status', 'fields: a summary of decisions has record_type, id, '],
    ['/decisions?fields=,', 'fields: a summary of decisions has record_type, id, '],
    ['/decisions?fields=title,colour', 'fields: a summary of decisions has record_type, id, '],
    ['/decisions?fields=Title', 'fields: a summary of decisions has record_type, id, '],
    ['/decisions?fields=title%20', 'fields: a summary of decisions has record_type, id, '],
    ['/decisions?fields=metadata', 'fields: a summary of decisions has record_type, id, '],
    ['/decisions?fields=row_checksum', 'fields: a summary of decisions has record_type, id, '],
    ['/decisions?fields=links_0', 'fields: a summary of decisions has record_type, id, '],
    ['/metrics?fields=title', 'fields: a summary of metrics has record_type, id, '],
    ['/decisions?fields=__proto__', 'fields: a summary of decisions has record_type, id, '],
    ['/decisions?fields=title&fields=status', 'twice'],
  ])('%s is 400 and says what there is, and not what was asked for', async (path, named) => {
    const reply = await host.get(path);
    expect([reply.status, reply.code]).toEqual([400, 'request-malformed']);
    expect(reply.problem.detail).toContain(named);
  });

  it('is no parameter of anything else', async () => {
    for (const path of ['/audit-events', '/decisions/dec_01980000-0000-7000-8000-000000000000'])
      expect((await host.get(`${path}?fields=id`)).status).toBe(400);
  });
});
