import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyRecordProof } from '../../src/audit/verifier/index.js';
import type { SealingContext } from '../../src/domain/commitment.js';
import type { Erasure } from '../../src/domain/erasure.js';
import { pathsOf, valueAt } from '../../src/domain/pointer-patterns.js';
import { replaceAt } from '../../src/domain/committed-form.js';
import type { RecordData, RecordType } from '../../src/domain/record-type.js';
import { storageNames } from '../../src/platform.js';
import { agentStateType } from '../../src/records/agent-state.js';
import { RECORD_TYPES } from '../../src/records/registry.js';
import { QUEUES } from '../../src/storage/keys.js';
import type { QueueMessage, StoragePorts } from '../../src/storage/ports.js';
import { useAzurite } from '../support/azurite.js';
import { deliver, messageOf, takeAll } from '../support/courier.js';
import { httpHost, type HttpHost, type Reply } from '../support/http-harness.js';
import { memoryStorage } from '../support/memory-ports.js';
import { filled } from '../support/secret-planting.js';
import { findLeaks, type Trace } from '../support/secret-search.js';
import { accountTraces, memoryTraces } from '../support/storage-traces.js';
import { STORAGES } from '../support/storages.js';
import { bodyOf } from '../support/subjects.js';
import { TEST_LOG_KEYS } from '../support/log-keys.js';
import { VirtualClock } from '../support/virtual-clock.js';

const DAY_MS = 24 * 3_600_000;
/** The person, by a name that no encoding changes. */
const MARK = 'zq7person0001mark';
const AS_PERSON = { actor: MARK, headers: { 'x-forwarded-for': '203.0.113.77' } };
const OTHER_TENANT = { tenant: 'globex', actor: MARK };
/** What an agent works with is nobody's by declaration: nothing in it names whom it is about. */
const TYPES = RECORD_TYPES.filter((type) => type !== agentStateType);

interface Opened {
  readonly ports: StoragePorts;
  readonly clock: VirtualClock | undefined;
  traces(): Promise<readonly Trace[]>;
  close(): void;
}

const OPEN: Readonly<Record<string, () => Promise<Opened>>> = {
  'in memory': () => {
    const clock = new VirtualClock(Date.now());
    const storage = memoryStorage({ clock, names: storageNames() });
    return Promise.resolve({ ports: storage.ports, clock, traces: () => Promise.resolve(memoryTraces(storage.contents())), close: () => undefined }); // prettier-ignore
  },
  'on Azurite': async () => {
    const azurite = useAzurite();
    await azurite.provision(storageNames());
    return { ports: azurite.ports, clock: undefined, traces: () => accountTraces(azurite.connectionString), close: () => azurite.close() }; // prettier-ignore
  },
};

/** A body in which everything that is sensitive, and whom it is about, is the person. */
function about(
  schema: RecordType['createSchema'],
  body: RecordData,
  sensitive: readonly string[],
): RecordData {
  const whole = filled(schema, body, sensitive);
  const marked = pathsOf(whole, sensitive).reduce<unknown>((data, path) => {
    const value = valueAt(data, path);
    const next = typeof value === 'string' ? MARK : Array.isArray(value) ? [MARK] : { note: MARK };
    const changed = replaceAt(data, path, next);
    return schema.safeParse(changed).success ? changed : data;
  }, whole) as RecordData;
  // Nobody takes part twice.
  const once = Array.isArray(marked['participants']) ? { participants: [MARK] } : {};
  const named = {
    ...marked,
    ...once,
    metadata: { ...(marked['metadata'] as object | undefined), subject_id: MARK },
  };
  return schema.safeParse(named).success ? named : marked;
}

async function ok(reply: Promise<Reply>): Promise<Reply> {
  const answer = await reply;
  expect(answer.status, answer.text).toBeLessThan(300);
  return answer;
}

