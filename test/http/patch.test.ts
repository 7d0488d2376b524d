import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { created, newTenant, vote } from '../support/decisions.js';
import { httpHost, type HttpHost, type Reply } from '../support/http-harness.js';
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';
import { inTime } from '../support/in-time.js';
import { memoryPorts } from '../support/memory-ports.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';
import { useHttpHost } from '../support/use-http-host.js';

describe.each(STORAGES)('PATCH /decisions/{id} $name', (kind) => {
  const { storage, host } = useHttpHost(kind);
  let record: Reply;
  let path: string;

  const fresh = async (body: object = {}): Promise<void> => {
    record = await created(host, body);
    path = `/decisions/${record.envelope.id}`;
  };

  it.each([
    'application/merge-patch+json',
    'application/json',
    'application/merge-patch+json; charset=UTF-8',
  ])('merges a patch of %s and answers the new envelope and ETag', async (type) => {
    await fresh({ title: 'old', inputs: { keep: 1, change: { a: 1, b: 2 }, drop: 3, list: [1, 2] } });
    const reply = await host.patch(
      path,
      { title: 'new', inputs: { change: { b: null, c: 3 }, drop: null, list: [3] } },
      record.etag,
      { headers: { 'content-type': type } },
    );
    expect(reply.status, reply.text).toBe(200);
    expect(reply.envelope.revision).toBe(2);
    expect(reply.envelope.data).toEqual({
      ...record.envelope.data,
      title: 'new',
      inputs: { keep: 1, change: { a: 1, c: 3 }, list: [3] },
    });
    expect(reply.etag).not.toBe(record.etag);
    const read = await host.get(path);
    expect([read.json, read.etag]).toEqual([reply.json, reply.etag]);
  });

  it('needs If-Match: 428 without, 412 with a stale, weak or foreign one', async () => {
    await fresh();
    const second = await host.patch(path, { title: 'two' }, record.etag);
    expect((await host.patch(path, { title: 'x' }, undefined)).code).toBe('precondition-required');
    for (const etag of [record.etag, `W/${second.etag}`, '"x"', second.etag.replaceAll('"', ''), ''])
      expect([etag, (await host.patch(path, { title: 'x' }, etag)).status]).toEqual([etag, 412]);
    expect((await host.get(path)).etag).toBe(second.etag);
  });

  it.each([
    ['an asterisk', () => '*'],
    ['a list that holds it', (etag: string) => `"x", ${etag}`],
  ])('takes %s for If-Match', async (_, condition) => {
    await fresh();
    expect((await host.patch(path, { title: 'two' }, condition(record.etag))).status).toBe(200);
  });

  it('chains: each answer’s ETag allows the next change, of several at once exactly one lands', async () => {
    await fresh();
    const other = httpHost(storage.ports);
    let etag = record.etag;
    for (let round = 2; round <= 6; round += 1) {
      const attempts = await Promise.all(
        [host, other, host, other].map((each, n) => each.patch(path, { title: `${round} ${n}` }, etag)),
      );
      expect(attempts.map((reply) => reply.status).sort()).toEqual([200, 412, 412, 412]);
      const winner = attempts.find((reply) => reply.status === 200) as Reply;
      expect(winner.envelope.revision).toBe(round);
      etag = winner.etag;
    }
  });

  it.each([[['in_progress', 'completed']], [['in_progress', 'failed']], [['failed']]])(
    'moves a queued decision along %j, and sets completed_at at the end',
    async (states) => {
      await fresh();
      let last = record;
      for (const status of states) last = await host.patch(path, { status }, last.etag);
      expect(last.envelope.data).toMatchObject({ status: states.at(-1), completed_at: expect.any(String) });
      expect(String(last.envelope.data['completed_at']) >= record.envelope.stored_at).toBe(true);
      expect(String(last.envelope.data['completed_at']) <= last.envelope.stored_at).toBe(true);
    },
  );

  it.each([
    ['queued', 'completed'],
    ['in_progress', 'queued'],
    ['completed', 'queued'],
    ['completed', 'failed'],
    ['failed', 'in_progress'],
  ])('from %s to %s is 409 transition-not-allowed', async (from, to) => {
    await fresh({ status: from });
    const reply = await host.patch(path, { status: to }, record.etag);
    expect([reply.status, reply.code]).toEqual([409, 'transition-not-allowed']);
    expect((await host.get(path)).etag).toBe(record.etag);
  });

  it.each([
    ['decision_id', 'dec_01980000-0000-7000-8000-000000000000'],
    ['created_at', '2025-01-01T00:00:00Z'],
    ['created_by', 'eve'],
    ['completed_at', '2025-01-01T00:00:00Z'],
    ['agent_votes', []],
    ['outcome', null],
    ['provenance', { source: 'x' }],
  ])('of %s is 409 record-immutable', async (member, value) => {
    await fresh();
    const reply = await host.patch(path, { [member]: value, title: 'also' }, record.etag);
    expect([reply.status, reply.code]).toEqual([409, 'record-immutable']);
    expect((await host.get(path)).etag).toBe(record.etag);
  });

  it.each(['completed', 'failed'])('of a %s decision may change metadata alone', async (status) => {
    await fresh({ status, metadata: { a: 1 } });
    const reply = await host.patch(path, { metadata: { b: 2 } }, record.etag);
    expect([reply.status, reply.envelope.data['metadata']]).toEqual([200, { a: 1, b: 2 }]);
    for (const patch of [{ title: 'x' }, { inputs: {} }, { status }, { metadata: {}, title: 'x' }]) {
      const refused = await host.patch(path, patch, reply.etag);
      expect([refused.status, refused.code]).toEqual([409, 'record-immutable']);
    }
  });

  it.each<[string, unknown, string[]]>([
    ['an unknown member', { surprise: 1 }, ['/surprise']],
    ['a removed title', { title: null }, ['/title']],
    ['a status there is not', { status: 'asleep' }, ['/status']],
    ['a commitment', { metadata: { $commitment: 'x' } }, ['/metadata/$commitment']],
    ['a list', [], ['']],
    ['null', null, ['']],
    ['text', 'x', ['']],
  ])('with %s is 422', async (_, patch, pointers) => {
    await fresh();
    const reply = await host.patch(path, patch, record.etag);
    expect([reply.status, reply.code, reply.pointers]).toEqual([422, 'record-invalid', pointers]);
  });
});

