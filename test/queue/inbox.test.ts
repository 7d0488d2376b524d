import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BLOB_CONTAINERS, QUEUES } from '../../src/storage/keys.js';
import { LIMITS } from '../../src/domain/limits.js';
import { deliver, messageOf, takeAll, takePoison } from '../support/courier.js';
import { MINIMAL, newTenant, walk } from '../support/decisions.js';
import { httpHost, type HttpHost, type Reply } from '../support/http-harness.js';
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';

describe.each(STORAGES)('POST /inbox/decisions $name', (kind) => {
  let storage: StorageUnderTest;
  let host: HttpHost;
  let other: HttpHost;
  let tenant: string;
  beforeAll(async () => {
    storage = await openStorage(kind);
    host = httpHost(storage.ports);
    other = httpHost(storage.ports);
  });
  beforeEach(async () => {
    tenant = newTenant();
    await takeAll(storage.ports, QUEUES.inbox);
  });
  afterAll(() => storage.close());

  const promise = (body: unknown = MINIMAL, more: object = {}): Promise<Reply> =>
    host.post('/inbox/decisions', body, { tenant, actor: 'ada', ...more });
  const operation = async (reply: Reply): Promise<Record<string, unknown>> => {
    const found = await other.get(String(reply.headers['location']).slice('/api'.length), { tenant });
    expect(found.status, found.text).toBe(200);
    return found.json;
  };

  it('answers 202 with the Location of an operation, which is pending, and stores nothing yet', async () => {
    const reply = await promise();
    const id = String(reply.json['operation_id']);
    expect([reply.status, reply.headers['location']]).toEqual([202, `/api/operations/${id}`]);
    expect(reply.json).toEqual({ operation_id: id, status: 'pending', record_id: null, problem: null });
    expect(await operation(reply)).toEqual(reply.json);
    expect((await host.get('/decisions', { tenant })).page.items).toEqual([]);
  });

  it('puts a message of the contract into records-inbox', async () => {
    const reply = await promise();
    const messages = await takeAll(storage.ports, QUEUES.inbox);
    expect(messages.map(({ text }) => JSON.parse(text) as unknown)).toEqual([
      {
        schema_version: '1.0',
        tenant,
        collection: 'decisions',
        idempotency_key: reply.json['operation_id'],
        actor: await host.platform.actors.pseudonym(tenant, 'ada'),
        operation_id: reply.json['operation_id'],
        sealed: expect.stringMatching(/^v2\./) as unknown,
      },
    ]);
  });

  it('delivered five times, at once, on two hosts, is stored once, as a POST would have stored it', async () => {
    const acceptedMs = Date.now();
    const reply = await promise();
    const [message] = await takeAll(storage.ports, QUEUES.inbox);
    const deliveries = Array.from({ length: 5 }, (_, n) =>
      deliver((n % 2 === 0 ? host : other).platform, message as NonNullable<typeof message>),
    );
    await Promise.all(deliveries);
    const { ids } = await walk(host, '/decisions', { tenant });
    expect(ids).toHaveLength(1);
    expect(await operation(reply)).toEqual({ ...reply.json, status: 'succeeded', record_id: ids[0] });
    const record = (await host.get(`/decisions/${ids[0] ?? ''}`, { tenant })).envelope;
    expect(record).toMatchObject({ revision: 1, data: { ...MINIMAL, status: 'queued', created_by: 'ada' } });
    // The operation fixed the time when it was accepted.
    expect(Math.abs(Date.parse(String(record.data['created_at'])) - acceptedMs)).toBeLessThan(5_000);
    await host.platform.sealer.sealTenant(tenant);
    const events = (await host.get('/audit-events', { tenant })).page.items;
    expect(events).toMatchObject([
      { event_type: 'record.created', correlation_id: reply.json['operation_id'] },
    ]);
    expect(await takePoison(storage.ports)).toEqual([]);
  });

  it('carries data too large for a message by data_ref', async () => {
    const body = { ...MINIMAL, inputs: { texts: Array(12).fill('☃'.repeat(20_000)) } };
    const reply = await promise(body);
    expect(reply.status).toBe(202);
    const [message] = await takeAll(storage.ports, QUEUES.inbox);
    const sent = JSON.parse(message?.text ?? '') as Record<string, string>;
    expect(sent).not.toHaveProperty('data');
    expect(sent['data_ref']).toMatch(new RegExp(`^${tenant}/_inbox/op_[0-9a-f-]+\\.json$`));
    const blob = await storage.ports.blobs.find('records', String(sent['data_ref']));
    expect(JSON.parse(Buffer.from(blob?.bytes ?? []).toString('utf8'))).toMatch(/^v2\.[^"]+$/);
    for (const each of [host, other]) await deliver(each.platform, messageOf(sent));
    const { record_id: id } = await operation(reply);
    expect((await host.get(`/decisions/${String(id)}`, { tenant })).envelope.data['inputs']).toEqual(
      body.inputs,
    );
  });

  it('is bound to its operation: what was sealed for one is set aside under another', async () => {
    const [first, second] = [await promise(), await promise({ ...MINIMAL, title: 'other' })];
    const [message, another] = (await takeAll(storage.ports, QUEUES.inbox)).map(({ text }) => JSON.parse(text) as Record<string, string>); // prettier-ignore
    await deliver(host.platform, messageOf({ ...message, sealed: another?.['sealed'] }));
    expect((await operation(first))['problem']).toMatchObject({
      status: 500,
      detail: 'A sealed value cannot be opened.',
    });
    await deliver(host.platform, messageOf(another));
    expect(await operation(second)).toMatchObject({ status: 'succeeded' });
    expect(await takePoison(storage.ports)).toMatchObject([{ reason: { code: 'integrity-failure' } }]);
  });

  it('validates now: what a POST would refuse is refused, and nothing is promised', async () => {
    const reply = await promise({ ...MINIMAL, decision_type: 'moral' });
    expect([reply.status, reply.code, reply.pointers]).toEqual([422, 'record-invalid', ['/decision_type']]);
    expect(await takeAll(storage.ports, QUEUES.inbox)).toEqual([]);
  });

  it('repeated with its key answers the same operation, and sends again only while it is pending', async () => {
    const first = await promise(MINIMAL, { key: 'k' });
    const second = await promise(MINIMAL, { key: 'k' });
    expect([
      second.status,
      second.json,
      second.headers['location'],
      second.headers['idempotency-replayed'],
    ]).toEqual([202, first.json, first.headers['location'], 'true']);
    const messages = await takeAll(storage.ports, QUEUES.inbox);
    expect(messages).toHaveLength(2);
    expect((await promise({ ...MINIMAL, title: 'other' }, { key: 'k' })).code).toBe('idempotency-key-reused');
    for (const message of messages) await deliver(other.platform, message);
    const third = await promise(MINIMAL, { key: 'k' });
    expect([third.status, third.json['status']]).toEqual([202, 'succeeded']);
    expect(await takeAll(storage.ports, QUEUES.inbox)).toEqual([]);
    expect((await walk(host, '/decisions', { tenant })).ids).toEqual([third.json['record_id']]);
  });

  it('keeps the created_at that the body states', async () => {
    const reply = await promise({ ...MINIMAL, created_at: '2024-05-06T07:08:09.010Z' });
    for (const message of await takeAll(storage.ports, QUEUES.inbox)) await deliver(host.platform, message);
    const { record_id: id } = await operation(reply);
    const read = await host.get(`/decisions/${String(id)}`, { tenant });
    expect(read.envelope.data['created_at']).toBe('2024-05-06T07:08:09.010Z');
  });
});

describe.each(STORAGES)('a message of another system $name', (kind) => {
  let storage: StorageUnderTest;
  let host: HttpHost;
  let other: HttpHost;
  let tenant: string;
  beforeAll(async () => {
    storage = await openStorage(kind);
    host = httpHost(storage.ports);
    other = httpHost(storage.ports);
  });
  beforeEach(async () => {
    tenant = newTenant();
    await takePoison(storage.ports);
  });
  afterAll(() => storage.close());

  const external = (more: object = {}): object => ({
    schema_version: '1.0',
    tenant,
    collection: 'decisions',
    idempotency_key: 'their-key',
    actor: 'crm',
    data: MINIMAL,
    ...more,
  });

  it('without an operation is deduplicated by its key, however often it was sent and delivered', async () => {
    const messages = [messageOf(external()), messageOf(external())];
    for (const message of [...messages, ...messages]) await deliver(host.platform, message);
    await deliver(other.platform, messages[0] as (typeof messages)[0]);
    expect((await walk(host, '/decisions', { tenant })).ids).toHaveLength(1);
  });

  it('shares its key with the POST of the same caller', async () => {
    const posted = await host.post('/decisions', MINIMAL, { tenant, actor: 'crm', key: 'their-key' });
    await deliver(other.platform, messageOf(external()));
    expect((await walk(host, '/decisions', { tenant })).ids).toEqual([posted.envelope.id]);
  });

  it('delivered at once on two hosts is stored once; who comes too early has it again', async () => {
    const message = messageOf(external());
    const attempts = await Promise.allSettled(
      [host, other, host, other].map((each) => deliver(each.platform, message)),
    );
    expect(attempts.some(({ status }) => status === 'fulfilled')).toBe(true);
    for (const attempt of attempts)
      if (attempt.status === 'rejected')
        expect(attempt.reason).toMatchObject({ code: 'idempotency-in-progress' });
    await deliver(host.platform, { ...message, dequeueCount: 2 });
    expect((await walk(host, '/decisions', { tenant })).ids).toHaveLength(1);
    expect(await takePoison(storage.ports)).toEqual([]);
  });

  it('may name a blob of its tenant', async () => {
    const name = `${tenant}/_inbox/from-crm/1.json`;
    const bytes = Buffer.from(JSON.stringify(MINIMAL));
    await storage.ports.blobs.putOnce(BLOB_CONTAINERS.records, name, bytes, 'application/json');
    await deliver(host.platform, messageOf(external({ data: undefined, data_ref: name })));
    expect((await walk(host, '/decisions', { tenant })).ids).toHaveLength(1);
  });

  it('is set aside with one event when its key was used with another body', async () => {
    await deliver(host.platform, messageOf(external()));
    await deliver(host.platform, messageOf(external({ data: { ...MINIMAL, title: 'other' } })));
    expect(await takePoison(storage.ports)).toMatchObject([{ reason: { code: 'idempotency-key-reused' } }]);
  });

  const victims = ['_inbox/1.json', 'decision/x.json'];
  const refs: [string, (own: string, foreign: string) => string][] = [
    ['another tenant', (_, foreign) => foreign],
    ['another tenant, by way of dots', (own, foreign) => `${own}/_inbox/../../${foreign}`],
    ['another tenant, by way of encoded dots', (own, foreign) => `${own}/_inbox/%2e%2e/%2E./${foreign}`],
    ['another tenant, by way of a backslash', (own, foreign) => `${own}/_inbox\\..\\..\\${foreign}`],
    ['the tenant, outside of its inbox', (own) => `${own}/decision/x.json`],
    ['the tenant, outside of its inbox by way of dots', (own) => `${own}/_inbox/../decision/x.json`],
    ['nothing', (own) => `${own}/_inbox/missing.json`],
    ['nothing at all', () => ''],
  ];
  it.each(refs)('may not name a blob of %s', async (_, ref) => {
    const foreign = newTenant();
    for (const owner of [tenant, foreign])
      for (const victim of victims) {
        const bytes = Buffer.from(JSON.stringify(MINIMAL));
        await storage.ports.blobs.putOnce(
          BLOB_CONTAINERS.records,
          `${owner}/${victim}`,
          bytes,
          'application/json',
        );
      }
    const name = ref(tenant, `${foreign}/_inbox/1.json`);
    await deliver(host.platform, messageOf(external({ data: undefined, data_ref: name })));
    expect((await walk(host, '/decisions', { tenant })).ids).toEqual([]);
    expect(await takePoison(storage.ports)).toMatchObject([{ reason: { code: 'record-invalid' } }]);
  });

  it.each<[string, Uint8Array, string]>([
    ['is not JSON', Buffer.from('{'), 'request-malformed'],
    ['is not UTF-8', new Uint8Array([0x22, 0xff, 0x22]), 'request-malformed'],
    ['is empty', new Uint8Array(), 'request-malformed'],
    ['is larger than any record', new Uint8Array(LIMITS.recordBytes + 1).fill(0x20), 'payload-too-large'],
  ])('whose blob %s is set aside', async (_, bytes, code) => {
    const name = `${tenant}/_inbox/1.json`;
    await storage.ports.blobs.putOnce(BLOB_CONTAINERS.records, name, bytes, 'application/json');
    await deliver(host.platform, messageOf(external({ data: undefined, data_ref: name })));
    expect(await takePoison(storage.ports)).toMatchObject([{ reason: { code } }]);
  });

  it.each([
    [
      'has a member twice',
      '{"decision_type":"strategic","title":"a","inputs":{"b":1,"\\u0062":2}}',
      '/inputs/b',
    ],
    ['has a number that cannot be kept', '{"decision_type":"strategic","title":"a","inputs":{"b":9007199254740993}}', '/inputs/b'], // prettier-ignore
  ])('whose blob %s is set aside, and the reason says where', async (_, text, pointer) => {
    const name = `${tenant}/_inbox/1.json`;
    await storage.ports.blobs.putOnce(BLOB_CONTAINERS.records, name, Buffer.from(text), 'application/json');
    await deliver(host.platform, messageOf(external({ data: undefined, data_ref: name })));
    const errors = [{ pointer, detail: expect.any(String) }];
    expect(await takePoison(storage.ports)).toMatchObject([
      { reason: { code: 'request-malformed', errors } },
    ]);
    expect((await walk(host, '/decisions', { tenant })).ids).toEqual([]);
  });
});