describe.each(STORAGES)('a person who is everywhere $name', ({ name }) => {
  let opened: Opened;
  let host: HttpHost;
  const paths: string[] = [];
  const proofs: string[] = [];
  const sealed: { readonly context: SealingContext; readonly pointer: string; readonly text: string }[] = [];
  let alone = '';
  let theirs = '';
  let bobs = '';
  let metric = '';
  let set: readonly QueueMessage[] = [];
  let coming: readonly QueueMessage[] = [];
  let promised = '';
  let erasure: Erasure;

  beforeAll(async () => {
    opened = await (OPEN[name] as () => Promise<Opened>)();
    host = httpHost(opened.ports, opened.clock === undefined ? {} : { clock: opened.clock });
    watchSealing();
    await plantRecords();
    await plantBeside();
  }, 120_000);
  afterAll(() => opened.close());

  /** Remembers everything that is sealed of the person, wherever it goes. */
  function watchSealing(): void {
    const box = host.platform.secretBox;
    const seal = box.seal.bind(box);
    box.seal = async (context, secrets, subjects) => {
      const done = await seal(context, secrets, subjects);
      for (const [pointer, text] of Object.entries(done))
        if (context.tenant === 'default' && JSON.stringify(secrets[pointer]).includes(MARK))
          sealed.push({ context, pointer, text });
      return done;
    };
  }

  /** Records of every type, with several revisions, entries, a pack, and entries that have moved to blobs. */
  async function plantRecords(): Promise<void> {
    for (const type of TYPES) {
      const { collection, createSchema, sensitive, parts } = type;
      const body = about(createSchema, bodyOf(type), Object.keys(sensitive));
      expect(JSON.stringify(body)).toContain(MARK);
      const made = await ok(host.post(`/${collection}`, body, { ...AS_PERSON, key: `key-${collection}` }));
      const path = `/${collection}/${made.envelope.id}`;
      paths.push(path);
      if (collection === 'metrics') metric = path;
      if (collection === 'conversations') alone = path;
      const patched = await host.patch(path, { metadata: { subject_id: MARK, further: 'x' } }, made.etag, AS_PERSON); // prettier-ignore
      if (collection !== 'covenants') expect(patched.status, patched.text).toBe(200);
      if (parts === undefined) continue;
      const entry = about(parts.input, parts.example as RecordData, Object.keys(parts.sensitive ?? {}));
      for (let n = 0; n < 3; n += 1) await ok(host.post(`${path}/${parts.path}`, { ...entry, ...(parts.nameMember === undefined ? {} : { [parts.nameMember]: `m-${String(n)}` }) }, AS_PERSON)); // prettier-ignore
    }
    const [decision] = TYPES.filter(({ collection }) => collection === 'decisions') as [RecordType];
    const item = about(decision.createSchema, bodyOf(decision), Object.keys(decision.sensitive));
    const batch = await ok(host.post('/decisions/batch', { items: [item, item, item] }, AS_PERSON));
    for (const { id } of batch.heads) paths.push(`/decisions/${id}`);
    // A conversation of two: what the other one says is not the person's.
    const two = { conversation_type: 'boardroom', participants: [MARK, 'bob'], messages: [{ sender: MARK, content: MARK }, { sender: 'bob', content: 'said by bob' }] }; // prettier-ignore
    const shared = await ok(host.post('/conversations', two, { actor: 'bob' }));
    bobs = `/conversations/${shared.envelope.id}`;
    await ok(host.post(`${bobs}/messages`, { sender: MARK, content: MARK }, { actor: 'bob' }));
    await ok(host.post(`${bobs}/messages`, { sender: 'bob', content: 'added by bob' }, { actor: 'bob' })); // prettier-ignore
    await host.platform.jobs.start('move-parts');
    const other = await ok(host.post('/decisions', item, OTHER_TENANT));
    theirs = `/decisions/${other.envelope.id}`;
  }

  /** Messages on their way and set aside, events without a change, a hold that was released, proofs taken home. */
  async function plantBeside(): Promise<void> {
    const { platform } = host;
    const decision = { decision_type: 'strategic', title: 'T', metadata: { subject_id: MARK } };
    const inbox = await ok(host.post('/inbox/decisions', decision, AS_PERSON));
    promised = String(inbox.json['operation_id']);
    await ok(host.post('/inbox/decisions', { ...decision, inputs: { long: MARK.repeat(4000) } }, AS_PERSON)); // prettier-ignore
    const bad = { schema_version: '1.0', tenant: 'default', collection: 'decisions', idempotency_key: 'k', actor: MARK, data: { title: 7, metadata: { subject_id: MARK } } }; // prettier-ignore
    await deliver(platform, messageOf(bad));
    const large = { ...bad, data: { ...bad.data, inputs: { long: MARK.repeat(2500) } } };
    await deliver(platform, messageOf(large));
    const event = { event_type: 'login', action: 'login', resource_type: 'session', resource_id: 's', outcome: 'success', ip_address: MARK, session_id: MARK }; // prettier-ignore
    await ok(host.post('/audit-events', event, AS_PERSON));
    const hold = await ok(host.post('/holds', { scope: { subject: MARK }, reason: 'A case.' }));
    const refused = await host.post('/erasures', { subject: MARK, reason: 'A request.' });
    expect([refused.status, refused.code]).toEqual([409, 'record-on-hold']);
    await ok(host.post(`/holds/${String(hold.json['hold_id'])}/release`, { reason: 'It is over.' }));
    await platform.sealer.sealTenant('default');
    for (const path of paths) proofs.push((await ok(host.get(`${path}/proof`))).text);
    // And some of it is not sealed when the erasure begins.
    const last = await ok(host.post('/decisions', decision, AS_PERSON));
    paths.push(`/decisions/${last.envelope.id}`);
  }

  it('is there before', async () => {
    for (const path of paths) expect((await host.get(path)).text, path).toContain(MARK);
    expect((await host.get('/holds?state=all')).text).toContain(MARK);
  });

  it('is erased', async () => {
    const asked = await ok(host.post('/erasures', { subject: MARK, reason: 'A request.', reference: 'E-1' }, { actor: 'officer', key: 'once' })); // prettier-ignore
    await host.platform.jobs.start('index-subjects');
    await host.platform.jobs.start('erase');
    erasure = (await ok(host.get(String(asked.headers['location']).slice('/api'.length)))).json as unknown as Erasure; // prettier-ignore
    expect(erasure).toMatchObject({
      state: 'provisional',
      certificate: {
        deleted: { conversations: 1 },
        records: { decisions: 5, 'workflow-executions': 1, metrics: 1, conversations: 2, covenants: 1 },
        key: 'destroyed',
        actors: 1,
        sealed_before_data_keys: 0,
      },
    });
  });

  it('leaves nothing of a conversation that was of nobody else', async () => {
    await host.platform.jobs.start('dispose');
    if (opened.clock !== undefined) await opened.clock.advance(DAY_MS);
    await host.platform.jobs.start('dispose');
    const id = alone.split('/').at(-1) ?? '';
    const { blobs } = opened.ports;
    const { names } = await blobs.list('records', 'default/conversation/');
    expect(names.filter((one) => one.includes(id))).toEqual([]);
  });

  it('is in no byte of storage, however it is packed, nor as a bare hash', async () => {
    set = await takeAll(opened.ports, QUEUES.inboxPoison);
    coming = await takeAll(opened.ports, QUEUES.inbox);
    const messages = [...set, ...coming].map(({ text }) => ({ where: 'a message', content: text }));
    expect(messages).toHaveLength(4);
    const traces = [...(await opened.traces()), ...messages];
    expect(traces.length).toBeGreaterThan(300);
    expect(findLeaks([MARK], traces)).toEqual([]);
  }, 120_000);

  it('opens with no key that there is, wherever it was sealed', async () => {
    const places = new Set(sealed.map(({ context }) => context.type));
    for (const type of [
      'decision',
      'workflow_execution',
      'workflow_execution.steps',
      'metric',
      'conversation',
      'conversation.messages',
      'covenant',
      'actor',
      'audit_event',
      'hold',
      'inbox_message',
      'poison_message',
    ])
      // prettier-ignore
      expect(places).toContain(type);
    const { secretBox } = httpHost(opened.ports).platform;
    for (const { context, pointer, text } of sealed)
      expect(await secretBox.open(context, { [pointer]: text }), `${context.type} ${pointer}`).toEqual({});
  }, 60_000);

  it('is in no answer to whoever may see everything, other tenants aside', async () => {
    const fresh = httpHost(opened.ports, opened.clock === undefined ? {} : { clock: opened.clock });
    for (const asker of [host, fresh]) {
      for (const path of paths) {
        const reply = await asker.get(path);
        if (path === alone) expect([reply.status, reply.code]).toEqual([410, 'record-erased']);
        if (path === alone) continue;
        expect(reply.status, reply.text).toBe(200);
        expect(reply.text, path).not.toContain(MARK);
        for (let revision = 1; revision <= reply.envelope.revision; revision += 1)
          expect((await ok(asker.get(`${path}/revisions/${String(revision)}`))).text).not.toContain(MARK);
      }
      for (const type of TYPES)
        for (const path of paths.filter(
          (one) => type.parts !== undefined && one !== alone && one.startsWith(`/${type.collection}/`),
        ))
          // prettier-ignore
          expect((await ok(asker.get(`${path}/${type.parts?.path ?? ''}`))).text).not.toContain(MARK);
      for (const path of [
        '/holds?state=all',
        '/audit-events?limit=1000',
        '/erasures',
        `/operations/${promised}`,
      ])
        // prettier-ignore
        expect((await ok(asker.get(path))).text, path).not.toContain(MARK);
    }
    expect((await host.get(theirs, { tenant: 'globex' })).text).toContain(MARK);
  }, 120_000);

  it('comes back from no message that was on its way or was set aside', async () => {
    for (const { text } of set) {
      const aside = JSON.parse(text) as Parameters<HttpHost['platform']['poison']['original']>[0];
      await expect(host.platform.poison.original(aside)).rejects.toMatchObject({ code: 'record-erased' });
    }
    for (const message of coming) await deliver(host.platform, message);
    const operation = await ok(host.get(`/operations/${promised}`));
    expect(operation.json).toMatchObject({ status: 'failed', problem: { status: 410 } });
  });

  it('leaves proofs, values of others and sums as they were', async () => {
    const [vkey = ''] = TEST_LOG_KEYS.vkeys('default');
    for (const proof of proofs) expect((await verifyRecordProof(proof, { vkey })).verdict).toBe('yes');
    await host.platform.sealer.sealTenant('default');
    for (const path of paths.filter((one) => one !== alone)) {
      const proof = await ok(host.get(`${path}/proof`));
      expect((await verifyRecordProof(proof.text, { vkey })).verdict, path).toBe('yes');
    }
    const conversation = await ok(host.get(bobs));
    expect(conversation.text).not.toContain(MARK);
    for (const said of ['said by bob', 'added by bob']) expect(conversation.text).toContain(said);
    expect((await ok(host.get('/decisions?limit=100'))).page.items).toHaveLength(5);
    expect((await ok(host.get(`${metric}/values?resolution=day&limit=1000`))).page.items.length).toBeGreaterThan(0); // prettier-ignore
  });

  it('is certified by events that prove it and name nobody', async () => {
    const [provisional = ''] = erasure.certified_by ?? [];
    const event = await ok(host.get(`/audit-events/${provisional}`));
    expect(event.json).toMatchObject({ event_type: 'subject.erased', action: 'erase', outcome: 'success', details: { state: 'provisional' } }); // prettier-ignore
    await ok(host.get(`/audit-events/${provisional}/proof`));
    if (opened.clock === undefined) return;
    const path = `/erasures/${erasure.erasure_id}`;
    await opened.clock.advance(28 * DAY_MS);
    await host.platform.jobs.start('erase');
    expect((await host.get(path)).json).toMatchObject({ state: 'provisional' });
    await opened.clock.advance(DAY_MS);
    await host.platform.jobs.start('erase');
    await host.platform.jobs.start('erase');
    const final = (await host.get(path)).json as unknown as Erasure;
    expect(final.state).toBe('complete');
    expect(final.certified_by).toHaveLength(2);
  });

  it('is somebody else when the name is used again, and belongs to a later erasure', async () => {
    const body = { decision_type: 'strategic', title: 'Again', metadata: { subject_id: MARK } };
    const made = await ok(host.post('/decisions', body));
    const path = `/decisions/${made.envelope.id}`;
    await host.platform.jobs.start('erase');
    expect((await host.get(path)).text).toContain(MARK);
    const again = await ok(host.post(`/subjects/${MARK}/erasure`, { reason: 'Another request.' }));
    await host.platform.jobs.start('erase');
    expect((await host.get(path)).text).not.toContain(MARK);
    const { json } = await host.get(`/erasures/${String(again.json['erasure_id'])}`);
    expect(json).toMatchObject({ state: 'provisional', certificate: { records: { decisions: 1 }, key: 'destroyed' } }); // prettier-ignore
  });
});
