import { describe, expect, it } from 'vitest';
import {
  claimedWrapping,
  claimKeys,
  keyFingerprint,
  localKeyName,
  retireWrapping,
  type HostKeys,
} from '../../src/storage/key-claim.js';
import { StorageFault, type RowOperation } from '../../src/storage/ports.js';
import { countingPorts } from '../support/counting-ports.js';
import { memoryPorts } from '../support/memory-ports.js';
import { caller, openStorage, STORAGES, testPlatform } from '../support/platform.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';

const keys = (cursor: string, wrapping: string, ...former: string[]): HostKeys => ({
  fingerprints: { CURSOR_KEY: cursor },
  wrapping: { current: `local:${wrapping}`, known: [wrapping, ...former].map((name) => `local:${name}`) },
});
const columns = (cursor: string, wrapping: string) => ({
  CURSOR_KEY: cursor,
  wrapped_by: `local:${wrapping}`,
});

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
      claimKeys(ports.tables, directory, { ...keys(cursor, 'b'), former: { CURSOR_KEY: former } });
    expect(await claim('a', [])).toBeUndefined();
    await manager.storeDecision({ decision_type: 'financial', title: 'Lease or buy' }, caller());
    expect(await claim('new', ['x'])).toBe('CURSOR_KEY');
    expect(await claim('new', ['x', 'a'])).toBeUndefined();
    expect(await claim('new', [])).toBeUndefined();
    expect(await claim('a', [])).toBe('CURSOR_KEY');
    // The others have to be the same all the while.
    const newer = { ...keys('newer', 'c'), former: { CURSOR_KEY: ['new'] } };
    expect(await claimKeys(ports.tables, directory, newer)).toBe('WRAPPING_KEY');
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

describe('a key-encryption key that is replaced', () => {
  const clock = new VirtualClock();
  const some = { tenants: () => Promise.resolve(['acme']) };
  const open = (sealedBy?: string) => {
    const { tables } = memoryPorts({ clock });
    const claim = (...names: [string, string, ...string[]]) => claimKeys(tables, some, keys(...names));
    const old = { CURSOR_KEY: 'a', WRAPPING_KEY: sealedBy ?? '' };
    const before = () => tables.commit('system', '_system:keys', [{ kind: 'insert', rowKey: 'fingerprints', properties: old }]); // prettier-ignore
    return { tables, claim, before };
  };

  it('is taken where the former one is known, and refused where it is not, until that one is retired', async () => {
    const { tables, claim } = open();
    expect(await claim('a', 'b')).toBeUndefined();
    expect(await claim('a', 'c')).toBe('WRAPPING_KEY');
    expect(await claim('a', 'c', 'b')).toBeUndefined();
    expect(await claimedWrapping(tables)).toEqual(['local:b', 'local:c']);
    // Both are in use now, whichever is current.
    expect(await claim('a', 'c')).toBe('WRAPPING_KEY');
    expect(await claim('a', 'b')).toBe('WRAPPING_KEY');
    await retireWrapping(tables, ['local:b', 'local:x']);
    await retireWrapping(tables, ['local:b']);
    expect(await claim('a', 'c')).toBeUndefined();
    expect(await claim('a', 'b')).toBe('WRAPPING_KEY');
  });

  it('of a vault is called by its name', async () => {
    const { tables, claim } = open();
    const vault = 'https://v.example/keys/k';
    await claimKeys(tables, some, { fingerprints: { CURSOR_KEY: 'a' }, wrapping: { current: vault, known: [vault] } }); // prettier-ignore
    expect(await claim('a', 'b')).toBe(`KEY_VAULT_KEY ${vault}`);
  });

  it('is still needed where values were sealed under it before there were data keys, and no rotation ends that', async () => {
    const { tables, claim, before } = open('b');
    await before();
    expect(await claim('a', 'c')).toBe('WRAPPING_KEY');
    expect(await claim('a', 'b')).toBeUndefined();
    expect(await claim('a', 'c', 'b')).toBeUndefined();
    await retireWrapping(tables, ['local:b']);
    expect(await claim('a', 'c')).toBe('WRAPPING_KEY');
    expect(await claim('a', 'c', 'b')).toBeUndefined();
  });

  it('is retired in spite of others who write the claim at the same time, and nothing is where there is no claim', async () => {
    const { tables, claim } = open();
    await retireWrapping(tables, ['local:b']);
    expect(await claimedWrapping(tables)).toEqual([]);
    await claim('a', 'b');
    let disturbed = false;
    const slow = wrapPorts({ ...memoryPorts({ clock }), tables }, async (call, run) => {
      if (call.method === 'commit' && !disturbed) {
        disturbed = true;
        await claim('a', 'c', 'b');
      }
      return run();
    });
    await retireWrapping(slow.tables, ['local:b']);
    expect(await claimedWrapping(tables)).toEqual(['local:c']);
  });

  it('has a name that does not tell it', () => {
    expect(localKeyName(new Uint8Array(32).fill(1))).toMatch(/^local:[0-9a-f]{32}$/);
  });
});

describe('the keys of a storage that others claim at the same time', () => {
  const clock = new VirtualClock();
  const claimOf = (cursor: string): RowOperation => ({ kind: 'upsert', rowKey: 'fingerprints', properties: columns(cursor, 'b') }); // prettier-ignore

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
    expect((await row())?.properties).toEqual(columns('theirs', 'b'));
  });

  it('are claimed anew where the claim of somebody else has gone', async () => {
    const { claim, row } = disturbed(true, { kind: 'delete', rowKey: 'fingerprints', etag: '*' });
    expect(await claim()).toBeUndefined();
    expect((await row())?.properties).toEqual(columns('ours', 'b'));
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
