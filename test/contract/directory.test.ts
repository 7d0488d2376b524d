import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/domain/limits.js';
import { Directory, SYSTEM_TABLE, type PartitionRef } from '../../src/storage/directory.js';
import { countingPorts, type CountingPorts } from '../support/counting-ports.js';
import { STORAGES, type StorageUnderTest } from '../support/storages.js';
import { VirtualClock } from '../support/virtual-clock.js';

for (const kind of STORAGES) {
  describe(`the directory ${kind.name}`, () => {
    let storage: StorageUnderTest;
    let counting: CountingPorts;
    let clock: VirtualClock;
    let directory: Directory;
    let tenants = 0;
    let tenant: string;
    const ref = (partition: string, table = 'decisions'): PartitionRef => ({ tenant, table, partition });
    const commits = (): number => counting.counts()['tables.commit'] ?? 0;

    beforeAll(async () => {
      storage = await kind.open({ tables: [SYSTEM_TABLE], containers: [], queues: [] });
      counting = countingPorts(storage.ports);
    });
    afterAll(() => storage.close());
    beforeEach(() => {
      tenant = `tenant-${++tenants}`;
      clock = new VirtualClock();
      directory = new Directory(counting.ports.tables, clock);
      counting.reset();
    });

    it('lists a partition, its tenant and its dirty row once it is announced', async () => {
      await directory.announce(ref('2026-11'));
      expect(await directory.partitions(tenant, 'decisions')).toEqual(['2026-11']);
      expect(await directory.tenants()).toContain(tenant);
      expect(await directory.dirtyOf(tenant)).toMatchObject([ref('2026-11')]);
      expect(await directory.dirty()).toContainEqual(expect.objectContaining(ref('2026-11')));
    });

    it('spends three writes on the first announcement, none while it is fresh, then one', async () => {
      await directory.announce(ref('2026-11'));
      expect(commits()).toBe(3);
      await clock.advance(LIMITS.announceFreshMs - 1);
      await directory.announce(ref('2026-11'));
      expect(commits()).toBe(3);
      await clock.advance(1);
      await directory.announce(ref('2026-11'));
      expect(commits()).toBe(4);
      await directory.announce(ref('2026-12'));
      expect(commits()).toBe(6);
    });

    it('shares one announcement among all who wait for it', async () => {
      await Promise.all(Array.from({ length: 20 }, () => directory.announce(ref('2026-11'))));
      expect(commits()).toBe(3);
    });

    it('counts an announcement from before it was written, not from when it was done', async () => {
      await Promise.all([directory.announce(ref('2026-11')), clock.advance(LIMITS.announceFreshMs)]);
      counting.reset();
      await directory.announce(ref('2026-11'));
      expect(commits()).toBe(1);
    });

    it('is harmless to announce from another process', async () => {
      const other = new Directory(counting.ports.tables, clock);
      await Promise.all([directory.announce(ref('2026-11')), other.announce(ref('2026-11'))]);
      expect(await other.partitions(tenant, 'decisions')).toEqual(['2026-11']);
      expect(await other.dirtyOf(tenant)).toHaveLength(1);
    });

    it('lists partitions ascending, under the names they were given, and by table', async () => {
      const partitions = ['order approval/é', 'b', '2026-11', 'x'.repeat(200)];
      for (const partition of partitions) await directory.register(ref(partition));
      await directory.register(ref('elsewhere', 'decisions2'));
      expect((await directory.partitions(tenant, 'decisions')).toSorted()).toEqual(partitions.toSorted());
      expect(await directory.partitions(tenant, 'decisions2')).toEqual(['elsewhere']);
      expect(await directory.partitions(`${tenant}0`, 'decisions')).toEqual([]);
      expect(await directory.dirtyOf(tenant)).toEqual([]);
    });

    it('cleans a dirty row that nobody announced again', async () => {
      await directory.announce(ref('2026-11'));
      const [entry] = await directory.dirtyOf(tenant);
      if (entry === undefined) return expect.fail('no dirty row');
      await directory.clean(entry);
      await directory.clean(entry);
      expect(await directory.dirtyOf(tenant)).toEqual([]);
      expect(await directory.partitions(tenant, 'decisions')).toEqual(['2026-11']);
    });

    it('keeps a dirty row that was announced again since it was read', async () => {
      await directory.announce(ref('2026-11'));
      const [entry] = await directory.dirtyOf(tenant);
      if (entry === undefined) return expect.fail('no dirty row');
      await new Directory(counting.ports.tables, clock).announce(ref('2026-11'));
      await directory.clean(entry);
      expect(await directory.dirtyOf(tenant)).toHaveLength(1);
    });

    it('finds the dirty rows of a tenant with one range read, and all of them with sixteen', async () => {
      await directory.announce(ref('2026-11'));
      counting.reset();
      await directory.dirtyOf(tenant);
      expect(counting.counts()).toEqual({ 'tables.range': 1 });
      counting.reset();
      await directory.dirty();
      expect(counting.counts()).toEqual({ 'tables.range': 16 });
    });
  });
}
