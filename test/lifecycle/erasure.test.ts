import { beforeEach, describe, expect, it } from 'vitest';
import type { Erasure } from '../../src/domain/erasure.js';
import { decisionType } from '../../src/records/decision.js';
import { KEYS_TABLE } from '../../src/security/keys/key-rows.js';
import type { RowOperation } from '../../src/storage/ports.js';
import { readRange } from '../../src/storage/range.js';
import { storageNames } from '../../src/platform.js';
import { SubjectIndex, SUBJECTS_TABLE } from '../../src/storage/subject-rows.js';
import { countingPorts } from '../support/counting-ports.js';
import { seededEntropy } from '../support/entropy.js';
import { memoryPorts } from '../support/memory-ports.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { newTenant } from '../support/decisions.js';
import { httpHost, type HttpHost, type Reply } from '../support/http-harness.js';
import { caller, STORAGES, testPlatform } from '../support/platform.js';
import { useHttpHost } from '../support/use-http-host.js';

const REASON = 'Request under article 17.';
const erasureOf = ({ json }: Reply): Erasure => json as unknown as Erasure;

describe.each(STORAGES)('erasure $name', (kind) => {
  const { host, storage } = useHttpHost(kind);
  /** What is the same on every storage is tested on the quick one. */
  const quick = it.skipIf(kind.realTime);
  let tenant: string;
  beforeEach(() => (tenant = newTenant()));

  const about = (subject: string, more: object = {}) => ({ decision_type: 'strategic', title: 'T', metadata: { subject_id: subject }, ...more }); // prettier-ignore
  const made = async (path: string, body: object): Promise<string> => {
    const reply = await host.post(path, body, { tenant });
    expect(reply.status, reply.text).toBeLessThan(300);
    return `${path}/${String(reply.json['id'] ?? reply.json['hold_id'])}`;
  };
  const ask = (subject: string, more: object = {}): Promise<Reply> =>
    host.post('/erasures', { subject, reason: REASON }, { tenant, ...more });
  const asked = async (subject: string): Promise<Erasure> => {
    const reply = await ask(subject);
    expect(reply.status, reply.text).toBe(202);
    return erasureOf(reply);
  };
  const jobs = async (on: HttpHost = host): Promise<void> => {
    await on.platform.jobs.start('index-subjects');
    await on.platform.jobs.start('erase');
  };
  const seen = async ({ erasure_id: id }: Erasure): Promise<Erasure> =>
    erasureOf(await host.get(`/erasures/${id}`, { tenant }));
  const events = async (type: string) => {
    await host.platform.sealer.sealTenant(tenant);
    const { items } = await host.platform.auditReader.list({ filters: { event_type: type }, limit: 100 }, caller({ tenant })); // prettier-ignore
    return items;
  };

  it('is asked for, done by the job, and said to be provisional', async () => {
    const path = await made('/decisions', about('p-1'));
    const reply = await ask('p-1');
    expect(reply.status, reply.text).toBe(202);
    expect(reply.headers['location']).toBe(`/api/erasures/${String(reply.json['erasure_id'])}`);
    expect(reply.json).toMatchObject({ state: 'pending', reason: REASON });
    expect((await host.get(path, { tenant })).text).toContain('p-1');
    await jobs();
    expect((await host.get(path, { tenant })).text).not.toContain('p-1');
    const done = await seen(erasureOf(reply));
    expect(done).toMatchObject({ state: 'provisional', certificate: { records: { decisions: 1 }, key: 'destroyed', actors: 0 } }); // prettier-ignore
    expect(await events('erasure.requested')).toHaveLength(1);
    expect(await events('subject.erased')).toHaveLength(1);
    expect((await host.get('/erasures', { tenant })).page.items).toEqual([done]);
  });

  quick('asked for again says that nothing came since', async () => {
    await made('/decisions', about('p-1'));
    const first = await asked('p-1');
    await jobs();
    const again = await asked('p-1');
    await jobs();
    const { certificate } = await seen(first);
    expect(await seen(again)).toMatchObject({ state: 'provisional', certificate: { records: {}, key: 'destroyed-before', final_at: certificate?.final_at } }); // prettier-ignore
  });

  quick('of somebody whom nobody knows is no success', async () => {
    const erasure = await asked('p-nobody');
    await jobs();
    const now = await seen(erasure);
    expect(now.state).toBe('unknown-subject');
    expect(now.certificate).toBeUndefined();
    expect(await events('subject.erased')).toMatchObject([{ outcome: 'failure', details: { state: 'unknown-subject' } }]); // prettier-ignore
  });

  quick('is repeated under its key, and refused under another body', async () => {
    const first = await ask('p-1', { key: 'k' });
    await jobs();
    const again = await ask('p-1', { key: 'k' });
    expect([again.status, again.text]).toEqual([202, first.text]);
    expect(again.headers['idempotency-replayed']).toBe('true');
    // The address says the same as the body.
    const addressed = await host.post('/subjects/p-1/erasure', { reason: REASON }, { tenant, key: 'k' });
    expect(addressed.text).toBe(first.text);
    expect((await ask('p-2', { key: 'k' })).code).toBe('idempotency-key-reused');
  });

  quick(
    'takes a name from the address where all hosts agree on it, and says what is wrong with a body',
    async () => {
      const byAddress = async (name: string): Promise<Erasure> =>
        erasureOf(
          await host.post(`/subjects/${encodeURIComponent(name)}/erasure`, { reason: REASON }, { tenant }),
        );
      for (const name of ['p-1', 'ann.lee@example.com', 'zoë', 'a\u0301', '張三'])
        expect((await byAddress(name)).subject_hash).toBe((await asked(name)).subject_hash);
      // What hosts do not agree on is refused, and taken from a body.
      for (const name of ['p 1', 'a/b', '50%', 'a+b', '😀', 'a\\b']) {
        const path = `/subjects/${encodeURIComponent(name)}/erasure`;
        const refused = await host.post(path, { reason: REASON }, { tenant });
        expect([refused.status, refused.code], name).toEqual([422, 'record-invalid']);
        expect((await asked(name)).state).toBe('pending');
      }
      expect((await host.post('/erasures', { subject: '', reason: ' ' }, { tenant })).pointers).toEqual(['/subject', '/reason']); // prettier-ignore
      expect((await host.post('/erasures', { reason: REASON }, { tenant })).pointers).toEqual(['/subject']);
      expect((await host.get('/erasures/era_1', { tenant })).code).toBe('record-not-found');
    },
  );

  it('is refused while a hold is on the subject, a record about it, or somebody else in one', async () => {
    const path = await made('/decisions', about('p-1', { decision_type: 'operational' }));
    await made('/conversations', { conversation_type: 'boardroom', participants: ['p-1', 'p-2'], messages: [] }); // prettier-ignore
    for (const scope of [
      { subject: 'p-1' },
      { subject: 'p-2' },
      { record: { collection: 'decisions', id: path.split('/').at(-1) } },
      { query: { collection: 'decisions', field: { decision_type: 'operational' } } },
    ]) {
      const hold = await made('/holds', { scope, reason: 'A case.' });
      const refused = await ask('p-1', { key: 'k' });
      expect([refused.status, refused.code], JSON.stringify(scope)).toEqual([409, 'record-on-hold']);
      await made(`${hold}/release`, { reason: 'It is over.' });
    }
    await made('/holds', { scope: { query: { collection: 'decisions', field: { decision_type: 'strategic' } } }, reason: 'Another case.' }); // prettier-ignore
    expect((await host.get('/erasures', { tenant })).page.items).toEqual([]);
    expect((await ask('p-1', { key: 'k' })).status).toBe(202);
  });

  quick('waits for a hold that comes after it was asked for, and goes on when that is released', async () => {
    const path = await made('/decisions', about('p-1'));
    const erasure = await asked('p-1');
    const hold = await made('/holds', { scope: { subject: 'p-1' }, reason: 'A case.' });
    for (let round = 0; round < 2; round += 1) await jobs();
    expect(await seen(erasure)).toMatchObject({ state: 'pending', waiting_for: 'hold' });
    expect((await host.get(path, { tenant })).text).toContain('p-1');
    await made(`${hold}/release`, { reason: 'It is over.' });
    await jobs();
    const done = await seen(erasure);
    expect([done.state, done.waiting_for]).toEqual(['provisional', undefined]);
  });

  it('waits until what is older than the index is in it', async () => {
    const path = await made('/conversations', { conversation_type: 'boardroom', participants: ['p-1'] });
    await made(`${path}/messages`, { sender: 'p-2', content: 'Said.' });
    await host.platform.sealer.sealTenant(tenant);
    // As if it had been written before there was an index.
    for (let shard = 0; shard < 256; shard += 1) {
      const key = `${tenant}:${shard.toString(16).padStart(2, '0')}`;
      const rows = await readRange(storage.ports.tables, SUBJECTS_TABLE, key, { from: '!', to: '~' });
      for (const { rowKey } of rows)
        await storage.ports.tables.commit(SUBJECTS_TABLE, key, [{ kind: 'delete', rowKey, etag: '*' }]);
    }
    const erasures = [await asked('p-1'), await asked('p-2')];
    await host.platform.jobs.start('erase');
    expect(await seen(erasures[0] as Erasure)).toMatchObject({ state: 'pending', waiting_for: 'index' });
    await jobs();
    for (const erasure of erasures)
      expect(await seen(erasure)).toMatchObject({ state: 'provisional', certificate: { records: { conversations: 1 } } }); // prettier-ignore
  });

  quick('is incomplete while a key is damaged, told once, and done when it is mended', async () => {
    await made('/decisions', about('p-1'));
    const erasure = await asked('p-1');
    const key = `${tenant}:keys`;
    const rows = await readRange(storage.ports.tables, KEYS_TABLE, key, { from: 's:0', to: 's:g' });
    const damage = async (text: string): Promise<void> => {
      for (const { rowKey, properties } of rows)
        await storage.ports.tables.commit(KEYS_TABLE, key, [{ kind: 'upsert', rowKey, properties: { ...properties, created_at: text === '' ? String(properties['created_at']) : text } }]); // prettier-ignore
    };
    await damage('2020-01-01T00:00:00.000Z');
    const fresh = httpHost(storage.ports);
    for (let round = 0; round < 2; round += 1) await jobs(fresh);
    expect(await seen(erasure)).toMatchObject({ state: 'incomplete', waiting_for: 'damage' });
    expect(await events('integrity.failed')).toHaveLength(1);
    await damage('');
    await jobs(fresh);
    expect(await seen(erasure)).toMatchObject({ state: 'provisional' });
  });

  it('is done once by two hosts at a time', async () => {
    await made('/decisions', about('p-1'));
    const erasure = await asked('p-1');
    await host.platform.jobs.start('index-subjects');
    const others = [1, 2].map(() => httpHost(storage.ports));
    await Promise.all(others.map(({ platform }) => platform.jobs.tryOut('erase', {})));
    await jobs();
    expect(await seen(erasure)).toMatchObject({ state: 'provisional', certificate: { records: { decisions: 1 } } }); // prettier-ignore
    expect(await events('subject.erased')).toHaveLength(1);
  });

  quick('reaches what another process seals under the key that it remembers', async () => {
    const other = httpHost(storage.ports);
    await made('/decisions', about('p-1'));
    await other.post('/decisions', about('p-1'), { tenant });
    const erasure = await asked('p-1');
    await jobs();
    const late = await other.post('/decisions', about('p-1'), { tenant });
    const read = await httpHost(storage.ports).get(`/decisions/${String(late.json['id'])}`, { tenant });
    expect([read.status, read.text.includes('p-1')]).toEqual([200, false]);
    expect((await seen(erasure)).certificate?.records).toEqual({ decisions: 2 });
    // It is in the index for whoever asks again.
    const again = await asked('p-1');
    await jobs();
    expect((await seen(again)).certificate).toMatchObject({ records: { decisions: 1 }, key: 'destroyed-before' }); // prettier-ignore
  });

  quick('takes the pseudonym from the name, and the name gets another one', async () => {
    const { actors, manager } = host.platform;
    await manager.create(decisionType, { decision_type: 'strategic', title: 'T' }, caller({ tenant, actor: 'p-9' })); // prettier-ignore
    const before = await actors.pseudonym(tenant, 'p-9');
    const erasure = await asked('p-9');
    await jobs();
    expect((await seen(erasure)).certificate).toMatchObject({ actors: 1, records: { decisions: 1 } });
    expect(await actors.nameOf(tenant, before)).toBeUndefined();
    expect(await actors.find(tenant, 'p-9')).toBeUndefined();
    expect(await actors.pseudonym(tenant, 'p-9')).not.toBe(before);
  });

  quick(
    'costs the sealer one transaction for each person it met, and an erasure one read for each 1,000 records',
    async () => {
      const counting = countingPorts(storage.ports);
      const platform = testPlatform(counting.ports);
      const call = caller({ tenant });
      const items = Array.from({ length: 40 }, () => about('p-1'));
      await platform.manager.createBatch(decisionType, items, call);
      counting.reset();
      await platform.sealer.sealTenant(tenant);
      const indexed = counting.calls.filter(({ args }) => args[0] === SUBJECTS_TABLE);
      // The person and the caller, who made the records; the two may share a partition of the index.
      expect(indexed.length).toBeLessThanOrEqual(2);
      expect(indexed.flatMap(({ args }) => args[2] as RowOperation[])).toHaveLength(80);
      await asked('p-1');
      await platform.jobs.start('index-subjects');
      counting.reset();
      await platform.jobs.start('erase');
      const own = counting.calls.filter(({ args }) => args[0] === SUBJECTS_TABLE).map(({ method }) => method);
      // Counted when it began and before the key was destroyed, each time with what is older; read for what is the person's alone, and to be deleted.
      expect(own.filter((method) => method === 'range').length).toBe(6);
      expect(own.filter((method) => method === 'commit')).toHaveLength(1);
    },
  );
});

