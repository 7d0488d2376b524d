import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../../src/domain/errors.js';
import { PROBLEMS } from '../../src/http/problem.js';
import { DISPOSITIONS } from '../../src/queue/disposition.js';
import { MAX_DELIVERIES } from '../../src/queue/inbox-handler.js';
import { QUEUES, SYSTEM_TENANT } from '../../src/storage/keys.js';
import { StorageFault, type QueueMessage, type StoragePorts } from '../../src/storage/ports.js';
import type { Platform } from '../../src/platform.js';
import { deliver, messageOf, takeAll, takePoison } from '../support/courier.js';
import { MINIMAL, newTenant, walk } from '../support/decisions.js';
import { httpHost, type HttpHost } from '../support/http-harness.js';
import { inTime } from '../support/in-time.js';
import { memoryPorts, type Intercept } from '../support/memory-ports.js';
import { caller, openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';

const { extensions } = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', '..', 'host.json'), 'utf8'),
) as { extensions: { queues: Record<string, unknown> } };
const QUEUE_SETTINGS = extensions.queues;
/** What the host waits before it delivers a message again whose delivery failed: hh:mm:ss. */
const RETRY_DELAY_MS = Date.parse(`1970-01-01T${String(QUEUE_SETTINGS['visibilityTimeout'])}Z`);

/** Poisonings in the audit trail of a tenant, once sealed; of one message if given. */
async function poisonings(platform: Platform, tenant: string, messageId: string): Promise<unknown[]> {
  await platform.sealer.sealTenant(tenant);
  const filters = { event_type: 'message.poisoned', resource_id: messageId };
  const page = await platform.auditReader.list({ filters, limit: 100 }, caller({ tenant }));
  return [...page.items];
}

type Aside = Parameters<Platform['poison']['original']>[0];

