import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyEventProof, verifyRecordProof } from '../../src/audit/verifier/index.js';
import { LIMITS } from '../../src/domain/limits.js';
import { waitOf } from '../../src/http/prefer.js';
import { BLOB_CONTAINERS } from '../../src/storage/keys.js';
import { StorageFault, type StoragePorts } from '../../src/storage/ports.js';
import { countingPorts } from '../support/counting-ports.js';
import { aCovenant } from '../support/covenants.js';
import { MINIMAL, newTenant, vote } from '../support/decisions.js';
import { fastClock } from '../support/fast-clock.js';
import { httpHost, type HttpHost, type Reply } from '../support/http-harness.js';
import { TEST_LOG_KEYS } from '../support/log-keys.js';
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';
import { realClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';

const aDecision = (more: object = {}): object => ({ ...MINIMAL, ...more });
const WAIT = { prefer: 'wait=10' };

/** The address in `Link: <…>; rel="proof"`, without the prefix of all routes. */
function proofOf(reply: Reply): string {
  const [, path] = /^<\/api(\/[^<>]+)>; rel="proof"$/.exec(reply.headers['link'] ?? '') ?? [];
  expect(path, JSON.stringify(reply.headers)).toBeDefined();
  expect(reply.headers['preference-applied']).toBe('wait=10');
  return path as string;
}

function expectNoReceipt(reply: Reply): void {
  expect([reply.headers['link'], reply.headers['preference-applied']]).toEqual([undefined, undefined]);
}

describe.each(STORAGES)('receipts $name', (kind) => {
  let storage: StorageUnderTest;
  let host: HttpHost;

  const hostOn = (ports: StoragePorts, speed = 1): HttpHost =>
    httpHost(ports, { backgroundClock: speed === 1 ? realClock : fastClock(speed) });

  beforeAll(async () => {
    storage = await openStorage(kind);
    host = hostOn(storage.ports);
  });
  afterAll(() => storage.close());

  /** Follows a receipt as an auditor and has the proof checked without the platform. */
  async function verdict(reply: Reply, tenant: string): Promise<string> {
    const [vkey = ''] = TEST_LOG_KEYS.vkeys(tenant);
    const path = proofOf(reply);
    const proof = await host.get(path, { tenant, roles: 'records.auditor' });
    expect(proof.status, proof.text).toBe(200);
    if (!path.startsWith('/audit-events/')) return (await verifyRecordProof(proof.text, { vkey })).verdict;
    const { event } = await host.platform.auditLog.proofs.ofEvent(path.split('/')[2] as string, {
      tenant,
      actor: 'test',
      correlationId: 'test',
    });
    return (await verifyEventProof(event, proof.text, { vkey })).verdict;
  }

  it('come with every way to write a revision or an entry, and the proof can be followed at once', async () => {
    const tenant = newTenant();
    const as = { tenant, headers: WAIT };
    const decision = await host.post('/decisions', aDecision(), as);
    expect(decision.status).toBe(201);
    const at = `/decisions/${decision.envelope.id}`;
    expect(proofOf(decision)).toBe(`${at}/proof?revision=1`);
    const voted = await host.post(`${at}/votes`, vote('cfo'), as);
    expect(proofOf(voted)).toBe(`${at}/proof?revision=2`);
    const patched = await host.patch(at, { metadata: { a: 1 } }, voted.etag, as);
    expect([patched.status, proofOf(patched)]).toEqual([200, `${at}/proof?revision=3`]);
    const state = { status: 'available' };
    const put = await host.request('PUT', '/agents/cfo/agent-1', { ...as, body: state });
    expect(put.status, put.text).toBe(201);
    const again = await host.request('PUT', '/agents/cfo/agent-1', { ...as, body: state });
    expect(proofOf(again)).toBe(`/agents/${again.envelope.id}/proof?revision=2`);
    const metric = await host.post(
      '/metrics',
      { name: 'm', metric_type: 'gauge', unit: 'x', current_value: 1 },
      as,
    );
    const values = await host.post(`/metrics/${metric.envelope.id}/values`, { values: [{ value: 2 }] }, as);
    expect(proofOf(values)).toMatch(/^\/audit-events\/evt_[0-9a-f-]+\/proof$/);
    const external = await host.post('/audit-events', EXTERNAL, as);
    expect(proofOf(external)).toBe(`/audit-events/${String(external.json['event_id'])}/proof`);
    for (const reply of [decision, voted, patched, put, again, metric, values, external])
      expect(await verdict(reply, tenant)).toBe('yes');
  });

  it('tell of a message that is there already by the event that told of it first, and of a replayed entry', async () => {
    const tenant = newTenant();
    const as = { tenant, headers: WAIT };
    const conversation = await host.post(
      '/conversations',
      { conversation_type: 'boardroom', participants: ['ada'] },
      { tenant },
    );
    expect(conversation.status, conversation.text).toBe(201);
    const path = `/conversations/${conversation.envelope.id}/messages`;
    const message = { message_id: 'm-1', sender: 'ada', content: 'so be it' };
    const first = await host.post(path, message, { ...as, key: 'k-1' });
    const same = await host.post(path, message, as);
    const replay = await host.post(path, message, { ...as, key: 'k-1' });
    expect(replay.headers['idempotency-replayed']).toBe('true');
    expect(proofOf(same)).toBe(proofOf(first));
    expect(proofOf(replay)).toBe(proofOf(first));
    expect(await verdict(first, tenant)).toBe('yes');
  });

  it('come with a replay, and are not part of what is replayed', async () => {
    const tenant = newTenant();
    const body = aDecision();
    const first = await host.post('/decisions', body, { tenant, key: 'k' });
    expectNoReceipt(first);
    const replay = await host.post('/decisions', body, { tenant, key: 'k', headers: WAIT });
    expect(replay.headers['idempotency-replayed']).toBe('true');
    expect(replay.envelope).toEqual(first.envelope);
    expect(await verdict(replay, tenant)).toBe('yes');
    expectNoReceipt(await host.post('/decisions', body, { tenant, key: 'k' }));
  });

  it('of a batch say that all of it is in the log, and replayed too', async () => {
    const tenant = newTenant();
    const items = Array.from({ length: 20 }, (_, at) => aDecision({ created_at: `2026-0${String(1 + (at % 9))}-01T00:00:00Z` })); // prettier-ignore
    for (const replayed of [undefined, 'true']) {
      const reply = await host.post('/decisions/batch', { items }, { tenant, key: 'b', headers: WAIT });
      expect([reply.status, reply.headers['idempotency-replayed']]).toEqual([201, replayed]);
      expect([reply.headers['preference-applied'], reply.headers['link']]).toEqual(['wait=10', undefined]);
      for (const { id } of reply.heads)
        expect((await host.get(`/decisions/${id}/proof`, { tenant })).status).toBe(200);
    }
  });

  it('are for writers too, who may not follow them, and show nothing that they may not see', async () => {
    const tenant = newTenant();
    const writer = { tenant, roles: 'records.writer', headers: WAIT };
    const contact = { name: 'Jo Voorbeeld', email: 'jo@meridian.example' };
    const reply = await aCovenant(host, { organization: { name: 'Meridian', contact } }, writer);
    expect(reply.status, reply.text).toBe(201);
    expect(reply.text).not.toContain(contact.name);
    expect((await host.get(proofOf(reply), { tenant, roles: 'records.writer' })).status).toBe(403);
    expect(await verdict(reply, tenant)).toBe('yes');
  });

  it('count the seal of another host', async () => {
    const tenant = newTenant();
    const deaf = hostOn(
      wrapPorts(storage.ports, (call, run) =>
        call.args[0] === BLOB_CONTAINERS.ledger && call.method === 'putOnce'
          ? Promise.reject(new StorageFault('unavailable', 'not from this host'))
          : run(),
      ),
    );
    const waiting = deaf.post('/decisions', aDecision(), { tenant, headers: WAIT });
    let done = false;
    void waiting.then(() => (done = true));
    while (!done) {
      await host.platform.sealer.sealTenant(tenant);
      await realClock.sleep(20);
    }
    expect(await verdict(await waiting, tenant)).toBe('yes');
  });

  it('are left out when time is up, and when sealing is broken; the write stands', async () => {
    const tenant = newTenant();
    const broken = wrapPorts(storage.ports, (call, run) =>
      call.args[0] === BLOB_CONTAINERS.ledger
        ? Promise.reject(new StorageFault('unavailable', 'no ledger today'))
        : run(),
    );
    const counting = countingPorts(broken);
    const other = hostOn(counting.ports, 50);
    const reply = await other.post('/decisions', aDecision(), { tenant, headers: WAIT });
    expect(reply.status).toBe(201);
    expectNoReceipt(reply);
    const looks = counting.calls.filter(
      ({ method, args }) => method === 'find' && args[0] === 'auditevents',
    ).length;
    // How often depends on the machine; that it does not look all the time does not.
    expect(looks).toBeGreaterThan(0);
    expect(looks).toBeLessThan(30);
    const read = await host.get(`/decisions/${reply.envelope.id}`, { tenant });
    expect(read.status).toBe(200);
  });

  it('cost nothing where nobody asks, and where there is nothing to ask for', async () => {
    const tenant = newTenant();
    const counting = countingPorts(storage.ports);
    const other = hostOn(counting.ports);
    await other.post('/decisions', aDecision(), { tenant });
    const callsOf = async (headers: Record<string, string>): Promise<number> => {
      const before = counting.calls.length;
      const reply = await other.post('/decisions', aDecision(), { tenant, headers });
      const { length } = counting.calls;
      expectNoReceipt(reply);
      return length - before;
    };
    const plain = await callsOf({});
    for (const prefer of ['wait=0', 'wait=x', 'wait', 'return=minimal', 'handling=strict; wait=5'])
      expect(await callsOf({ prefer }), prefer).toBe(plain);
    const refused = await other.post('/decisions', {}, { tenant, headers: WAIT });
    expect(refused.status).toBe(422);
    expectNoReceipt(refused);
    const promised = await other.post('/inbox/decisions', aDecision(), { tenant, headers: WAIT });
    expect(promised.status).toBe(202);
    expectNoReceipt(promised);
  });

  it('are waited for by so many, and others get their answers at once', async () => {
    const tenant = newTenant();
    const broken = wrapPorts(storage.ports, (call, run) =>
      call.args[0] === BLOB_CONTAINERS.ledger
        ? Promise.reject(new StorageFault('unavailable', 'no ledger today'))
        : run(),
    );
    const other = hostOn(broken, 10);
    const { receipts } = other.platform;
    const call = { tenant, actor: 'ada', correlationId: 'test' };
    const id = 'evt_01980000-0000-7000-8000-000000000000';
    const deadline = receipts.now() + 10_000;
    const waiting = Array.from({ length: LIMITS.receiptsWaitingOfTenant }, () =>
      receipts.sealed([id], deadline, call),
    );
    const begun = receipts.now();
    expect(await receipts.sealed([id], deadline, call)).toBe(false);
    expect(receipts.now()).toBeLessThan(begun + 5_000);
    expect(await Promise.all(waiting)).toEqual(waiting.map(() => false));
    // And then there is room again.
    await host.platform.sealer.sealTenant(tenant);
    const reply = await host.post('/decisions', aDecision(), { tenant, headers: WAIT });
    proofOf(reply);
  });
});

const EXTERNAL = {
  event_type: 'user.signed_in',
  action: 'sign-in',
  resource_type: 'user',
  resource_id: 'u',
  outcome: 'success',
};

describe('Prefer', () => {
  it.each([
    ['wait=5', 5],
    ['wait=1', 1],
    ['wait=10', 10],
    ['wait=11', 10],
    [`wait=${'9'.repeat(100)}`, 10],
    ['WAIT = 7', 7],
    ['wait="3"', 3],
    ['respond-async, wait=4', 4],
    ['return=minimal; foo="a,wait=9", wait=2', 2],
    ['foo="a, wait=9"', undefined],
    ['wait=2, wait=3', 2],
    ['wait=5; x=y', 5],
    ['wait=x, wait=3', undefined],
    ['wait', undefined],
    ['wait=', undefined],
    ['wait=0', undefined],
    ['wait=-1', undefined],
    ['wait=1.5', undefined],
    ['waits=5', undefined],
    ['', undefined],
    ['"', undefined],
    [`wait=5${' '.repeat(300)}`, undefined],
    [null, undefined],
  ])('%s', (text, seconds) => {
    expect(waitOf({ get: () => text })).toBe(seconds);
  });
});