describe('what was sealed before there were data keys', () => {
  it('is said, and keeps the certificate from becoming final until it is gone', async () => {
    const clock = new VirtualClock();
    const ports = memoryPorts({ clock, names: storageNames() });
    const host = httpHost(ports, { clock, keyBackupDays: 0 });
    await host.post('/decisions', {
      decision_type: 'strategic',
      title: 'T',
      metadata: { subject_id: 'p-1' },
    });
    const asked = await host.post('/erasures', { subject: 'p-1', reason: REASON });
    const { erasure_id: id, subject_hash: subject } = erasureOf(asked);
    const index = new SubjectIndex(ports.tables, clock, seededEntropy('index'));
    const older = { subject, recordType: 'decision', recordId: 'dec_1', older: true };
    await index.add('default', [older]);
    await host.platform.jobs.start('index-subjects');
    await host.platform.jobs.start('erase');
    const seen = async (): Promise<Erasure> => erasureOf(await host.get(`/erasures/${id}`));
    expect(await seen()).toMatchObject({ state: 'provisional', certificate: { sealed_before_data_keys: 1 } });
    await clock.advance(6 * 60_000);
    await host.platform.jobs.start('erase');
    expect(await seen()).toMatchObject({ state: 'provisional', waiting_for: 'sealed-before-data-keys' });
    for await (const page of index.pagesOf('default', subject, { older: true }))
      await index.remove('default', page);
    await host.platform.jobs.start('erase');
    expect((await seen()).state).toBe('complete');
    expect((await seen()).waiting_for).toBeUndefined();
  });
});