describe.each(STORAGES)('a message that can never succeed $name', (kind) => {
  let storage: StorageUnderTest;
  let host: HttpHost;
  let tenant: string;
  beforeAll(async () => {
    storage = await openStorage(kind);
    host = httpHost(storage.ports);
  });
  beforeEach(async () => {
    tenant = newTenant();
    await takePoison(storage.ports);
  });
  afterAll(() => storage.close());

  const good = (): Record<string, unknown> => ({
    schema_version: '1.0',
    tenant,
    collection: 'decisions',
    idempotency_key: 'k',
    actor: 'crm',
    data: MINIMAL,
  });

  const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
  /** What the message is, whether its tenant can be read from it, and why it is set aside. */
  const cases: [string, () => unknown, boolean, string][] = [
    ['text', () => 'hello', false, 'request-malformed'],
    ['nothing', () => '', false, 'request-malformed'],
    ['JSON text', () => '"hello"', false, 'request-malformed'],
    ['a number', () => '42', false, 'record-invalid'],
    ['null', () => 'null', false, 'record-invalid'],
    ['a list', () => '[1]', false, 'record-invalid'],
    ['nested without end', () => deep, false, 'record-invalid'],
    ['of another schema version', () => ({ ...good(), schema_version: '2.0' }), true, 'record-invalid'],
    ['without schema version', () => ({ ...good(), schema_version: undefined }), true, 'record-invalid'],
    ['with an unknown member', () => ({ ...good(), surprise: 1 }), true, 'record-invalid'],
    ['of no tenant', () => ({ ...good(), tenant: undefined }), false, 'record-invalid'],
    ['of a tenant there cannot be', () => ({ ...good(), tenant: 'Not/A:Tenant' }), false, 'record-invalid'],
    ['of the system', () => ({ ...good(), tenant: SYSTEM_TENANT }), false, 'record-invalid'],
    ['of an unknown collection', () => ({ ...good(), collection: 'dreams' }), true, 'record-not-found'],
    ['of nobody', () => ({ ...good(), actor: '' }), true, 'record-invalid'],
    ['without a key', () => ({ ...good(), idempotency_key: undefined }), true, 'record-invalid'],
    ['with a key that is none', () => ({ ...good(), idempotency_key: 'a b' }), true, 'record-invalid'],
    ['without data', () => ({ ...good(), data: undefined }), true, 'record-invalid'],
    ['with data twice', () => ({ ...good(), data_ref: `${tenant}/_inbox/x.json` }), true, 'record-invalid'],
    ['with data that is no decision', () => ({ ...good(), data: { title: 7 } }), true, 'record-invalid'],
    ['with data nested without end', () => JSON.stringify(good()).replace('"strategic"', deep), true, 'record-invalid'], // prettier-ignore
    ['with a rule broken in its data', () => ({ ...good(), data: { ...MINIMAL, completed_at: '2024-01-01T00:00:00Z' } }), true, 'record-invalid'], // prettier-ignore
    ['of an operation nobody accepted', () => ({ ...good(), operation_id: 'op_01980000-0000-7000-8000-000000000000' }), true, 'record-not-found'], // prettier-ignore
    ['of an operation that is none', () => ({ ...good(), operation_id: 'x' }), true, 'record-not-found'],
    ['of half a character', () => ({ ...good(), actor: 'a\ud800' }), true, 'record-invalid'],
    ['of half a character in its collection', () => ({ ...good(), collection: '\udfff' }), true, 'record-not-found'], // prettier-ignore
    ...[
      '\ud800',
      '\u0000',
      'a?b',
      'a#b',
      '%',
      '%00',
      'x'.repeat(990),
      '\u{1f600}'.repeat(240),
      '.',
      'a/',
    ].map((name): [string, () => unknown, boolean, string] => [
      `with data in a blob named ${JSON.stringify(name.slice(0, 9))}`,
      () => ({ ...good(), data: undefined, data_ref: `${tenant}/_inbox/${name}` }),
      true,
      'record-invalid',
    ]),
  ];

  it.each(cases)(
    'because it is %s, is set aside at once with the reason and one event',
    async (_, content, readable, code) => {
      // prettier-ignore
      const message = messageOf(content());
      await deliver(host.platform, message);
      const aside = await takePoison(storage.ports);
      expect(aside).toMatchObject([
        {
          schema_version: '1.0',
          message_id: message.id,
          deliveries: 1,
          reason: { code, detail: expect.any(String) },
        },
      ]);
      // The message itself is whole.
      const sent: unknown =
        message.text.startsWith('{') || message.text.startsWith('[') ? message.text : undefined;
      const original = await host.platform.poison.original(aside[0] as unknown as Aside);
      if (sent !== undefined) expect(original).toBe(sent);
      const owner = readable ? tenant : SYSTEM_TENANT;
      const events = await poisonings(host.platform, owner, message.id);
      expect(events).toEqual([
        expect.objectContaining({
          event_type: 'message.poisoned',
          action: 'poison',
          severity: 'error',
          outcome: 'failure',
          resource_type: 'message',
          resource_id: message.id,
          details: { code, deliveries: 1, queue: QUEUES.inbox },
          tenant: owner,
        }),
      ]);
      if (readable) expect((await walk(host, '/decisions', { tenant })).ids).toEqual([]);
    },
  );

  it('and is as large as a message can be, is set aside whole', async () => {
    const text = 'x'.repeat(49_000);
    await deliver(host.platform, messageOf(text));
    const [aside] = await takePoison(storage.ports);
    const name = String(aside?.['message_ref']);
    const content = await storage.ports.blobs.find('records', name);
    expect(Buffer.from(content?.bytes ?? []).toString('utf8')).not.toContain(text.slice(0, 100));
    expect(await host.platform.poison.original(aside as unknown as Aside)).toBe(JSON.stringify(text));
    const other = { ...aside, message_id: 'another' } as unknown as Aside;
    await expect(host.platform.poison.original(other)).rejects.toMatchObject({ code: 'integrity-failure' });
  });

  const faulty: [string, () => unknown][] = [
    ['thousands of faults', () => Object.fromEntries(Array.from({ length: 3_000 }, (_, n) => [`m${n}`, 0]))],
    ['a fault that is as long as a message', () => ({ ['x'.repeat(40_000)]: 0 })],
    ['many long faults', () => Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`${n}${'\u20ac'.repeat(60)}`, 0]))], // prettier-ignore
  ];
  it.each(faulty)('and has %s, is set aside with the first of them', async (_, content) => {
    const message = messageOf(content());
    await deliver(host.platform, message);
    const aside = await takePoison(storage.ports);
    expect(aside).toMatchObject([{ message_id: message.id, reason: { code: 'record-invalid' } }]);
    expect(await poisonings(host.platform, SYSTEM_TENANT, message.id)).toHaveLength(1);
  });

  it('has thousands of faults and an operation, fails that too', async () => {
    await takeAll(storage.ports, QUEUES.inbox);
    const reply = await host.post('/inbox/decisions', MINIMAL, { tenant });
    const data = Object.fromEntries(Array.from({ length: 1_500 }, (_, n) => [`unknown member ${n}`, 0]));
    const [message] = await takeAll(storage.ports, QUEUES.inbox);
    await deliver(
      host.platform,
      messageOf({ ...(JSON.parse(message?.text ?? '') as object), sealed: undefined, data }),
    );
    expect(await takePoison(storage.ports)).toHaveLength(1);
    const operation = await host.get(String(reply.headers['location']).slice('/api'.length), { tenant });
    expect(operation.json).toMatchObject({ status: 'failed', problem: { status: 422 } });
  });

  it('fails its operation, which shows the problem that a POST would have got', async () => {
    await takeAll(storage.ports, QUEUES.inbox);
    const reply = await host.post('/inbox/decisions', MINIMAL, { tenant, key: 'k' });
    const [message] = await takeAll(storage.ports, QUEUES.inbox);
    const sent = JSON.parse(message?.text ?? '') as object;
    const bad = messageOf({ ...sent, sealed: undefined, data: { ...MINIMAL, decision_type: 'moral' } });
    await deliver(host.platform, bad);
    const path = String(reply.headers['location']).slice('/api'.length);
    const operation = (await host.get(path, { tenant })).json;
    const refused = (await host.post('/decisions', { ...MINIMAL, decision_type: 'moral' }, { tenant })).json;
    expect(operation).toEqual({
      operation_id: reply.json['operation_id'],
      status: 'failed',
      record_id: null,
      problem: { ...refused, instance: reply.json['operation_id'] },
    });
    // It has ended: a later duplicate does not bring it back, and its key answers so.
    await deliver(host.platform, message as QueueMessage);
    expect((await host.get(path, { tenant })).json).toEqual(operation);
    expect((await host.post('/inbox/decisions', MINIMAL, { tenant, key: 'k' })).json).toEqual(operation);
    expect((await walk(host, '/decisions', { tenant })).ids).toEqual([]);
    await takePoison(storage.ports);
  });
});

