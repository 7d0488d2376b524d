import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SealingContext } from '../../src/domain/commitment.js';
import { newId } from '../../src/domain/ids.js';
import type { RecordType } from '../../src/domain/record-type.js';
import { covenantType } from '../../src/records/covenant.js';
import { KEYS_TABLE } from '../../src/security/keys/key-rows.js';
import { StorageFault, type RowOperation } from '../../src/storage/ports.js';
import { readRange } from '../../src/storage/range.js';
import { rowIntact } from '../../src/storage/row-checksum.js';
import { countingPorts } from '../support/counting-ports.js';
import { COVENANT } from '../support/covenants.js';
import { newTenant } from '../support/decisions.js';
import { MemoryVault, testKeyRing } from '../support/key-ring.js';
import { caller, openStorage, STORAGES, testPlatform } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';

const MINUTE = 60_000;
const SECRET = { salt: 'c2FsdA', value: 'born 1970' };

describe.each(STORAGES)('keys of data subjects $name', (kind) => {
  let storage: StorageUnderTest;
  beforeAll(async () => (storage = await openStorage(kind)));
  afterAll(() => storage.close());

  const contextOf = (tenant: string): SealingContext => ({
    tenant,
    type: 'decision',
    id: 'dec_1',
    revision: 1,
  });
  const rowsOf = (tenant: string, range = { from: '!', to: '~' }) =>
    readRange(storage.ports.tables, KEYS_TABLE, `${tenant}:keys`, range);

  /** A process of its own that seals for one tenant. */
  function hostOf(tenant: string, options: Parameters<typeof testKeyRing>[1] = {}) {
    const counting = countingPorts(storage.ports);
    const ring = testKeyRing(counting.ports, options);
    const context = contextOf(tenant);
    return {
      ...ring,
      counting,
      seal: async (...subjects: string[]) => (await ring.secretBox.seal(context, { '/v': SECRET }, { '/v': subjects }))['/v'] ?? '', // prettier-ignore
      open: async (sealed: string) => (await ring.secretBox.open(context, { '/v': sealed }))['/v'],
      destroy: (subject: string) => ring.dataKeys.destroySubject(tenant, subject),
    };
  }

  it('cost 1 read and 1 transaction the first time, 2 reads the first time in a process, then nothing', async () => {
    const tenant = newTenant();
    const { seal, open, counting } = hostOf(tenant);
    await seal();
    // Tenant's key looked for, listed and made; key of what is about nobody looked for and made.
    expect(counting.counts()).toEqual({ 'tables.find': 2, 'tables.commit': 3 });
    counting.reset();
    const sealed = await seal('ann');
    expect(counting.counts()).toEqual({ 'tables.find': 1, 'tables.commit': 1 });
    expect((counting.calls[1]?.args[2] as RowOperation[]).map(({ kind }) => kind)).toEqual([
      'insert',
      'insert',
    ]);
    counting.reset();
    await Promise.all([seal('ann'), seal(), open(sealed)]);
    expect(counting.counts()).toEqual({});
    const other = hostOf(tenant);
    await Promise.all(Array.from({ length: 20 }, () => other.seal('ann')));
    expect(other.counting.counts()).toEqual({ 'tables.find': 3 });
  });

  it('are rows that hold no name and no key in clear, each with a checksum and a version', async () => {
    const tenant = newTenant();
    const { seal, destroy } = hostOf(tenant);
    await seal('ann.lee@example.com');
    await seal();
    await seal('bob');
    await destroy('bob');
    const rows = await rowsOf(tenant);
    expect(rows.every(rowIntact)).toBe(true);
    expect(JSON.stringify(rows)).not.toMatch(/ann|lee|bob/);
    const [text, checksum] = [
      expect.any(String) as string,
      expect.stringMatching(/^[0-9a-f]{32}$/) as string,
    ];
    const always = { schema_version: '1.0', row_checksum: checksum };
    const wrapped = { wrapped: text, created_at: text, ...always };
    // A blind hash may sort before `_` or after it.
    const named = rows.map(
      ({ rowKey, properties }) => [rowKey.replace(/[0-9a-f]{32}/, '*'), properties] as const,
    );
    expect([...named].sort(([a], [b]) => (a < b ? -1 : 1))).toEqual([
      ['k:*', expect.anything()],
      ['k:*', expect.anything()],
      ['k:*', expect.anything()],
      ['s:*', expect.anything()],
      ['s:*', expect.anything()],
      ['s:_', { data_key: checksum, created_at: text, ...always }],
      [
        't:1',
        {
          wrapped_by: expect.stringMatching(/^local:/) as string,
          wrapped_version: '1',
          index_key: text,
          ...wrapped,
        },
      ],
    ]);
    const kept = rows.flatMap(({ rowKey, properties }) => (rowKey.startsWith('k:') ? [properties] : []));
    expect(kept).toEqual(expect.arrayContaining([wrapped, { destroyed_at: text, ...always }]));
    expect(kept.filter((columns) => 'wrapped' in columns)).toHaveLength(2);
  });

  it('are agreed on by processes that make the same ones at once', async () => {
    const tenant = newTenant();
    const hosts = Array.from({ length: 6 }, () => hostOf(tenant));
    const sealed = await Promise.all(hosts.map(({ seal }) => seal('ann', 'bob')));
    expect(new Set(sealed.map((text) => text.split('.')[1])).size).toBe(1);
    for (const text of sealed) expect(await hosts[0]?.open(text)).toEqual(SECRET);
    expect((await rowsOf(tenant)).map(({ rowKey }) => rowKey[0])).toEqual(['k', 'k', 's', 's', 't']);
  });

  it('are destroyed for good, with every value that needs them, and for that subject of that tenant alone', async () => {
    const [tenant, elsewhere] = [newTenant(), newTenant()];
    const host = hostOf(tenant);
    const neighbour = hostOf(elsewhere);
    const theirs = await neighbour.seal('ann');
    const [ann, bob, both, nobody] = await Promise.all([host.seal('ann'), host.seal('bob'), host.seal('bob', 'ann'), host.seal()]); // prettier-ignore
    const done = await host.destroy('ann');
    expect(done).toEqual({
      outcome: 'destroyed',
      keyId: ann?.split('.')[1],
      at: expect.any(String) as string,
    });
    for (const one of [host, hostOf(tenant)]) {
      expect(await one.open(ann ?? '')).toBeUndefined();
      expect(await one.open(both ?? '')).toBeUndefined();
      expect(await one.open(bob ?? '')).toEqual(SECRET);
      expect(await one.open(nobody ?? '')).toEqual(SECRET);
    }
    expect(await neighbour.open(theirs)).toEqual(SECRET);
    expect(await host.destroy('ann')).toEqual({ ...done, outcome: 'already-destroyed' });
    expect(await host.destroy('eve')).toEqual({ outcome: 'unknown' });
    expect(await host.destroy('')).toEqual({ outcome: 'unknown' });
    expect(await hostOf(newTenant()).destroy('ann')).toEqual({ outcome: 'unknown' });
  });

  it('are others for the same name used again, in every process, and these can be destroyed too', async () => {
    const tenant = newTenant();
    const host = hostOf(tenant);
    const first = await host.seal('ann');
    await host.destroy('ann');
    const second = await host.seal('ann');
    expect(second.split('.')[1]).not.toBe(first.split('.')[1]);
    expect(await hostOf(tenant).open(second)).toEqual(SECRET);
    expect((await hostOf(tenant).seal('ann')).split('.')[1]).toBe(second.split('.')[1]);
    expect(await host.destroy('ann')).toMatchObject({ outcome: 'destroyed', keyId: second.split('.')[1] });
    expect(await host.open(first)).toBeUndefined();
    expect(await host.open(second)).toBeUndefined();
  });

  it('leave other processes within five minutes of being read, and what is sealed there until then goes with them', async () => {
    const tenant = newTenant();
    const clock = new VirtualClock();
    const [here, there] = [hostOf(tenant, { clock }), hostOf(tenant, { clock })];
    const sealed = await here.seal('ann');
    expect(await there.open(sealed)).toEqual(SECRET);
    await there.seal('ann');
    await clock.advance(MINUTE);
    await here.destroy('ann');
    await clock.advance(4 * MINUTE - 1);
    expect(await there.open(sealed)).toEqual(SECRET);
    const late = await there.seal('ann');
    expect(late.split('.')[1]).toBe(sealed.split('.')[1]);
    await clock.advance(2);
    expect(await there.open(sealed)).toBeUndefined();
    expect(await there.open(late)).toBeUndefined();
    expect((await there.seal('ann')).split('.')[1]).not.toBe(sealed.split('.')[1]);
  });

  it('that a process still remembers are forgotten when it learns that the subject has another', async () => {
    const tenant = newTenant();
    const clock = new VirtualClock();
    const [here, there] = [hostOf(tenant, { clock }), hostOf(tenant, { clock })];
    const sealed = await here.seal('ann');
    await clock.advance(3 * MINUTE);
    expect(await there.open(sealed)).toEqual(SECRET);
    await here.destroy('ann');
    expect(await there.open(sealed)).toEqual(SECRET);
    // What it has opened may be what it seals: once it is told to begin anew.
    await expect(there.seal('ann')).rejects.toMatchObject({ code: 'storage-unavailable', retryAfterS: 1 });
    expect(await there.open(sealed)).toBeUndefined();
    expect((await there.seal('ann')).split('.')[1]).not.toBe(sealed.split('.')[1]);
  });

  // Where time is not real, only what a storage does at once can be waited for.
  it.skipIf(kind.realTime)(
    'are wrapped by a vault that is asked once in five minutes, and not to be had while it does not answer',
    async () => {
      const tenant = newTenant();
      const clock = new VirtualClock();
      const vault = new MemoryVault();
      const host = hostOf(tenant, { clock, vault, keys: [] });
      const sealed = await host.seal('ann');
      await host.seal('bob');
      expect(vault.calls).toEqual(['wrap']);
      await clock.advance(5 * MINUTE + 1);
      vault.failure = new StorageFault('unavailable', 'throttled');
      const refused = expect(host.seal('bob')).rejects.toMatchObject({ code: 'storage-unavailable' });
      const closed = expect(host.open(sealed)).rejects.toMatchObject({ code: 'storage-unavailable' });
      await clock.advance(25_000);
      await Promise.all([refused, closed]);
      vault.failure = undefined;
      vault.calls.splice(0);
      expect(await host.open(sealed)).toEqual(SECRET);
      await host.seal('bob');
      expect(vault.calls).toEqual(['unwrap']);
    },
  );

  it.each([
    ['was altered', { wrapped: 'AAAA' }],
    ['is wrapped by a key that is not configured', undefined],
  ])('say that they do not hold together when the tenant’s %s', async (_, change) => {
    const tenant = newTenant();
    const host = hostOf(tenant, change === undefined ? { vault: new MemoryVault() } : {});
    const sealed = await host.seal('ann');
    const merge = { kind: 'merge', rowKey: 't:1', properties: change ?? {}, etag: '*' } as const;
    await storage.ports.tables.commit(KEYS_TABLE, `${tenant}:keys`, [merge]);
    const other = hostOf(tenant);
    const refusal = { code: 'integrity-failure' };
    await expect(other.open(sealed)).rejects.toMatchObject({
      ...refusal,
      evidence: { id: 'dec_1', key: 't:1' },
    });
    await expect(other.seal('ann')).rejects.toMatchObject({ ...refusal, evidence: { row: 't:1', tenant } });
    await expect(other.blindIndex.blind(tenant, 'p', 'v')).rejects.toMatchObject(refusal);
    await expect(other.destroy('ann')).rejects.toMatchObject(refusal);
  });

  it('of another tenant do not open in its place', async () => {
    const [tenant, other] = [newTenant(), newTenant()];
    const vault = new MemoryVault();
    await hostOf(tenant, { vault }).seal('ann');
    await hostOf(other, { vault }).seal('ann');
    const { wrapped, index_key } = (await rowsOf(other, { from: 't:', to: 't;' }))[0]?.properties ?? {};
    const row = { wrapped: wrapped ?? '', index_key: index_key ?? '' };
    await storage.ports.tables.commit(KEYS_TABLE, `${tenant}:keys`, [{ kind: 'merge', rowKey: 't:1', properties: row, etag: '*' }]); // prettier-ignore
    await expect(hostOf(tenant, { vault }).seal('ann')).rejects.toMatchObject({ code: 'integrity-failure' });
  });
});

