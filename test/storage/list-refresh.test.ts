import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Platform } from '../../src/platform.js';
import { covenantType } from '../../src/records/covenant.js';
import { partitionKey, recordKey } from '../../src/storage/keys.js';
import type { CallContext } from '../../src/storage/manager-types.js';
import { StorageFault, type Row, type RowOperation, type StoragePorts } from '../../src/storage/ports.js';
import { AMENDMENT, COVENANT } from '../support/covenants.js';
import { newTenant } from '../support/decisions.js';
import { caller, openStorage, STORAGES, testPlatform } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';
import { wrapPorts, type PortCall } from '../support/wrap-ports.js';

/** True for a write of list rows. */
const writesLists = ({ method, args }: PortCall): boolean =>
  method === 'commit' && args[0] === 'covenants' && String(args[1]).endsWith(':index');

/**
 * Index rows of records that have a partition of their own follow the commit: they appear before the answer, or are
 * brought by the sealer, and never go back.
 */
describe.each(STORAGES)('list rows that follow $name', (kind) => {
  let storage: StorageUnderTest;
  beforeAll(async () => {
    storage = await openStorage(kind);
  });
  afterAll(() => storage.close());

  const calling = (): CallContext => caller({ tenant: newTenant() });
  const active = { ...COVENANT, status: 'active' };

  async function listed(platform: Platform, call: CallContext, filters: Record<string, string> = {}) {
    const page = await platform.manager.list(covenantType, { filters, limit: 100 }, call);
    return page.items.map(({ id, revision, status }) => ({ id, revision, status }));
  }

  async function rowsOf({ tenant }: CallContext): Promise<readonly Row[]> {
    const key = partitionKey(tenant, 'index');
    return (await storage.ports.tables.range('covenants', key, { from: '!', to: '~', limit: 1000 })).rows;
  }

  /** Ports through which nothing of a kind comes until it is let through. */
  function gated(holds: (call: PortCall) => boolean): {
    readonly ports: StoragePorts;
    readonly held: Promise<void>;
    readonly release: () => void;
  } {
    let release: () => void = () => undefined;
    let reached: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const held = new Promise<void>((resolve) => (reached = resolve));
    const ports = wrapPorts(storage.ports, async (call, run) => {
      if (holds(call)) {
        reached();
        await gate;
      }
      return run();
    });
    return { ports, held, release };
  }

  /** Ports of a process that dies when it is about to do something; nothing of it comes back. */
  function dying(before: (call: PortCall) => boolean): {
    readonly ports: StoragePorts;
    readonly dead: Promise<void>;
  } {
    let died: () => void = () => undefined;
    const dead = new Promise<void>((resolve) => (died = resolve));
    let alive = true;
    const ports = wrapPorts(storage.ports, (call, run) => {
      if (before(call)) alive = false;
      if (alive) return run();
      died();
      return new Promise(() => undefined);
    });
    return { ports, dead };
  }

  it('are there before a write is answered, with the row that says which they are', async () => {
    const call = calling();
    const platform = testPlatform(storage.ports);
    const { envelope } = await platform.manager.create(covenantType, active, call);
    expect(await listed(testPlatform(storage.ports), call)).toEqual([{ id: envelope.id, revision: 1, status: 'active' }]); // prettier-ignore
    await platform.manager.act(covenantType, envelope.id, 'amendments', AMENDMENT, undefined, call);
    const rows = await rowsOf(call);
    const record = await storage.ports.tables.find('covenants', partitionKey(call.tenant, envelope.id), recordKey(envelope.id)); // prettier-ignore
    const index = rows.filter(({ rowKey }) => rowKey.startsWith('i:'));
    expect(index.map(({ rowKey }) => rowKey).sort()).toEqual((JSON.parse(String(record?.properties['index_keys'])) as string[]).sort()); // prettier-ignore
    expect(index.every(({ properties }) => properties['revision'] === 2 && properties['status'] === 'amended')).toBe(true); // prettier-ignore
    const [says] = rows.filter(({ rowKey }) => rowKey === `s:${envelope.id}`);
    expect(says?.properties).toMatchObject({ revision: 2, index_keys: record?.properties['index_keys'] });
    expect(await listed(platform, call, { status: 'active' })).toEqual([]);
  });

  it('are brought by the sealer when the writer died between commit and list, before it forgets the event', async () => {
    const call = calling();
    const { ports, dead } = dying(writesLists);
    void testPlatform(ports).manager.create(covenantType, active, call);
    await dead;
    const platform = testPlatform(storage.ports);
    expect(await listed(platform, call)).toEqual([]);
    // A sealer that dies while it brings them has not cleared the event: the next one brings them.
    const sealer = dying(writesLists);
    void testPlatform(sealer.ports).sealer.sealTenant(call.tenant);
    await sealer.dead;
    await storage.ports.blobs.delete('ledger', `${call.tenant}/lease`).catch(() => undefined);
    expect(await listed(platform, call)).toEqual([]);
    const next = testPlatform(withoutLeases(storage.ports));
    await next.sealer.sealTenant(call.tenant);
    const [item] = await listed(platform, call, { status: 'active' });
    expect(item).toMatchObject({ revision: 1, status: 'active' });
    const key = partitionKey(call.tenant, String(item?.id));
    const pending = await storage.ports.tables.range('covenants', key, { from: 'o:', to: 'o;', limit: 1 });
    expect(pending.rows).toEqual([]);
  });

  /** The lease of a dead sealer is thrift, and a minute is long for a test. */
  function withoutLeases(ports: StoragePorts): StoragePorts {
    return wrapPorts(ports, (call, run) => {
      if (call.method === 'acquireLease') return Promise.resolve('lease');
      return call.method === 'releaseLease' ? Promise.resolve() : run();
    });
  }

  it('are brought by whoever repeats the request, even before anything is sealed', async () => {
    const call = calling();
    const keyed = { ...call, idempotency: { key: 'k', scope: 's', fingerprint: 'f' } };
    const { ports, dead } = dying(writesLists);
    void testPlatform(ports).manager.create(covenantType, active, keyed);
    await dead;
    const platform = testPlatform(storage.ports);
    const replayed = await platform.manager.create(covenantType, active, keyed);
    expect(replayed.replayed).toBe(true);
    expect(await listed(platform, call)).toEqual([{ id: replayed.envelope.id, revision: 1, status: 'active' }]); // prettier-ignore
  });

  it('are brought by the second delivery of an operation', async () => {
    const call = calling();
    const promised = { id: 'cov_019b0000-0000-7000-8000-000000000000', createdMs: 0x019b00000000 };
    const { ports, dead } = dying(writesLists);
    void testPlatform(ports).manager.createPromised(covenantType, active, promised, call);
    await dead;
    const platform = testPlatform(storage.ports);
    const again = await platform.manager.createPromised(covenantType, active, promised, call);
    expect(again.replayed).toBe(true);
    expect(await listed(platform, call)).toEqual([{ id: promised.id, revision: 1, status: 'active' }]);
  });

  it('are reported and stop nobody where the record itself is gone or damaged', async () => {
    const call = calling();
    const stalled = wrapPorts(storage.ports, (one, run) =>
      writesLists(one) ? Promise.reject(new StorageFault('refused', 'no')) : run(),
    );
    const { manager } = testPlatform(stalled);
    const ids: string[] = [];
    for (let n = 0; n < 3; n += 1) ids.push((await manager.create(covenantType, active, call)).envelope.id);
    const [gone = '', altered = '', whole = ''] = ids;
    const keyOf = (id: string): string => partitionKey(call.tenant, id);
    await storage.ports.tables.commit('covenants', keyOf(gone), [{ kind: 'delete', rowKey: recordKey(gone), etag: '*' }]); // prettier-ignore
    await storage.ports.tables.commit('covenants', keyOf(altered), [{ kind: 'merge', rowKey: recordKey(altered), properties: { status: 'draft' }, etag: '*' }]); // prettier-ignore
    const platform = testPlatform(storage.ports);
    expect((await platform.sealer.sealTenant(call.tenant)).sealed).toBeGreaterThanOrEqual(3);
    await platform.sealer.sealTenant(call.tenant);
    expect(await listed(platform, call)).toEqual([{ id: whole, revision: 1, status: 'active' }]);
    const events = await platform.auditReader.list({ filters: { event_type: 'integrity.failed' }, limit: 9 }, call); // prettier-ignore
    const found = events.items.map((event) => [event.resource_id, (event.details as { what: string }).what]);
    expect(found.sort()).toEqual(
      [
        [altered, 'row'],
        [gone, 'row missing'],
      ].sort(),
    );
  });

  it('do not keep a write from being acknowledged where storage does not take them; the sealer catches up', async () => {
    const call = calling();
    let fails = true;
    const ports = wrapPorts(storage.ports, (one, run) =>
      fails && writesLists(one) ? Promise.reject(new StorageFault('refused', 'no')) : run(),
    );
    const platform = testPlatform(ports);
    const { envelope } = await platform.manager.create(covenantType, active, call);
    await platform.manager.act(covenantType, envelope.id, 'revocation', { reason: 'x' }, undefined, call);
    expect(await listed(platform, call)).toEqual([]);
    await expect(platform.sealer.sealTenant(call.tenant)).rejects.toMatchObject({ kind: 'refused' });
    fails = false;
    await platform.sealer.sealTenant(call.tenant);
    expect(await listed(platform, call)).toEqual([{ id: envelope.id, revision: 2, status: 'revoked' }]);
    expect((await rowsOf(call)).map(({ rowKey }) => rowKey.slice(0, 2))).toEqual(['i:', 'i:', 'i:', 'i:', 's:']); // prettier-ignore
  });

  it('never go back to what a slower writer has to say', async () => {
    const call = calling();
    const fast = testPlatform(storage.ports);
    const { envelope } = await fast.manager.create(covenantType, active, call);
    const { id } = envelope;
    const slow = gated(writesLists);
    const late = testPlatform(slow.ports).manager.act(covenantType, id, 'amendments', AMENDMENT, undefined, call); // prettier-ignore
    await slow.held;
    await fast.manager.act(covenantType, id, 'supersession', { reason: 'x' }, undefined, call);
    slow.release();
    expect((await late).envelope).toMatchObject({ revision: 2, data: { status: 'amended' } });
    expect(await listed(fast, call)).toEqual([{ id, revision: 3, status: 'superseded' }]);
    for (const status of ['active', 'amended']) expect(await listed(fast, call, { status })).toEqual([]);
    expect(await rowsOf(call)).toHaveLength(5);
  });

  it('agree with the record when two hosts change it at once, again and again', async () => {
    const call = calling();
    const hosts = [testPlatform(storage.ports), testPlatform(storage.ports)];
    const { id } = (await (hosts[0] as Platform).manager.create(covenantType, active, call)).envelope;
    for (let round = 0; round < (kind.realTime ? 4 : 20); round += 1) {
      await Promise.all(hosts.map((on, n) => on.manager.act(covenantType, id, 'recognitions', { peer: `${round}.${n}` }, undefined, call))); // prettier-ignore
      expect(await listed(hosts[0] as Platform, call)).toEqual([{ id, revision: 3 + 2 * round, status: 'active' }]); // prettier-ignore
    }
  });

  it('come back where somebody removed one, with the next change', async () => {
    const call = calling();
    const platform = testPlatform(storage.ports);
    const { id } = (await platform.manager.create(covenantType, active, call)).envelope;
    const key = partitionKey(call.tenant, 'index');
    for (const { rowKey } of (await rowsOf(call)).filter((row) => row.rowKey.startsWith('i:')))
      await storage.ports.tables.commit('covenants', key, [{ kind: 'delete', rowKey, etag: '*' }]);
    expect(await listed(platform, call)).toEqual([]);
    await platform.manager.act(covenantType, id, 'amendments', AMENDMENT, undefined, call);
    expect(await listed(platform, call, { status: 'amended' })).toEqual([{ id, revision: 2, status: 'amended' }]); // prettier-ignore
    expect(await rowsOf(call)).toHaveLength(5);
  });

  it('are left alone, and the damage is reported, where the row that says which they are was altered', async () => {
    const call = calling();
    const platform = testPlatform(storage.ports);
    const { id } = (await platform.manager.create(covenantType, active, call)).envelope;
    const other = (await platform.manager.create(covenantType, active, call)).envelope.id;
    const key = partitionKey(call.tenant, 'index');
    await storage.ports.tables.commit('covenants', key, [{ kind: 'merge', rowKey: `s:${id}`, properties: { revision: 9 }, etag: '*' }]); // prettier-ignore
    const writer = testPlatform(storage.ports);
    const written = await writer.manager.act(covenantType, id, 'amendments', AMENDMENT, undefined, call);
    expect(written.envelope.revision).toBe(2);
    await writer.manager.act(covenantType, other, 'amendments', AMENDMENT, undefined, call);
    await writer.sealer.sealTenant(call.tenant);
    await writer.sealer.sealTenant(call.tenant);
    const events = await writer.auditReader.list({ filters: { event_type: 'integrity.failed' }, limit: 9 }, call); // prettier-ignore
    expect(events.items).toMatchObject([{ resource_id: id, details: { what: 'list row' } }]);
    expect(await listed(writer, call, { status: 'amended' })).toEqual([{ id: other, revision: 2, status: 'amended' }]); // prettier-ignore
    expect(await listed(writer, call, { status: 'active' })).toEqual([{ id, revision: 1, status: 'active' }]);
  });

  it('are written many to a transaction for a batch, and one by one for those that are listed already', async () => {
    const call = calling();
    const sizes: number[] = [];
    const ports = wrapPorts(storage.ports, (one, run) => {
      if (writesLists(one)) sizes.push((one.args[2] as readonly RowOperation[]).length);
      return run();
    });
    const platform = testPlatform(ports);
    await platform.manager.createBatch(covenantType, Array.from({ length: 45 }, () => active), call); // prettier-ignore
    expect(sizes).toEqual([100, 100, 25]);
    expect(await listed(platform, call)).toHaveLength(45);
    // Another host is quicker to list one of a batch than the host that stored it.
    const slow = gated(writesLists);
    const batch = testPlatform(slow.ports).manager.createBatch(covenantType, [active, active], call);
    await slow.held;
    const stored = (await pendingOf(call)).slice(0, 1);
    for (const id of stored) await platform.manager.act(covenantType, id, 'recognitions', { peer: 'x' }, undefined, call); // prettier-ignore
    slow.release();
    const ids = (await batch).items.map(({ id }) => id);
    const items = await listed(platform, call);
    expect(items).toHaveLength(47);
    expect(items.filter(({ id }) => ids.includes(String(id))).map(({ revision }) => revision).sort()).toEqual([1, 2]); // prettier-ignore
  });

  /** Ids of records that nobody has listed yet, as the directory knows them. */
  async function pendingOf(call: CallContext): Promise<string[]> {
    const platform = testPlatform(storage.ports);
    const known = (await listed(platform, call)).map(({ id }) => String(id));
    const partitions = await platform.directory.partitions(call.tenant, 'covenants');
    return partitions.filter((name) => name.startsWith('cov_') && !known.includes(name));
  }

  it('are found by the directory, like everything that ever held anything', async () => {
    const call = calling();
    const platform = testPlatform(storage.ports);
    const { id } = (await platform.manager.create(covenantType, active, call)).envelope;
    expect(await platform.directory.partitions(call.tenant, 'covenants')).toEqual([id, 'index']);
    const job = await platform.jobs.run('check-partitions');
    expect(job).toBeDefined();
  });

  it('keeps nobody waiting for a record but the one who changed it', async () => {
    const call = calling();
    const { ports, held, release } = gated(writesLists);
    const calm = testPlatform(storage.ports);
    const { id } = (await calm.manager.create(covenantType, active, call)).envelope;
    const { manager } = testPlatform(ports);
    const first = manager.act(covenantType, id, 'amendments', AMENDMENT, undefined, call);
    await held;
    // The first one waits for its lists; a second one commits meanwhile, in the same process.
    const second = manager.act(covenantType, id, 'amendments', AMENDMENT, undefined, call);
    const committed = async (): Promise<number> => (await calm.manager.get(covenantType, id, call)).envelope.revision; // prettier-ignore
    await expect.poll(committed).toBe(3);
    release();
    expect([(await first).envelope.revision, (await second).envelope.revision]).toEqual([2, 3]);
    expect(await listed(calm, call)).toEqual([{ id, revision: 3, status: 'amended' }]);
  });
});