describe('a message when something fails for a moment', () => {
  const clock = new VirtualClock();
  let storage: StoragePorts;
  let tenant: string;
  beforeEach(() => {
    storage = memoryPorts({ clock });
    tenant = newTenant();
  });
  const hostOn = (intercept: Intercept = (_, run) => run()): HttpHost =>
    httpHost(wrapPorts(storage, intercept), { clock });
  const down = (): Promise<never> => Promise.reject(new StorageFault('unavailable', 'down'));
  const external = (more: object = {}): QueueMessage =>
    messageOf(
      {
        schema_version: '1.0',
        tenant,
        collection: 'decisions',
        idempotency_key: 'k',
        actor: 'crm',
        data: MINIMAL,
      },
      { insertedMs: clock.now(), ...more },
    );

  it('is delivered again, and nobody is told', async () => {
    const message = external();
    const failing = hostOn((call, run) => (call.args[0] === 'decisions' ? down() : run()));
    await expect(inTime(clock, deliver(failing.platform, message))).rejects.toThrow();
    expect(await takePoison(storage)).toEqual([]);
    await clock.advance(60_000);
    await deliver(hostOn().platform, { ...message, dequeueCount: 2 });
    expect((await walk(hostOn(), '/decisions', { tenant })).ids).toHaveLength(1);
  });

  it('that died under its key is delivered often enough to take the key over', async () => {
    const message = external();
    const failing = hostOn((call, run) =>
      call.method === 'putOnce' ? Promise.reject(new StorageFault('refused', 'no')) : run(),
    );
    await expect(deliver(failing.platform, message)).rejects.toThrow();
    let stored = false;
    for (let count = 2; count <= MAX_DELIVERIES && !stored; count += 1) {
      await clock.advance(RETRY_DELAY_MS);
      stored = await deliver(hostOn().platform, { ...message, dequeueCount: count }).then(
        () => true,
        () => false,
      );
    }
    expect(await takePoison(storage)).toEqual([]);
    expect((await walk(hostOn(), '/decisions', { tenant })).ids).toHaveLength(1);
  });

  it('of an operation is delivered again, and the operation stays pending until it is stored', async () => {
    const reply = await hostOn().post('/inbox/decisions', MINIMAL, { tenant });
    const [message] = await takeAll(storage, QUEUES.inbox);
    const path = String(reply.headers['location']).slice('/api'.length);
    const failing = hostOn((call, run) => (call.port === 'blobs' ? down() : run()));
    await expect(inTime(clock, deliver(failing.platform, message as QueueMessage))).rejects.toThrow();
    const pending = await hostOn().get(path, { tenant });
    expect([pending.json['status'], pending.headers['retry-after']]).toEqual(['pending', '1']);
    await deliver(hostOn().platform, { ...(message as QueueMessage), dequeueCount: 2 });
    expect((await hostOn().get(path, { tenant })).json['status']).toBe('succeeded');
  });

  it('that was stored, but whose operation was not marked, is marked by the next delivery', async () => {
    const reply = await hostOn().post('/inbox/decisions', MINIMAL, { tenant });
    const [message] = (await takeAll(storage, QUEUES.inbox)) as [QueueMessage];
    const forgetful = hostOn((call, run) =>
      call.method === 'commit' && call.args[0] === 'operations' ? down() : run(),
    );
    await expect(inTime(clock, deliver(forgetful.platform, message))).rejects.toThrow();
    await deliver(hostOn().platform, { ...message, dequeueCount: 2 });
    const path = String(reply.headers['location']).slice('/api'.length);
    const { ids } = await walk(hostOn(), '/decisions', { tenant });
    expect((await hostOn().get(path, { tenant })).json).toMatchObject({
      status: 'succeeded',
      record_id: ids[0],
    });
    expect(ids).toHaveLength(1);
  });

  it('before its operation was written, its request is repeated: the takeover keeps ids and time', async () => {
    const failing = hostOn((call, run) => (call.method === 'commit' && call.args[0] === 'operations' ? down() : run())); // prettier-ignore
    const options = { tenant, key: 'k' };
    const beganMs = clock.now();
    const first = await inTime(clock, failing.post('/inbox/decisions', MINIMAL, options));
    expect([first.status, await takeAll(storage, QUEUES.inbox)]).toEqual([503, []]);
    await clock.advance(60_000);
    const second = await hostOn().post('/inbox/decisions', MINIMAL, options);
    expect(second.status).toBe(202);
    for (const message of await takeAll(storage, QUEUES.inbox)) await deliver(hostOn().platform, message);
    const { ids } = await walk(hostOn(), '/decisions', { tenant });
    const record = await hostOn().get(`/decisions/${ids[0] ?? ''}`, { tenant });
    expect([ids.length, record.envelope.data['created_at']]).toEqual([1, new Date(beganMs).toISOString()]);
  });

  it('between its operation and its sending, its request is repeated: the message is sent then', async () => {
    const failing = hostOn((call, run) => (call.method === 'send' && call.args[0] === QUEUES.inbox ? down() : run())); // prettier-ignore
    const options = { tenant, key: 'k' };
    const first = await inTime(clock, failing.post('/inbox/decisions', MINIMAL, options));
    expect(first.status).toBe(503);
    const second = await hostOn().post('/inbox/decisions', MINIMAL, options);
    expect([second.status, second.headers['idempotency-replayed']]).toEqual([202, 'true']);
    const messages = await takeAll(storage, QUEUES.inbox);
    expect(messages).toHaveLength(1);
    for (const message of messages) await deliver(hostOn().platform, message);
    expect((await walk(hostOn(), '/decisions', { tenant })).ids).toHaveLength(1);
  });

  it('for as many times as a message is delivered is set aside with the reason', async () => {
    const message = external();
    const failing = hostOn((call, run) => (call.args[0] === 'decisions' ? down() : run()));
    for (let count = 1; count < MAX_DELIVERIES; count += 1) {
      await expect(
        inTime(clock, deliver(failing.platform, { ...message, dequeueCount: count })),
      ).rejects.toThrow();
      expect(await takePoison(storage)).toEqual([]);
      await clock.advance(60_000);
    }
    await inTime(clock, deliver(failing.platform, { ...message, dequeueCount: MAX_DELIVERIES }));
    expect(await takePoison(storage)).toMatchObject([
      { deliveries: MAX_DELIVERIES, reason: { code: 'storage-unavailable' }, tenant },
    ]);
    expect(await poisonings(hostOn().platform, tenant, message.id)).toHaveLength(1);
  });

  it('between its event and its being set aside adds no second event when it comes again', async () => {
    const message = messageOf('hello', { insertedMs: clock.now() });
    const failing = hostOn((call, run) => (call.method === 'send' && call.args[0] === QUEUES.inboxPoison ? down() : run())); // prettier-ignore
    await expect(inTime(clock, deliver(failing.platform, message))).rejects.toThrow();
    expect(await poisonings(hostOn().platform, SYSTEM_TENANT, message.id)).toHaveLength(1);
    await clock.advance(5_000);
    await deliver(hostOn().platform, { ...message, dequeueCount: 2 });
    expect(await takePoison(storage)).toHaveLength(1);
    expect(await poisonings(hostOn().platform, SYSTEM_TENANT, message.id)).toHaveLength(1);
  });

  it('before its event could be stored is not set aside yet', async () => {
    const message = messageOf('hello', { insertedMs: clock.now() });
    const failing = hostOn((call, run) => (call.args[0] === 'auditevents' ? down() : run()));
    await expect(inTime(clock, deliver(failing.platform, message))).rejects.toThrow();
    expect(await takePoison(storage)).toEqual([]);
  });
});

describe('host.json', () => {
  it('gives a message as many deliveries as the handler expects', () => {
    expect(QUEUE_SETTINGS['maxDequeueCount']).toBe(MAX_DELIVERIES);
    expect(QUEUE_SETTINGS['messageEncoding']).toBe('base64');
  });
});

describe('the table of dispositions', () => {
  it('knows every error code', () => {
    expect(Object.keys(DISPOSITIONS).sort()).toEqual([...ERROR_CODES].sort());
    expect(Object.keys(PROBLEMS).sort()).toEqual([...ERROR_CODES].sort());
  });

  it('tries again exactly where time can help', () => {
    const retried = ERROR_CODES.filter((code) => DISPOSITIONS[code] === 'retry');
    expect(retried.sort()).toEqual(
      [
        'idempotency-in-progress',
        'internal-error',
        'not-yet-sealed',
        'rate-limited',
        'storage-unavailable',
      ].sort(),
    );
  });
});