describe.each(STORAGES)('a record whose subject was erased $name', (kind) => {
  const type: RecordType = {
    ...covenantType,
    subjects: {
      '/organization/contact/name': ['/organization/contact/email'],
      '/organization/contact/email': ['/organization/contact/email'],
    },
  };
  const contact = { name: 'Ann Lee', email: 'ann@example.com', phone: '+1 555 0100' };
  const body = { ...COVENANT, organization: { name: 'Meridian', contact } };

  it('keeps its checksum and its commitments, and shows everything else', async () => {
    const storage = await openStorage(kind, [type]);
    const platform = testPlatform(storage.ports, { types: [type] });
    const call = caller({ maySeeSensitive: true });
    const made = await platform.manager.create(type, body, call);
    const { id, checksum } = made.envelope;
    expect(made.envelope.data).toMatchObject({ organization: { contact } });
    expect(await platform.dataKeys.destroySubject('default', contact.email)).toMatchObject({
      outcome: 'destroyed',
    });
    for (const host of [platform, testPlatform(storage.ports, { types: [type] })]) {
      const { envelope } = await host.manager.get(type, id, call);
      const gone = { $commitment: expect.stringMatching(/^[0-9a-f]{64}$/) as string };
      expect(envelope.checksum).toBe(checksum);
      expect(envelope.data).toMatchObject({
        principles: [{ name: 'Transparency' }],
        organization: { name: 'Meridian', contact: { name: gone, email: gone, phone: contact.phone } },
      });
    }
    storage.close();
  });

  it('is held to be damaged when the key is gone and nobody destroyed it', async () => {
    const storage = await openStorage(kind, [type]);
    const call = caller({ maySeeSensitive: true, tenant: newTenant() });
    const made = await testPlatform(storage.ports, { types: [type] }).manager.create(type, body, call);
    const rows = await readRange(storage.ports.tables, KEYS_TABLE, `${call.tenant}:keys`, {
      from: 'k:',
      to: 'k;',
    });
    for (const { rowKey } of rows)
      await storage.ports.tables.commit(KEYS_TABLE, `${call.tenant}:keys`, [
        { kind: 'delete', rowKey, etag: '*' },
      ]);
    const other = testPlatform(storage.ports, { types: [type] });
    await expect(other.manager.get(type, made.envelope.id, call)).rejects.toMatchObject({
      code: 'integrity-failure',
    });
    storage.close();
  });
});