describe.each(STORAGES)('actions of a decision $name', (kind) => {
  let storage: StorageUnderTest;
  let hosts: readonly [HttpHost, HttpHost];
  beforeAll(async () => {
    storage = await openStorage(kind);
    hosts = [httpHost(storage.ports), httpHost(storage.ports)];
  });
  afterAll(() => storage.close());

  it('fifty votes at once over two hosts all land, each as one revision with one event', async () => {
    const tenant = newTenant();
    const { id } = (await created(hosts[0], {}, { tenant })).envelope;
    const replies = await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        (hosts[n % 2] as HttpHost).post(`/decisions/${id}/votes`, vote(`agent ${n}`), { tenant }),
      ),
    );
    expect(replies.map((reply) => reply.status)).toEqual(replies.map(() => 200));
    expect(new Set(replies.map((reply) => reply.envelope.revision)).size).toBe(50);
    const final = (await hosts[1].get(`/decisions/${id}`, { tenant })).envelope;
    expect(final.revision).toBe(51);
    const agents = (final.data['agent_votes'] as { agent: string }[]).map(({ agent }) => agent);
    expect(agents.sort()).toEqual(Array.from({ length: 50 }, (_, n) => `agent ${n}`).sort());
    await hosts[0].platform.sealer.sealTenant(tenant);
    const events = (await hosts[0].get(`/audit-events?resource_id=${id}&limit=100`, { tenant })).page.items;
    expect(events.map((event) => event['revision'])).toEqual(Array.from({ length: 51 }, (_, n) => 51 - n));
  });

  it('a second vote of an agent replaces the first, and the history keeps both', async () => {
    const host = hosts[0];
    const path = `/decisions/${(await created(host)).envelope.id}`;
    const first = await host.post(`${path}/votes`, vote('cfo', { reasoning: 'cheap' }));
    expect(first.envelope.data['agent_votes']).toEqual([
      { agent: 'cfo', vote: 'approve', confidence: 0.9, reasoning: 'cheap', conditions: [], timestamp: expect.any(String) }, // prettier-ignore
    ]);
    const second = await host.post(`${path}/votes`, vote('cfo', { vote: 'reject', timestamp: '2026-01-01T00:00:00+01:00' })); // prettier-ignore
    expect(second.envelope.data['agent_votes']).toMatchObject([{ vote: 'reject', timestamp: '2025-12-31T23:00:00.000Z' }]); // prettier-ignore
    const before = await host.get(`${path}/revisions/2`);
    expect(before.envelope.data['agent_votes']).toMatchObject([{ vote: 'approve' }]);
  });

  it('an outcome is recorded once, and does not move the status', async () => {
    const host = hosts[0];
    const path = `/decisions/${(await created(host)).envelope.id}`;
    const reply = await host.post(`${path}/outcome`, { decision: 'go', confidence: 0.5 });
    expect(reply.status).toBe(200);
    expect(reply.envelope.data).toMatchObject({
      status: 'queued',
      outcome: { decision: 'go', confidence: 0.5, action_items: [], impact_assessment: {} },
    });
    const again = await host.post(`${path}/outcome`, { decision: 'go', confidence: 0.5 });
    expect([again.status, again.code]).toEqual([409, 'record-immutable']);
  });

  it.each(['completed', 'failed'])('a vote on a %s decision is 409, an outcome too', async (status) => {
    const path = `/decisions/${(await created(hosts[0], { status })).envelope.id}`;
    expect((await hosts[0].post(`${path}/votes`, vote('cfo'))).code).toBe('transition-not-allowed');
    expect((await hosts[0].post(`${path}/outcome`, { decision: 'go', confidence: 1 })).code).toBe(
      'record-immutable',
    );
  });

  it('If-Match is heeded where it is sent', async () => {
    const record = await created(hosts[0]);
    const path = `/decisions/${record.envelope.id}/votes`;
    const second = await hosts[0].post(path, vote('cfo'), { ifMatch: record.etag });
    expect(second.status).toBe(200);
    const stale = await hosts[0].post(path, vote('cto'), { ifMatch: record.etag });
    expect([stale.status, stale.code]).toEqual([412, 'version-conflict']);
    expect((await hosts[0].post(path, vote('cto'), { ifMatch: '*' })).status).toBe(200);
  });

  it.each<[string, unknown, string[]]>([
    ['votes', {}, ['/agent', '/vote', '/confidence']],
    ['votes', vote('a', { confidence: 1.01 }), ['/confidence']],
    ['votes', vote('a', { vote: 'approve_with_conditions' }), ['/conditions']],
    ['votes', vote('a', { surprise: 1 }), ['/surprise']],
    ['outcome', { decision: 'x' }, ['/confidence']],
    ['outcome', { decision: 'x', confidence: 1, impact_assessment: { $commitment: 1 } }, ['/impact_assessment/$commitment']], // prettier-ignore
  ])('%s with %j is 422 with pointers', async (action, body, pointers) => {
    const record = await created(hosts[0]);
    const reply = await hosts[0].post(`/decisions/${record.envelope.id}/${action}`, body);
    expect([reply.status, reply.code, reply.pointers]).toEqual([422, 'record-invalid', pointers]);
  });
});

