import { describe, expect, it } from 'vitest';
import { claimKeys, keyFingerprint } from '../../src/storage/key-claim.js';
import { caller, openStorage, STORAGES, testPlatform } from '../support/platform.js';

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

describe('a key fingerprint', () => {
  it('depends on the key and on what it is for, and is not a bare hash of it', () => {
    const key = new Uint8Array(32).fill(1);
    expect(keyFingerprint('cursor', key)).toMatch(/^[0-9a-f]{32}$/);
    expect(keyFingerprint('cursor', key)).not.toBe(keyFingerprint('wrapping', key));
    expect(keyFingerprint('cursor', key)).not.toBe(keyFingerprint('cursor', new Uint8Array(32).fill(2)));
  });
});
