import { describe, expect, it } from 'vitest';
import { checksumOf, type Json } from '../../src/domain/canonical-json.js';
import { committedOf } from '../support/committed.js';
import { COVENANT } from '../support/covenants.js';
import { created, newTenant, vote, walk } from '../support/decisions.js';
import { type Reply, type RequestOptions } from '../support/http-harness.js';
import { STORAGES } from '../support/platform.js';
import { useHttpHost } from '../support/use-http-host.js';

const READER = 'records.reader';
const WRITER = 'records.reader,records.writer';
const BODY = {
  created_by: 'Ada Lovelace',
  inputs: { salary: 4711 },
  provenance: { source: 'board', approved_by: 'Grace Hopper' },
  metadata: { region: 'eu', subject_id: 'person-17', subject_ids: ['person-18'] },
};
const SECRETS = ['Ada Lovelace', '4711', 'Grace Hopper', 'person-17', 'person-18', 'too dear', 'half of it'];
const VOTE = { ...vote('cfo'), vote: 'approve_with_conditions', reasoning: 'too dear', conditions: ['half of it'] }; // prettier-ignore

describe.each(STORAGES)('who sees what $name', (kind) => {
  const { storage, host } = useHttpHost(kind);

  const expectMasked = (reply: Reply): void => {
    const said = `${reply.text} ${JSON.stringify(reply.headers)}`;
    expect(SECRETS.filter((secret) => said.includes(secret))).toEqual([]);
    expect(reply.envelope).not.toHaveProperty('salts');
    expect(checksumOf(reply.envelope.data as Json)).toBe(reply.envelope.checksum);
  };
  const expectClear = (reply: Reply, secrets: readonly string[] = SECRETS): void => {
    expect(secrets.filter((secret) => !reply.text.includes(secret))).toEqual([]);
    expect(checksumOf(committedOf(reply.envelope) as Json)).toBe(reply.envelope.checksum);
  };

  it('a reader gets commitments and who may see gets values and salts, by every way to read', async () => {
    const options = { tenant: newTenant() };
    const made = await created(host, BODY, options);
    const path = `/decisions/${made.envelope.id}`;
    const voted = await host.post(`${path}/votes`, VOTE, options);
    expectClear(voted);
    const then = encodeURIComponent(voted.envelope.stored_at);
    for (const address of [path, `${path}?as_of=${then}`, `${path}/revisions/2`]) {
      expectClear(await host.get(address, options));
      expectMasked(await host.get(address, { ...options, roles: READER }));
    }
    const masked = (await host.get(path, { ...options, roles: READER })).envelope.data;
    expect(masked).toMatchObject({
      title: made.envelope.data['title'],
      created_by: { $commitment: expect.stringMatching(/^[0-9a-f]{64}$/) },
      agent_votes: [{ agent: 'cfo', vote: 'approve_with_conditions' }],
      metadata: { region: 'eu' },
    });
  });

  it('a writer who may not see changes what is there, and is answered with commitments', async () => {
    const options = { tenant: newTenant(), roles: WRITER };
    const made = await host.post('/decisions', { decision_type: 'financial', title: 'T', ...BODY }, { ...options, key: 'k' }); // prettier-ignore
    const again = await host.post('/decisions', { decision_type: 'financial', title: 'T', ...BODY }, { ...options, key: 'k' }); // prettier-ignore
    expect([made.status, again.status, again.headers['idempotency-replayed']]).toEqual([201, 201, 'true']);
    expect(again.text).toBe(made.text);
    const path = `/decisions/${made.envelope.id}`;
    const voted = await host.post(`${path}/votes`, VOTE, { ...options, ifMatch: made.etag });
    const patched = await host.patch(path, { inputs: { bonus: 1 }, metadata: { region: 'us' } }, voted.etag, options); // prettier-ignore
    for (const reply of [made, again, voted, patched]) expectMasked(reply);
    const seen = await host.get(path, { tenant: options.tenant });
    expectClear(seen);
    expect(seen.envelope.data).toMatchObject({ inputs: { salary: 4711, bonus: 1 }, metadata: { region: 'us', subject_id: 'person-17' } }); // prettier-ignore
    const { created_by: commitment } = patched.envelope.data;
    const refused = await host.patch(path, { metadata: { subject_id: commitment } }, patched.etag, options);
    expect([refused.code, refused.pointers]).toEqual(['record-invalid', ['/metadata/subject_id/$commitment']]); // prettier-ignore
  });

  it('a copy of one kind is never told to be one of the other', async () => {
    const options = { tenant: newTenant() };
    const made = await created(host, BODY, options);
    const path = `/decisions/${made.envelope.id}`;
    const masked = await host.get(path, { ...options, roles: READER });
    expect(masked.etag).not.toBe(made.etag);
    const asks = async (etag: string, roles?: string): Promise<number> =>
      (await host.get(path, { ...options, ...(roles === undefined ? {} : { roles }), headers: { 'if-none-match': etag } })).status; // prettier-ignore
    expect([await asks(made.etag), await asks(masked.etag, READER)]).toEqual([304, 304]);
    expect([await asks(masked.etag), await asks(made.etag, READER)]).toEqual([200, 200]);
    const moved = await host.patch(path, { status: 'in_progress' }, masked.etag, options);
    expect([moved.status, moved.envelope.revision]).toEqual([200, 2]);
    expect((await host.patch(path, { status: 'failed' }, masked.etag, options)).status).toBe(412);
    expect(moved.headers['cache-control']).toContain('private');
  });

  it('a view and a list of heads tell no more than the record does', async () => {
    const options = { tenant: newTenant() };
    const contact = { name: 'J. de Vries', email: 'covenant@meridian.example' };
    const organization = { ...COVENANT.organization, contact };
    const made = await host.post('/covenants', { ...COVENANT, organization, status: 'active' }, options);
    const path = `/covenants/${made.envelope.id}`;
    for (const address of [path, `${path}/ledger`, `${path}/versions`, `${path}/revisions`, '/covenants']) {
      const reply = await host.get(address, { ...options, roles: READER });
      expect(reply.status).toBe(200);
      for (const value of Object.values(contact)) expect(reply.text).not.toContain(value);
    }
    expect((await host.get(`${path}/ledger`, { ...options, roles: READER })).json).toMatchObject({ verified: true }); // prettier-ignore
  });

  it('an agent’s state is kept in memory once and shown to each as they may see it', async () => {
    const options = { tenant: newTenant() };
    const put: RequestOptions = { ...options, body: { status: 'busy', configuration: { api_key: 'hunter2' } } }; // prettier-ignore
    const made = await host.request('PUT', '/agents/cfo/cfo-1', put);
    const path = `/agents/${made.envelope.id}`;
    for (const roles of [undefined, READER, undefined, READER]) {
      const reply = await host.get(path, roles === undefined ? options : { ...options, roles });
      expect(reply.text.includes('hunter2')).toBe(roles === undefined);
    }
    expect((await host.get(path, options)).headers['cache-status']).toContain('hit');
  });

  it('lists find people by name, page by page and with other filters, and show none', async () => {
    const options = { tenant: newTenant() };
    const items = Array.from({ length: 24 }, (_, n) => ({
      decision_type: n % 2 === 0 ? 'technical' : 'financial',
      title: `decision ${String(n)}`,
      status: n % 3 === 0 ? 'queued' : 'in_progress',
      created_by: n % 4 === 0 ? 'Ada Lovelace' : 'Grace Hopper',
    }));
    const { heads } = await host.post('/decisions/batch', { items }, options);
    const idsOf = (fits: (item: (typeof items)[number]) => boolean): string[] =>
      items.flatMap((item, at) => (fits(item) ? [heads[at]?.id ?? ''] : [])).sort();
    const ada = 'created_by=Ada%20Lovelace';
    const cases: [string, (item: (typeof items)[number]) => boolean][] = [
      [ada, ({ created_by }) => created_by === 'Ada Lovelace'],
      [`${ada}&status=queued`, ({ created_by, status }) => created_by === 'Ada Lovelace' && status === 'queued'], // prettier-ignore
      [`${ada}&status=in_progress&decision_type=technical`, ({ created_by, status, decision_type }) => created_by === 'Ada Lovelace' && status === 'in_progress' && decision_type === 'technical'], // prettier-ignore
      ['created_by=ada%20lovelace', () => false],
    ];
    for (const [query, fits] of cases)
      for (const limit of [2, 5]) {
        const { ids } = await walk(host, `/decisions?${query}&limit=${String(limit)}`, options);
        expect(ids.sort(), query).toEqual(idsOf(fits));
      }
    const page = await host.get(`/decisions?${ada}&limit=2`, options);
    const { next_cursor: cursor } = page.page;
    const body = Buffer.from(cursor?.split('.')[0] ?? '', 'base64url').toString('utf8');
    for (const text of [page.text, body]) expect(text).not.toMatch(/Ada|Grace/);
    const other = await host.get(`/decisions?created_by=Eve&limit=2&cursor=${cursor ?? ''}`, options);
    expect([other.status, other.code]).toEqual([400, 'request-malformed']);
    const rows = await storage.ports.tables.range('decisions', `${options.tenant}:${new Date().toISOString().slice(0, 7)}`, { from: 'i:', to: 'i;', limit: 1000 }); // prettier-ignore
    expect(rows.rows.length).toBeGreaterThan(24);
    expect(JSON.stringify(rows.rows)).not.toMatch(/Ada|Grace/);
  });
});