describe('each storage call of the first use of a subject', () => {
  /** What may become of a call: it did not happen, it happened and said it did not, the process died before or after. */
  const FATES = ['not done', 'done and lost', 'died before', 'died after'] as const;
  const never = () => new Promise<never>(() => undefined);

  async function run(fate: (typeof FATES)[number], at: number): Promise<boolean> {
    const clock = new VirtualClock();
    const ports = (await STORAGES.find(({ realTime }) => !realTime)?.open({ tables: [KEYS_TABLE], containers: [], queues: [] }))?.ports; // prettier-ignore
    if (ports === undefined) return false;
    let calls = 0;
    const { tables } = wrapPorts(ports, async (_, go) => {
      calls += 1;
      if (calls !== at) return go();
      if (fate === 'died before') return never();
      const result = fate === 'not done' ? undefined : await go();
      if (fate === 'died after') return never();
      throw new StorageFault('unavailable', `${fate}: ${String(result)}`);
    });
    const context: SealingContext = { tenant: 'acme', type: 'decision', id: newId('dec', 0, { bytes: (n) => new Uint8Array(n) }), revision: 1 }; // prettier-ignore
    const secrets = { '/v': SECRET };
    const about = { '/v': ['ann'] };
    const first = testKeyRing({ tables }, { clock });
    let sealed: Record<string, string> | undefined;
    void first.secretBox.seal(context, secrets, about).then((value) => (sealed = value));
    await clock.advance(30_000);
    expect(sealed === undefined).toBe(fate.startsWith('died') && calls >= at);
    const second = testKeyRing(ports, { clock });
    const again = await second.secretBox.seal(context, secrets, about);
    expect(await second.secretBox.open(context, again)).toEqual(secrets);
    if (sealed !== undefined) {
      expect(await testKeyRing(ports, { clock }).secretBox.open(context, sealed)).toEqual(secrets);
      expect(sealed['/v']?.split('.')[1]).toBe(again['/v']?.split('.')[1]);
    }
    expect(await second.rotation.tenantsAfter(undefined, 10)).toEqual(['acme']);
    return calls >= at;
  }

  it.each(FATES)('may be %s, and everybody agrees on one key', async (fate) => {
    let at = 1;
    while (await run(fate, at)) at += 1;
    // Two reads and three transactions.
    expect(at).toBe(6);
  });

  it.each(FATES)('of destroying it may be %s, and it is destroyed then or at the next try', async (fate) => {
    for (let at = 1; ; at += 1) {
      const clock = new VirtualClock();
      const storage = await STORAGES[0]?.open({ tables: [KEYS_TABLE], containers: [], queues: [] });
      if (storage === undefined) return;
      const tenant = newTenant();
      const context: SealingContext = { tenant, type: 'decision', id: 'dec_1', revision: 1 };
      const sealed = await testKeyRing(storage.ports).secretBox.seal(
        context,
        { '/v': SECRET },
        { '/v': ['ann'] },
      );
      let calls = 0;
      const { tables } = wrapPorts(storage.ports, async (_, go) => {
        calls += 1;
        if (calls !== at) return go();
        if (fate === 'died before') return never();
        if (fate !== 'not done') await go();
        if (fate === 'died after') return never();
        throw new StorageFault('unavailable', fate);
      });
      let done: unknown;
      void testKeyRing({ tables }, { clock })
        .dataKeys.destroySubject(tenant, 'ann')
        .then((value) => (done = value));
      await clock.advance(30_000);
      if (done === undefined) await testKeyRing(storage.ports).dataKeys.destroySubject(tenant, 'ann');
      else expect(done).toMatchObject({ outcome: 'destroyed' });
      expect(await testKeyRing(storage.ports).secretBox.open(context, sealed)).toEqual({});
      storage.close();
      if (calls < at) {
        // The tenant's key twice, whose it is, and the transaction.
        expect(calls).toBe(4);
        return;
      }
    }
  });
});

describe('blind hashes', () => {
  it('are the same for one text of one tenant and purpose, in any process, and for no other', async () => {
    const storage = await STORAGES[0]?.open({ tables: [KEYS_TABLE], containers: [], queues: [] });
    if (storage === undefined) return;
    const [one, other] = [testKeyRing(storage.ports).blindIndex, testKeyRing(storage.ports).blindIndex];
    const tenant = newTenant();
    const hash = await one.blind(tenant, 'decisions/email', 'café');
    expect(hash).toMatch(/^[0-9a-f]{32}$/);
    expect(await other.blind(tenant, 'decisions/email', 'cafe\u0301')).toBe(hash);
    const others = await Promise.all([
      one.blind(tenant, 'decisions/email', 'Café'),
      one.blind(tenant, 'decisions/email', 'cafe'),
      one.blind(tenant, 'decisions/emai', 'lcafé'),
      one.blind(newTenant(), 'decisions/email', 'café'),
    ]);
    expect(new Set([hash, ...others]).size).toBe(5);
    storage.close();
  });
});
