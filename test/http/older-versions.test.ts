import { describe, expect, it } from 'vitest';
import type { RecordData } from '../../src/domain/record-type.js';
import { recordKey, revisionKey } from '../../src/storage/keys.js';
import { created, MINIMAL, newTenant, vote, walk } from '../support/decisions.js';
import { type Reply } from '../support/http-harness.js';
import { FINAL, oldData, upgraded, writeOldDecision, type OldDecision } from '../support/old-decision.js';
import { STORAGES } from '../support/platform.js';
import { useHttpHost } from '../support/use-http-host.js';

const DEPRECATED = { deprecation: '@1793491200', sunset: 'Mon, 01 Nov 2027 00:00:00 GMT' };
const announced = ({ headers }: Reply) => ({
  deprecation: headers['deprecation'],
  sunset: headers['sunset'],
});
const NOTHING = { deprecation: undefined, sunset: undefined };

/** The body of a create in version 0.9. */
const OLD_BODY = {
  schema_version: '0.9',
  decision_type: 'financial',
  title: 'Sell the old press',
  context: { price_eur: 12_500 },
  votes: [{ agent: 'cfo', vote: 'no', certainty: 55, comment: 'Too cheap' }],
} as const;

describe.each(STORAGES)('a decision of schema version 0.9 $name', (kind) => {
  const { storage, host } = useHttpHost(kind);

  const stored = async (n = 0, more: RecordData = {}) => {
    const tenant = newTenant();
    const old = await writeOldDecision(storage.ports, tenant, n, more);
    return { tenant, old, path: `/decisions/${old.id}` };
  };
  const rowOf = (old: OldDecision, rowKey: string) =>
    storage.ports.tables.find('decisions', old.partitionKey, rowKey);

  it('has the checksum that was computed when it was written', async () => {
    expect((await stored()).old.checksum).toBe(
      '14bc1d7ac324290be355e4f4e3551ff97331cd916f6ed50b60731a407d001e65',
    );
  });

  it.each([
    ['open', {}],
    ['final', FINAL],
  ])(
    'is read in the current version when it is %s, and says so, with the checksum of what is stored',
    async (_, more) => {
      const { tenant, old, path } = await stored(0, more);
      const reply = await host.get(path, { tenant });
      expect(reply.status, reply.text).toBe(200);
      expect(reply.json).toEqual({
        record_type: 'decision',
        id: old.id,
        tenant,
        revision: 1,
        schema_version: '1.0',
        stored_schema_version: '0.9',
        stored_at: old.storedAt,
        tier: 'hot',
        checksum_algorithm: 'SHA-256',
        checksum: old.checksum,
        data: upgraded(oldData(0, more)),
      });
      expect(announced(reply)).toEqual(DEPRECATED);
      const again = await host.get(path, { tenant, headers: { 'if-none-match': reply.etag } });
      expect([again.status, again.text, announced(again)]).toEqual([304, '', DEPRECATED]);
    },
  );

  it('is in its history as it was stored: revisions, one of them, a time', async () => {
    const { tenant, old, path } = await stored(0, FINAL);
    const list = await host.get(`${path}/revisions`, { tenant });
    expect(list.heads).toMatchObject([{ revision: 1, schema_version: '0.9', checksum: old.checksum }]);
    const one = await host.get(`${path}/revisions/1`, { tenant });
    expect(one.envelope).toMatchObject({ stored_schema_version: '0.9', data: upgraded(oldData(0, FINAL)) });
    const then = await host.get(`${path}?as_of=${old.storedAt}`, { tenant });
    expect(then.json).toEqual(one.json);
    expect([list, one, then].map(announced)).toEqual([DEPRECATED, DEPRECATED, DEPRECATED]);
    expect((await host.get(`${path}?as_of=2025-01-01T00:00:00Z`, { tenant })).status).toBe(404);
  });

  it('is listed by every filter and every time, beside current ones', async () => {
    const { tenant, old } = await stored(0, FINAL);
    const now = await created(host, { decision_type: 'technical', created_by: 'ada' }, { tenant });
    for (const filter of [
      'status=completed',
      'decision_type=financial',
      'status=completed&decision_type=financial',
      'from=2025-08-01T00:00:00Z&to=2025-09-01T00:00:00Z',
    ]) {
      const reply = await host.get(`/decisions?${filter}`, { tenant });
      const summary = {
        id: old.id,
        schema_version: '0.9',
        checksum: old.checksum,
        title: 'Sell the old press',
      };
      expect(reply.page, filter).toMatchObject({ items: [summary], next_cursor: null });
      expect(announced(reply), filter).toEqual(DEPRECATED);
    }
    expect((await walk(host, '/decisions?limit=1', { tenant })).ids).toEqual([now.envelope.id, old.id]);
    // That release had the name in its rows, and is found by it once the record is stored in the current version.
    for (const filter of ['status=queued', 'created_by=ada', 'created_by=grace', 'to=2025-08-01T00:00:00Z'])
      expect(announced(await host.get(`/decisions?${filter}`, { tenant })), filter).toEqual(NOTHING);
  });

  it('takes votes and patches, which store it in the current version and leave what was stored', async () => {
    const { tenant, old, path } = await stored();
    const voted = await host.post(`${path}/votes`, vote('cfo'), { tenant });
    expect(voted.status, voted.text).toBe(200);
    expect(voted.envelope).toMatchObject({ revision: 2, schema_version: '1.0' });
    expect(voted.envelope).not.toHaveProperty('stored_schema_version');
    expect(announced(voted)).toEqual(NOTHING);
    const before = upgraded(oldData())['agent_votes'] as { agent: string }[];
    const [, cto] = before;
    expect(voted.envelope.data['agent_votes']).toMatchObject([cto, { agent: 'cfo', vote: 'approve' }]);
    const patched = await host.patch(path, { status: 'in_progress' }, voted.etag, { tenant });
    expect(patched.envelope).toMatchObject({ revision: 3, data: { status: 'in_progress' } });
    const page = (await host.get('/decisions?status=in_progress', { tenant })).page;
    expect(page.items).toMatchObject([{ id: old.id, schema_version: '1.0' }]);
    expect((await host.get('/decisions?status=queued', { tenant })).page.items).toEqual([]);
    const first = await host.get(`${path}/revisions/1`, { tenant });
    expect(first.envelope).toMatchObject({ stored_schema_version: '0.9', checksum: old.checksum });
    expect((await rowOf(old, revisionKey(old.id, 1)))?.properties).toEqual(old.rows[revisionKey(old.id, 1)]);
  });

  it('is patched with the ETag that was read of it, and final as ever', async () => {
    const { tenant, path } = await stored(0, FINAL);
    const { etag } = await host.get(path, { tenant });
    const refused = await host.patch(path, { title: 'Keep it' }, etag, { tenant });
    expect([refused.status, refused.code]).toEqual([409, 'record-immutable']);
    expect((await host.post(`${path}/votes`, vote('cfo'), { tenant })).code).toBe('transition-not-allowed');
    const patched = await host.patch(path, { metadata: { region: 'us' } }, etag, { tenant });
    expect(patched.envelope).toMatchObject({ revision: 2, data: { metadata: { region: 'us' }, completed_at: FINAL['completed_at'] } }); // prettier-ignore
  });

  it('is migrated by a revision and an audit event, final or not, and nothing stored before is rewritten', async () => {
    const { tenant, old, path } = await stored(0, FINAL);
    const reply = await host.post('/jobs/migrate/run', undefined, { tenant });
    expect([reply.status, reply.json['outcome']]).toEqual([200, 'done']);
    const read = await host.get(path, { tenant });
    expect(read.envelope).toMatchObject({
      revision: 2,
      schema_version: '1.0',
      data: upgraded(oldData(0, FINAL)),
    });
    expect(read.envelope).not.toHaveProperty('stored_schema_version');
    expect([read.envelope.checksum === old.checksum, announced(read)]).toEqual([false, NOTHING]);
    const blob = await storage.ports.blobs.find('records', old.blob.name);
    expect(Buffer.from(blob?.bytes ?? []).equals(old.blob.bytes)).toBe(true);
    expect((await rowOf(old, revisionKey(old.id, 1)))?.properties).toEqual(old.rows[revisionKey(old.id, 1)]);
    expect((await rowOf(old, recordKey(old.id)))?.properties).toMatchObject({
      schema_version: '1.0',
      revision: 2,
    });
    for (const filter of ['', 'status=completed', 'decision_type=financial', 'created_by=grace']) {
      const { page } = await host.get(`/decisions?${filter}`, { tenant });
      expect(page.items, filter).toMatchObject([{ id: old.id, revision: 2, schema_version: '1.0' }]);
    }
    await host.platform.sealer.sealTenant(tenant);
    const { page } = await host.get(`/audit-events?resource_id=${old.id}`, { tenant });
    expect(page.items).toMatchObject([
      {
        event_type: 'record.updated',
        action: 'migrate',
        details: { from: '0.9', to: '1.0' },
        revision: 2,
        checksum: read.envelope.checksum,
        previous_checksum: old.checksum,
      },
      { event_type: 'record.created', revision: 1, checksum: old.checksum },
    ]);
  });

  it('may still be written: the body is migrated, what is stored is current, and the answer says it is deprecated', async () => {
    const tenant = newTenant();
    const reply = await host.post('/decisions', OLD_BODY, { tenant, actor: 'ada', key: 'k' });
    expect(reply.status, reply.text).toBe(201);
    const { data } = reply.envelope;
    expect(reply.envelope).toMatchObject({ revision: 1, schema_version: '1.0' });
    expect(reply.envelope).not.toHaveProperty('stored_schema_version');
    const { created_at: now } = data;
    expect(data).toEqual({
      decision_id: reply.envelope.id,
      decision_type: 'financial',
      title: 'Sell the old press',
      status: 'queued',
      created_at: now,
      created_by: 'ada',
      inputs: { price_eur: 12_500 },
      agent_votes: [{ agent: 'cfo', vote: 'reject', confidence: 0.55, reasoning: 'Too cheap', conditions: [], timestamp: expect.any(String) }], // prettier-ignore
      metadata: {},
    });
    expect(announced(reply)).toEqual(DEPRECATED);
    const again = await host.post('/decisions', OLD_BODY, { tenant, actor: 'ada', key: 'k' });
    expect([again.status, again.headers['idempotency-replayed'], again.json]).toEqual([
      201,
      'true',
      reply.json,
    ]);
    expect(announced(again)).toEqual(DEPRECATED);
    const other = await host.post('/decisions', { ...OLD_BODY, schema_version: '1.0' }, { tenant, actor: 'ada', key: 'k' }); // prettier-ignore
    expect(other.status).toBe(422);
    expect(announced(await host.get(`/decisions/${reply.envelope.id}`, { tenant }))).toEqual(NOTHING);
  });

  it('may be an item of a batch, and be sent to the inbox', async () => {
    const tenant = newTenant();
    const batch = await host.post('/decisions/batch', { items: [MINIMAL, OLD_BODY] }, { tenant });
    expect(batch.status, batch.text).toBe(201);
    expect(announced(batch)).toEqual(DEPRECATED);
    const [, second] = batch.heads;
    const item = await host.get(`/decisions/${second?.id ?? ''}`, { tenant });
    expect(item.envelope).toMatchObject({ schema_version: '1.0', data: { inputs: { price_eur: 12_500 } } });
    const plain = await host.post('/decisions/batch', { items: [MINIMAL, { ...MINIMAL, schema_version: '1.0' }] }, { tenant }); // prettier-ignore
    expect([plain.status, announced(plain)]).toEqual([201, NOTHING]);
    const accepted = await host.post('/inbox/decisions', OLD_BODY, { tenant });
    expect([accepted.status, announced(accepted)]).toEqual([202, DEPRECATED]);
    const [message] = await storage.ports.queues.receive('records-inbox', { limit: 1, hiddenS: 60 });
    await host.platform.inboxHandler.handle(JSON.parse(message?.text ?? ''), { messageId: 'm', dequeueCount: 1 } as never); // prettier-ignore
    const operation = await host.get(String(accepted.headers['location']).replace('/api', ''), { tenant });
    const record = await host.get(`/decisions/${String(operation.json['record_id'])}`, { tenant });
    expect(record.envelope.data).toMatchObject({ agent_votes: [{ vote: 'reject', confidence: 0.55 }] });
  });

  it.each<[string, object, readonly string[]]>([
    ['a version nobody knows', { schema_version: '0.8' }, ['/schema_version']],
    ['a newer version', { schema_version: '1.1' }, ['/schema_version']],
    ['a version that is none', { schema_version: 1 }, ['/schema_version']],
    ['no version', { schema_version: null }, ['/schema_version']],
    ['a member of the other version', { inputs: {} }, ['/inputs']],
    ['what its version does not allow', { votes: [{ agent: 'cfo', vote: 'approve', certainty: 101 }] }, ['/votes/0/vote', '/votes/0/certainty']], // prettier-ignore
    ['what no version allows', { context: { a: { b: 'c'.repeat(10), __proto__: null, $commitment: 1 } } }, ['/context/a/$commitment']], // prettier-ignore
    ['two votes of one agent', { votes: [1, 2].map(() => ({ agent: 'cfo', vote: 'yes', certainty: 1 })) }, ['/votes/1/agent']], // prettier-ignore
    ['an end that is too early', { status: 'completed', created_at: '2026-01-02T00:00:00Z', completed_at: '2026-01-01T00:00:00Z' }, ['/completed_at']], // prettier-ignore
    ['a beginning that is too late', { created_at: '2999-01-01T00:00:00Z' }, ['/created_at']],
  ])(
    'is refused with %s, by pointers into the body that was sent, and nothing is stored',
    async (_, change, pointers) => {
      const tenant = newTenant();
      const body = { ...OLD_BODY, ...change };
      const deprecated = body.schema_version === '0.9' ? DEPRECATED : NOTHING;
      const one = await host.post('/decisions', body, { tenant });
      expect([one.status, one.pointers, announced(one)]).toEqual([422, pointers, deprecated]);
      const inbox = await host.post('/inbox/decisions', body, { tenant });
      expect([inbox.status, inbox.pointers, announced(inbox)]).toEqual([422, pointers, deprecated]);
      const batch = await host.post('/decisions/batch', { items: [MINIMAL, body] }, { tenant });
      expect([batch.status, batch.pointers]).toEqual([422, pointers.map((pointer) => `/items/1${pointer}`)]);
      expect((await host.get('/decisions', { tenant })).page.items).toEqual([]);
    },
  );

  it('names the current version in vain, and no action takes one', async () => {
    const tenant = newTenant();
    const reply = await created(host, { schema_version: '1.0' }, { tenant });
    expect(reply.envelope.data).not.toHaveProperty('schema_version');
    expect(announced(reply)).toEqual(NOTHING);
    const voted = await host.post(`/decisions/${reply.envelope.id}/votes`, { ...vote('cfo'), schema_version: '0.9' }, { tenant }); // prettier-ignore
    expect([voted.status, voted.pointers]).toEqual([422, ['/schema_version']]);
  });

  it('is nothing to a type without older versions, by whatever way it is written', async () => {
    const tenant = newTenant();
    const put = (body: object) => host.request('PUT', '/agents/researcher/a-1', { body, tenant });
    expect((await put({ status: 'idle', schema_version: '0.9' })).pointers).toEqual(['/schema_version']);
    expect((await put({ status: 'idle', schema_version: '1.0' })).status).toBe(201);
    const metric = { name: 'mrr', metric_type: 'revenue', unit: 'EUR', current_value: 1 };
    expect((await host.post('/metrics', { ...metric, schema_version: '2.0' }, { tenant })).pointers).toEqual(['/schema_version']); // prettier-ignore
  });
});
