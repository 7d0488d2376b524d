import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CheckPartitions } from '../../src/lifecycle/check-partitions.js';
import { ExpireKeys } from '../../src/lifecycle/expire-keys.js';
import { decisionType } from '../../src/records/decision.js';
import { Budget } from '../../src/storage/backoff.js';
import { Directory } from '../../src/storage/directory.js';
import { partitionKey, recordKey } from '../../src/storage/keys.js';
import type { StoragePorts } from '../../src/storage/ports.js';
import { placeOf } from '../../src/storage/record-location.js';
import { rowIntact } from '../../src/storage/row-checksum.js';
import { countingPorts, type CountingPorts } from '../support/counting-ports.js';
import { seededEntropy } from '../support/entropy.js';
import { caller, openStorage, STORAGES, testPlatform } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';
import { realClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';
import { BODY, collector, DAY, diesAt, isCommit, round, Sleeper, VOTE } from './support.js';

/** What must hold on the real wire as it does in memory, and what it costs there. */
describe.each(STORAGES)('the sweepers $name', (kind) => {
  let storage: StorageUnderTest;
  let ports: StoragePorts;
  let counting: CountingPorts;
  const call = caller();
  const later = (days: number): number => Math.max(Date.now(), Date.UTC(2026, 0, 1)) + days * DAY;
  const budget = (): Budget => new Budget(realClock, seededEntropy('sweep'));
  const collect = () => round(collector(counting.ports, realClock), later(3));

  beforeAll(async () => {
    storage = await openStorage(kind);
    ports = storage.ports;
    counting = countingPorts(ports);
  });
  afterAll(() => storage.close());
  beforeEach(() => counting.reset());

  const dying = () => testPlatform(wrapPorts(ports, diesAt(isCommit)));
  const listed = async (): Promise<readonly string[]> => (await ports.blobs.list('records', '')).names;

  it('collect what died, at four calls for each; what is in use costs a read per thousand, a pack two', async () => {
    const { manager } = testPlatform(ports);
    const ids: string[] = [];
    for (let at = 0; at < 4; at += 1) ids.push((await manager.create(decisionType, BODY, call)).envelope.id);
    await manager.createBatch(decisionType, [BODY, BODY], call);
    expect(await collect()).toEqual({ listed: 5, named: 5 });
    expect(counting.counts()).toEqual({
      'blobs.list': 1,
      'tables.range': 1,
      'blobs.find': 1,
      'tables.find': 1,
    });
    const [id = ''] = ids;
    const key = partitionKey('default', placeOf(decisionType, 'default', id, {}).partition);
    await expect(dying().manager.act(decisionType, id, 'votes', VOTE, undefined, call)).rejects.toThrow();
    await expect(dying().manager.create(decisionType, BODY, call)).rejects.toThrow();
    const before = await ports.tables.find('decisions', key, recordKey(id));
    counting.reset();
    expect(await collect()).toEqual({ listed: 7, named: 5, collected: 2 });
    expect(counting.counts()).toEqual({
      'blobs.list': 1,
      'tables.range': 1,
      'blobs.find': 1,
      'tables.find': 1 + 2 * 2,
      'tables.commit': 2 * 1,
      'blobs.delete': 2 * 1,
    });
    const after = await ports.tables.find('decisions', key, recordKey(id));
    // Rewritten as it was, and yet another version.
    expect(after?.properties).toEqual(before?.properties);
    expect(after !== undefined && rowIntact(after)).toBe(true);
    expect(after?.etag).not.toBe(before?.etag);
    expect(await listed()).toHaveLength(5);
    for (const each of ids) await manager.get(decisionType, each, call);
  });

  it('collect a pack that nobody names at three calls for each of its records, and a few more', async () => {
    const items = Array.from({ length: 10 }, () => BODY);
    await expect(dying().manager.createBatch(decisionType, items, call)).rejects.toThrow();
    const before = await listed();
    counting.reset();
    expect(await collect()).toMatchObject({ collected: 1 });
    expect(await listed()).toHaveLength(before.length - 1);
    const fences = counting.calls.filter(({ method }) => method === 'commit');
    expect(fences).toHaveLength(10);
    expect(counting.calls.length).toBeLessThanOrEqual(10 * 2 + 16);
  });

  it('make the commit of whoever slept fail, and it succeeds with another blob', async () => {
    const { manager } = testPlatform(ports);
    const { id } = (await manager.create(decisionType, BODY, call)).envelope;
    const sleeper = new Sleeper(isCommit);
    const slow = testPlatform(wrapPorts(ports, sleeper.intercept)).manager;
    const keyed = caller({ idempotency: { key: 'sleeper', scope: 's', fingerprint: 'f' } });
    const writes = [
      slow.create(decisionType, BODY, keyed),
      slow.act(decisionType, id, 'votes', VOTE, undefined, call),
      slow.createBatch(decisionType, [BODY, BODY], call),
    ] as const;
    // Four blobs are waiting for their rows: asleep once each has been put.
    const names = await listed();
    await sleeper.asleep;
    while ((await listed()).length < names.length + 3) await realClock.sleep(20);
    expect(await collect()).toMatchObject({ collected: 3 });
    sleeper.wake();
    const [made, voted, batch] = await Promise.all(writes);
    expect([made.envelope.revision, voted.envelope.revision, batch.items.length]).toEqual([1, 2, 2]);
    for (const each of [made.envelope.id, id, ...batch.items.map((item) => item.id)])
      await manager.get(decisionType, each, call);
    expect(await manager.create(decisionType, BODY, keyed)).toMatchObject({
      replayed: true,
      etag: made.etag,
    });
    expect(await collect()).not.toHaveProperty('collected');
  });

  it('forget expired keys, and no others', async () => {
    const { manager } = testPlatform(ports);
    const keyed = (key: string) => caller({ idempotency: { key, scope: 's', fingerprint: 'f' } });
    const first = await manager.create(decisionType, BODY, keyed('first'));
    const directory = new Directory(ports.tables, realClock);
    const job = new ExpireKeys({ tables: ports.tables, directory, recordTables: ['decisions'], budget });
    expect(await round(job, later(3))).toMatchObject({ reservationsRemoved: 0, resultsRemoved: 0 });
    expect(await manager.create(decisionType, BODY, keyed('first'))).toMatchObject({ replayed: true, etag: first.etag }); // prettier-ignore
    const counts = await round(job, later(9));
    expect(counts).toMatchObject({ reservationsRemoved: counts['reservations'], resultsRemoved: counts['results'] }); // prettier-ignore
    expect(counts['resultsRemoved']).toBeGreaterThan(0);
    expect((await manager.create(decisionType, BODY, keyed('first'))).replayed).toBe(false);
  });

  it('look into every partition, and run as the jobs they are', async () => {
    const platform = testPlatform(ports);
    for (const entry of await platform.directory.dirty()) await platform.directory.clean(entry);
    const job = new CheckPartitions({ tables: ports.tables, directory: platform.directory, budget });
    expect((await round(job, later(0)))['pending']).toBeGreaterThan(0);
    expect((await platform.sweeper.sweep()).sealed).toBeGreaterThan(0);
    for (const name of ['collect-orphans', 'expire-keys', 'check-partitions']) {
      expect((await platform.jobs.run(name)).outcome).toBe('done');
      expect((await testPlatform(ports).jobs.run(name)).outcome).toBe('resting');
    }
  });
});
