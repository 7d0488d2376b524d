import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { canonicalJson, type Json } from '../../src/domain/canonical-json.js';
import { committedOf } from '../support/committed.js';
import { created, MINIMAL, newTenant } from '../support/decisions.js';
import { httpHost, type HttpHost } from '../support/http-harness.js';
import { openStorage, STORAGES } from '../support/platform.js';
import { useHttpHost } from '../support/use-http-host.js';

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const ID = /^dec_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe.each(STORAGES)('POST /decisions $name', (kind) => {
  const { host } = useHttpHost(kind);

  it('answers 201 with Location, ETag and exactly the envelope', async () => {
    const before = Date.now();
    const reply = await host.post('/decisions', MINIMAL, { tenant: 'acme', actor: 'ada' });
    const { data, salts, ...head } = reply.json as { data: Json; id: string; salts: Record<string, string> };
    expect(reply.status).toBe(201);
    expect(head).toEqual({
      record_type: 'decision',
      id: expect.stringMatching(ID),
      tenant: 'acme',
      revision: 1,
      schema_version: '1.0',
      stored_at: expect.stringMatching(TIME),
      tier: 'hot',
      checksum_algorithm: 'SHA-256',
      checksum: createHash('sha256')
        .update(canonicalJson(committedOf({ data, salts }) as Json))
        .digest('hex'),
    });
    expect(Object.keys(salts)).toEqual(['/created_by', '/inputs']);
    expect(data).toEqual({
      ...MINIMAL,
      decision_id: head.id,
      status: 'queued',
      created_at: expect.stringMatching(TIME),
      created_by: 'ada',
      inputs: {},
      agent_votes: [],
      metadata: {},
    });
    const { created_at: createdAt } = data as { created_at: string };
    expect(Date.parse(createdAt)).toBeGreaterThanOrEqual(before);
    expect(Date.parse(createdAt)).toBeLessThanOrEqual(Date.now());
    expect(reply.headers['location']).toBe(`/api/decisions/${head.id}`);
    expect(reply.headers['etag']).toMatch(/^"[\x21\x23-\x7e]+"$/);
    expect(reply.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(reply.headers['idempotency-replayed']).toBeUndefined();
  });

  it('is read back at its Location as it was answered', async () => {
    const reply = await created(host, { inputs: { ünï: ['☃', 0.1, -0, 1e21, null, true] } });
    const read = await host.get(String(reply.headers['location']).slice('/api'.length));
    expect([read.status, read.json, read.etag]).toEqual([200, reply.json, reply.etag]);
  });

  it('keeps everything that an import may state', async () => {
    const body = {
      decision_type: 'financial',
      title: 'Buy the building',
      status: 'completed',
      created_at: '2024-02-29T23:59:59.999+02:00',
      completed_at: '2024-03-02T00:00:00Z',
      created_by: 'somebody who has left',
      inputs: { price: 1 },
      agent_votes: [
        { agent: 'cfo', vote: 'approve_with_conditions', confidence: 1, conditions: ['cheaper'], timestamp: '2024-03-01T10:00:00Z' }, // prettier-ignore
      ],
      outcome: { decision: 'bought', confidence: 0, action_items: ['sign'], next_steps: 'move in', impact_assessment: { eur: 2 } }, // prettier-ignore
      provenance: { source: 'old system', derived_from: [], model: 'm', inputs_checksum: 'a'.repeat(64) },
      metadata: { region: 'eu' },
    };
    const { data, id } = (await created(host, body)).envelope;
    expect(data).toEqual({
      ...body,
      decision_id: id,
      created_at: '2024-02-29T21:59:59.999Z',
      completed_at: '2024-03-02T00:00:00.000Z',
      agent_votes: [{ ...body.agent_votes[0], timestamp: '2024-03-01T10:00:00.000Z' }],
    });
  });

  it('makes a new record each time without a key', async () => {
    const tenant = newTenant();
    const [one, two] = await Promise.all([created(host, {}, { tenant }), created(host, {}, { tenant })]);
    expect(one.envelope.id).not.toBe(two.envelope.id);
    expect(one.etag).not.toBe(two.etag);
  });
});

describe('a body that does not describe a decision', () => {
  const tenant = newTenant();
  let host: HttpHost;
  beforeAll(async () => {
    host = httpHost((await openStorage(STORAGES[0] as (typeof STORAGES)[0])).ports);
  });

  it.each<[string, unknown, string[]]>([
    ['misses what is needed', {}, ['/decision_type', '/title']],
    ['is a list', [MINIMAL], ['']],
    ['is null', null, ['']],
    ['is text', 'decision', ['']],
    ['states its own id', { ...MINIMAL, decision_id: 'dec_1' }, ['/decision_id']],
    ['has an unknown member', { ...MINIMAL, surprise: 1 }, ['/surprise']],
    ['has an unknown member whose name needs escaping', { ...MINIMAL, 'a/b~c': 1 }, ['/a~1b~0c']],
    ['has a vote without confidence', { ...MINIMAL, agent_votes: [{ agent: 'a', vote: 'approve' }] }, ['/agent_votes/0/confidence']], // prettier-ignore
    ['lies ahead', { ...MINIMAL, created_at: '2999-01-01T00:00:00Z' }, ['/created_at']],
    ['lies before 1970', { ...MINIMAL, created_at: '1969-12-31T23:59:59Z' }, ['/created_at']],
    ['hides a commitment', { ...MINIMAL, metadata: { a: [{ $commitment: 'x' }] } }, ['/metadata/a/0/$commitment']], // prettier-ignore
    ['has a title of another kind', { ...MINIMAL, title: 7 }, ['/title']],
  ])('that %s is 422 with pointers, and nothing is stored', async (_, body, pointers) => {
    const reply = await host.post('/decisions', body, { tenant });
    expect([reply.status, reply.code]).toEqual([422, 'record-invalid']);
    expect(reply.pointers).toEqual(pointers);
    expect((await host.get('/decisions', { tenant })).page.items).toEqual([]);
  });

  it.each([
    ['a prototype member', '{"decision_type":"strategic","title":"t","inputs":{"__proto__":{"a":1}}}', ['/inputs/__proto__']], // prettier-ignore
    ['a prototype member at the top', '{"decision_type":"strategic","title":"t","__proto__":{"a":1}}', ['/__proto__']], // prettier-ignore
    ['a number JSON cannot carry', '{"decision_type":"strategic","title":"t","inputs":{"a":1e999}}', ['/inputs/a']], // prettier-ignore
    ['half a character', '{"decision_type":"strategic","title":"t","inputs":{"a":"\\ud800"}}', ['/inputs/a']],
    ['33 levels', `{"decision_type":"strategic","title":"t","inputs":${'['.repeat(32)}${']'.repeat(32)}}`, [`/inputs${'/0'.repeat(31)}`]], // prettier-ignore
  ])('with %s is 422 with a pointer', async (_, raw, pointers) => {
    const reply = await host.request('POST', '/decisions', { raw, tenant });
    expect([reply.status, reply.code]).toEqual([422, 'record-invalid']);
    expect(reply.pointers).toEqual(pointers);
  });

  it('is not needed for a title of any characters, nor for constructor and hasOwnProperty as members', async () => {
    const body = { title: 'Ünïcode ☃ \u0000 \u2028', inputs: { constructor: 1, hasOwnProperty: 2, '': 3 } };
    const reply = await created(host, body, { tenant: newTenant() });
    expect(reply.envelope.data).toMatchObject(body);
  });
});