describe('a record in the face of clocks and hands', () => {
  it('has a stored_at that never goes backwards, whatever the clock does', async () => {
    const clock = new VirtualClock();
    const host = httpHost(memoryPorts({ clock }), { clock });
    const path = `/decisions/${(await created(host)).envelope.id}`;
    clock.jump(-3_600_000);
    for (const agent of ['a', 'b', 'c']) {
      await host.post(`${path}/votes`, vote(agent));
      clock.jump(-1000);
    }
    const times = (await host.get(`${path}/revisions`)).heads.map((head) => head.stored_at);
    expect(new Set(times).size).toBe(4);
    expect([...times].sort()).toEqual(times);
  });

  it('whose row was touched while its revision did not move is changed all the same', async () => {
    const clock = new VirtualClock();
    const storage = memoryPorts({ clock });
    let touched = 0;
    const touchy = wrapPorts(storage, async (call, run) => {
      const [table, partition, operations] = call.args as [string, string, readonly { rowKey: string }[]];
      if (call.method === 'commit' && table === 'decisions' && touched < 2) {
        touched += 1;
        const { rowKey } = operations[0] as { rowKey: string };
        await storage.tables.commit(table, partition, [{ kind: 'merge', rowKey, properties: {}, etag: '*' }]);
      }
      return run();
    });
    const record = await created(httpHost(storage, { clock }));
    const path = `/decisions/${record.envelope.id}`;
    const reply = await inTime(clock, httpHost(touchy, { clock }).patch(path, { title: 'new' }, record.etag));
    expect([reply.status, reply.envelope.revision, touched]).toEqual([200, 2, 2]);
  });
});
