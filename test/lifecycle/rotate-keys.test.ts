import { TEST_LOG_KEYS } from '../support/log-keys.js';
import { describe, expect, it } from 'vitest';
import type { SealingContext } from '../../src/domain/commitment.js';
import { assemblePlatform, type PlatformOptions } from '../../src/platform.js';
import { KEYS_TABLE } from '../../src/security/keys/key-rows.js';
import { claimedWrapping, claimKeys } from '../../src/storage/key-claim.js';
import { StorageFault, type StoragePorts } from '../../src/storage/ports.js';
import { createLog } from '../../src/telemetry/log.js';
import { countingPorts } from '../support/counting-ports.js';
import { seededEntropy } from '../support/entropy.js';
import { keyOf, MemoryVault } from '../support/key-ring.js';
import { openStorage, STORAGES } from '../support/platform.js';
import { realClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';

const SECRETS = { '/v': { salt: 'c2FsdA', value: 'born 1970' } };
const contextOf = (tenant: string): SealingContext => ({
  tenant,
  type: 'decision',
  id: 'dec_1',
  revision: 1,
});
const nobody = { tenants: () => Promise.resolve(['acme']) };

type Keys = Pick<PlatformOptions, 'wrappingKey' | 'formerWrappingKeys' | 'keyVault'>;

let hosts = 0;

/** One process with the keys it was given. */
function hostWith(ports: StoragePorts, keys: Keys) {
  const platform = assemblePlatform({
    ports,
    clock: realClock,
    backgroundClock: { ...realClock, sleep: () => new Promise(() => undefined) },
    entropy: seededEntropy(`rotation ${String((hosts += 1))} of ${String(process.pid)}`),
    cursorKey: keyOf(1),
    logKeys: TEST_LOG_KEYS,
    log: createLog('silent'),
    ...keys,
  });
  const { jobs, keyNames, keyRotation, secretBox } = platform;
  return {
    ...platform,
    claim: () =>
      claimKeys(ports.tables, nobody, {
        fingerprints: {},
        wrapping: { current: keyRotation.current, known: keyNames },
      }),
    seal: (tenant: string) => secretBox.seal(contextOf(tenant), SECRETS, { '/v': ['ann'] }),
    open: (tenant: string, sealed: Record<string, string>) => secretBox.open(contextOf(tenant), sealed),
    rotate: () => jobs.start('rotate-keys'),
    dryRun: () => jobs.tryOut('rotate-keys', { dryRun: true }),
  };
}

const OLD: Keys = { wrappingKey: keyOf(2) };
const BOTH: Keys = { wrappingKey: keyOf(3), formerWrappingKeys: [keyOf(2)] };
const NEW: Keys = { wrappingKey: keyOf(3) };
const tenants = Array.from({ length: 7 }, (_, n) => `tenant-${String(n)}`);

describe.each(STORAGES)('the rotation of keys $name', (kind) => {
  /** A storage whose tenants have keys under the old one. */
  async function rotating(keys: Keys = OLD) {
    const storage = await openStorage(kind);
    const host = hostWith(storage.ports, keys);
    await host.claim();
    const sealed = await Promise.all(tenants.map((tenant) => host.seal(tenant)));
    const counting = countingPorts(storage.ports);
    const opens = async (keys: Keys) => {
      const other = hostWith(storage.ports, keys);
      for (const [n, tenant] of tenants.entries())
        expect(await other.open(tenant, sealed[n] ?? {})).toEqual(SECRETS);
    };
    return { storage, counting, opens, sealed };
  }

  it('brings every tenant’s key under the new one, and nothing needs the former one after that', async () => {
    const { storage, opens } = await rotating();
    expect(await hostWith(storage.ports, NEW).claim()).toBe('WRAPPING_KEY');
    const host = hostWith(storage.ports, BOTH);
    expect(await host.claim()).toBeUndefined();
    await opens(BOTH);
    expect(await host.dryRun()).toEqual({ outcome: 'done', counts: { tenants: 7, wouldRewrap: 7 } });
    expect(await claimedWrapping(storage.ports.tables)).toHaveLength(2);
    expect(await host.rotate()).toEqual({ outcome: 'done', counts: { tenants: 7, rewrapped: 7 } });
    expect(await claimedWrapping(storage.ports.tables)).toEqual([host.keyRotation.current]);
    expect(await hostWith(storage.ports, NEW).claim()).toBeUndefined();
    expect(await hostWith(storage.ports, OLD).claim()).toBe('WRAPPING_KEY');
    await opens(NEW);
    await expect(opens(OLD)).rejects.toMatchObject({ code: 'integrity-failure' });
  });

  it('costs a point read for a key that is current and a transaction more for one that is not, and no blob', async () => {
    const { counting } = await rotating();
    const { keyRotation } = hostWith(counting.ports, BOTH);
    const version = await keyRotation.currentVersion();
    expect(await keyRotation.rewrap(tenants[0] ?? '', version, false)).toMatchObject({
      outcome: 'rewrapped',
    });
    expect(counting.counts()).toEqual({ 'tables.find': 1, 'tables.commit': 1 });
    counting.reset();
    expect(await keyRotation.rewrap(tenants[0] ?? '', version, false)).toMatchObject({ outcome: 'current' });
    expect(counting.counts()).toEqual({ 'tables.find': 1 });
    expect(await keyRotation.rewrap('nobody', version, false)).toEqual({ outcome: 'none', wrappedBy: '' });
  });

  it('leaves what is encrypted as it is: data keys, and everything under them', async () => {
    const { storage, opens } = await rotating();
    const rows = () =>
      storage.ports.tables.range(KEYS_TABLE, 'tenant-0:keys', { from: 'k:', to: 't', limit: 9 });
    const before = await rows();
    await hostWith(storage.ports, BOTH).rotate();
    expect(await rows()).toEqual(before);
    await opens(NEW);
  });

  it('moves from a key of the environment to a vault, and from one version of that to the next', async () => {
    const { storage, opens } = await rotating();
    const keyVault = new MemoryVault();
    const host = hostWith(storage.ports, { ...OLD, keyVault });
    expect(await host.claim()).toBeUndefined();
    expect(await host.rotate()).toMatchObject({ counts: { rewrapped: 7 } });
    await opens({ keyVault });
    expect(await hostWith(storage.ports, { keyVault }).claim()).toBeUndefined();
    expect(await hostWith(storage.ports, OLD).claim()).toBe(`KEY_VAULT_KEY ${keyVault.name}`);
    keyVault.version = 2;
    keyVault.calls.splice(0);
    expect(await host.rotate()).toMatchObject({ counts: { rewrapped: 7 } });
    // One question for the version, and two calls for each key.
    expect(keyVault.calls.filter((name) => name !== 'wrap' && name !== 'unwrap')).toEqual(['currentVersion']);
    expect(keyVault.calls).toHaveLength(1 + 2 * 7);
    keyVault.calls.splice(0);
    expect(await host.rotate()).toMatchObject({ counts: { current: 7 } });
    expect(keyVault.calls).toEqual(['currentVersion']);
    await opens({ keyVault });
  });

  it('leaves and counts what it cannot unwrap, and lets nobody start without what is still needed', async () => {
    const { storage } = await rotating();
    const stranger = hostWith(storage.ports, { wrappingKey: keyOf(9) });
    await stranger.seal('foreign');
    const host = hostWith(storage.ports, BOTH);
    await host.claim();
    const columns = { wrapped_by: stranger.keyRotation.current };
    expect(await host.rotate()).toEqual({
      outcome: 'done',
      counts: { tenants: 8, rewrapped: 7, foreign: 1 },
    });
    expect(await claimedWrapping(storage.ports.tables)).toEqual([host.keyRotation.current]);
    await storage.ports.tables.commit(KEYS_TABLE, 'tenant-3:keys', [{ kind: 'merge', rowKey: 't:1', properties: columns, etag: '*' }]); // prettier-ignore
    const back = hostWith(storage.ports, { wrappingKey: keyOf(2), formerWrappingKeys: [keyOf(3)] });
    await back.claim();
    expect(await back.rotate()).toEqual({
      outcome: 'done',
      counts: { tenants: 8, rewrapped: 6, foreign: 1, damaged: 1 },
    });
    // What wrapped the damaged one is not known.
    expect(await claimedWrapping(storage.ports.tables)).toHaveLength(2);
  });

  it('goes on where it was killed, at any call, and is done once', async () => {
    const { storage, opens } = await rotating();
    for (let at = 1; ; at += 3) {
      let calls = 0;
      const dying = wrapPorts(storage.ports, async (_, run) => {
        calls += 1;
        if (calls > at) throw new StorageFault('refused', 'this process is dead');
        return run();
      });
      const died = await hostWith(dying, BOTH)
        .rotate()
        .then(() => false)
        .catch(() => true);
      await opens(BOTH);
      // Until the dead one's claim is over, nobody else works on the round: begin another.
      await storage.ports.tables.commit('jobs', '_system:jobs', [{ kind: 'delete', rowKey: 'rotate-keys', etag: '*' }]).catch(() => undefined); // prettier-ignore
      if (!died) break;
    }
    expect(await hostWith(storage.ports, BOTH).rotate()).toMatchObject({ counts: { current: 7 } });
    await opens(NEW);
  });

  it('is harmless in two processes at once', async () => {
    const { storage, opens } = await rotating();
    const version = '1';
    const both = [hostWith(storage.ports, BOTH), hostWith(storage.ports, BOTH)];
    const done = await Promise.all(
      both.flatMap(({ keyRotation }) => tenants.map((tenant) => keyRotation.rewrap(tenant, version, false))),
    );
    expect(done.map(({ outcome }) => outcome).filter((outcome) => outcome === 'rewrapped')).toHaveLength(7);
    expect(new Set(done.map(({ outcome }) => outcome))).toEqual(new Set(['rewrapped', 'current']));
    await opens(NEW);
  });
});
