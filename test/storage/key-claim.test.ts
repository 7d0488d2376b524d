import { describe, expect, it } from 'vitest';
import { claimKeys, keyFingerprint } from '../../src/storage/key-claim.js';
import { StorageFault, type RowOperation } from '../../src/storage/ports.js';
import { countingPorts } from '../support/counting-ports.js';
import { memoryPorts } from '../support/memory-ports.js';
import { caller, openStorage, STORAGES, testPlatform } from '../support/platform.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';

const keys = (cursor: string, wrapping: string) => ({ CURSOR_KEY: cursor, WRAPPING_KEY: wrapping });

describe.each(STORAGES)('the keys of a storage $name', (kind) => {
  it('are those it was first used with; another one is named once records are there', async () => {
    const { ports } = await openStorage(kind);
    const { directory, manager } = testPlatform(ports);
    expect(await claimKeys(ports.tables, directory, keys('a', 'b'))).toBeUndefined();
    expect(await claimKeys(ports.tables, directory, keys('a', 'b'))).toBeUndefined();
    await manager.storeDecision({ decision_type: 'financial', title: 'Lease or buy' }, caller());
    expect(await claimKeys(ports.tables, directory, keys('a', 'c'))).toBe('WRAPPING_KEY');
    expect(await claimKeys(ports.tables, directory, keys('c', 'b'))).toBe('CURSOR_KEY');
    expect(await claimKeys(ports.tables, directory, keys('a', 'b'))).toBeUndefined();
  });

  it('may be followed by another one where the host still knows the former', async () => {
    const { ports } = await openStorage(kind);
    const { directory, manager } = testPlatform(ports);
    const claim = (cursor: string, former: readonly string[]): Promise<string | undefined> =>
      claimKeys(ports.tables, directory, keys(cursor, 'b'), { CURSOR_KEY: former });
    expect(await claim('a', [])).toBeUndefined();
    await manager.storeDecision({ decision_type: 'financial', title: 'Lease or buy' }, caller());
    expect(await claim('new', ['x'])).toBe('CURSOR_KEY');
    expect(await claim('new', ['x', 'a'])).toBeUndefined();
    expect(await claim('new', [])).toBeUndefined();
    expect(await claim('a', [])).toBe('CURSOR_KEY');
    // The others have to be the same all the while.
    expect(await claimKeys(ports.tables, directory, keys('newer', 'c'), { CURSOR_KEY: ['new'] })).toBe(
      'WRAPPING_KEY',
    );
  });

  it('may be replaced while nothing is stored', async () => {
    const { ports } = await openStorage(kind);
    const { directory } = testPlatform(ports);
    await claimKeys(ports.tables, directory, keys('a', 'b'));
    expect(await claimKeys(ports.tables, directory, keys('c', 'd'))).toBeUndefined();
  });

  it('are agreed on by hosts that start at once with the same, and with others only one set wins', async () => {
    const { ports } = await openStorage(kind);
    const { directory, manager } = testPlatform(ports);
    await Promise.all(Array.from({ length: 8 }, () => claimKeys(ports.tables, directory, keys('a', 'b'))));
    await manager.storeDecision({ decision_type: 'financial', title: 'Lease or buy' }, caller());
    expect(await claimKeys(ports.tables, directory, keys('a', 'b'))).toBeUndefined();
  });
});

describe('the keys of a storage that others claim at the same time', () => {
  const clock = new VirtualClock();
  const claimOf = (cursor: string): RowOperation => ({ kind: 'upsert', rowKey: 'fingerprints', properties: keys(cursor, 'b') }); // prettier-ignore

  /** A host in whose way another one gets, once, between its look and its claim. */
  function disturbed(claimed: boolean, meanwhile: RowOperation) {
    const ports = memoryPorts({ clock });
    const commit = (operation: RowOperation) => ports.tables.commit('system', '_system:keys', [operation]);
    let disturbances = 0;
    const { tables } = wrapPorts(ports, async (call, run) => {
      if (call.method === 'commit' && (disturbances += 1) === 1) await commit(meanwhile);
      return run();
    });
    const directory = { tenants: () => Promise.resolve(disturbances === 0 ? [] : ['acme']) };
    return {
      claim: async () => {
        if (claimed) await commit(claimOf('old'));
        return claimKeys(tables, directory, keys('ours', 'b'));
      },
      row: () => tables.find('system', '_system:keys', 'fingerprints'),
    };
  }

  it.each([false, true])('are those of whoever was first; claimed before: %s', async (claimed) => {
    const { claim, row } = disturbed(claimed, claimOf('theirs'));
    expect(await claim()).toBe('CURSOR_KEY');
    expect((await row())?.properties).toEqual(keys('theirs', 'b'));
  });

  it('are claimed anew where the claim of somebody else has gone', async () => {
    const { claim, row } = disturbed(true, { kind: 'delete', rowKey: 'fingerprints', etag: '*' });
    expect(await claim()).toBeUndefined();
    expect((await row())?.properties).toEqual(keys('ours', 'b'));
  });

  it('are not written again where they are the same, and cannot be claimed where storage says no', async () => {
    const ports = memoryPorts({ clock });
    const counting = countingPorts(ports);
    const nobody = { tenants: () => Promise.resolve([]) };
    await claimKeys(counting.ports.tables, nobody, keys('a', 'b'));
    await claimKeys(counting.ports.tables, nobody, keys('a', 'b'));
    expect(counting.counts()).toEqual({ 'tables.find': 2, 'tables.commit': 1 });
    const closed = wrapPorts(memoryPorts({ clock }), (call, run) =>
      call.method === 'commit' ? Promise.reject(new StorageFault('refused', 'no')) : run(),
    );
    await expect(claimKeys(closed.tables, nobody, keys('a', 'b'))).rejects.toMatchObject({ kind: 'refused' });
  });
});

describe('a key fingerprint', () => {
  it('depends on the key and on what it is for, and is not a bare hash of it', () => {
    const key = new Uint8Array(32).fill(1);
    expect(keyFingerprint('cursor', key)).toMatch(/^[0-9a-f]{32}$/);
    expect(keyFingerprint('cursor', key)).not.toBe(keyFingerprint('wrapping', key));
    expect(keyFingerprint('cursor', key)).not.toBe(keyFingerprint('cursor', new Uint8Array(32).fill(2)));
  });
});
