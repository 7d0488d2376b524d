import { describe, expect, it } from 'vitest';
import { acceptConfiguration, changedSettings, DEFAULT_CONFIGURATION, type TenantConfiguration } from '../../src/domain/tenant-configuration.js'; // prettier-ignore
import { SYSTEM_TABLE } from '../../src/storage/directory.js';
import { partitionKey } from '../../src/storage/keys.js';
import type { CallContext } from '../../src/storage/manager-types.js';
import { StorageFault } from '../../src/storage/ports.js';
import { rowIntact } from '../../src/storage/row-checksum.js';
import { TableConfigurationStore } from '../../src/storage/tenant-configuration-store.js';
import { countingPorts } from '../support/counting-ports.js';
import { newTenant } from '../support/decisions.js';
import { inTime } from '../support/in-time.js';
import { caller, openStorage, STORAGES, testPlatform } from '../support/platform.js';
import { realClock, VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts, type Intercept } from '../support/wrap-ports.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const limit = (list_limit_default: number): TenantConfiguration => ({ ...DEFAULT_CONFIGURATION, list_limit_default }); // prettier-ignore

describe('what a tenant may set', () => {
  it('has defaults for all that is left out', () => {
    expect(acceptConfiguration({})).toEqual({ schema_version: '1.0', list_limit_default: 50, cache: { enabled: true }, retention: {} }); // prettier-ignore
    expect(acceptConfiguration({ cache: {} })).toEqual(DEFAULT_CONFIGURATION);
    expect(acceptConfiguration({ list_limit_default: 1000 })).toEqual(limit(1000));
  });

  it.each([
    [{ list_limit_default: 0 }, '/list_limit_default'],
    [{ list_limit_default: 1001 }, '/list_limit_default'],
    [{ list_limit_default: 1.5 }, '/list_limit_default'],
    [{ list_limit_default: '50' }, '/list_limit_default'],
    [{ cache: { enabled: 'no' } }, '/cache/enabled'],
    [{ cache: { enabled: true, ttl: 5 } }, '/cache/ttl'],
    [{ cache: null }, '/cache'],
    [{ schema_version: '2.0' }, '/schema_version'],
    [{ 'a/b': 1 }, '/a~1b'],
    [[], ''],
    [null, ''],
  ])('is not %j, and that is said of %s', (body, pointer) => {
    let issues: unknown;
    try {
      acceptConfiguration(body);
    } catch (error) {
      issues = (error as { issues: unknown }).issues;
    }
    expect(issues).toMatchObject([{ pointer }]);
  });

  it('is compared member by member', () => {
    const off = { ...DEFAULT_CONFIGURATION, cache: { enabled: false } };
    expect(changedSettings(DEFAULT_CONFIGURATION, { ...DEFAULT_CONFIGURATION })).toEqual([]);
    expect(changedSettings(DEFAULT_CONFIGURATION, off)).toEqual(['cache']);
    expect(changedSettings(limit(1), off)).toEqual(['cache', 'list_limit_default']);
  });
});

describe.each(STORAGES)('the store of configurations $name', (kind) => {
  async function stage() {
    const storage = await openStorage(kind);
    const call = caller({ tenant: newTenant() });
    /** With the machine's clock where retries meet a storage that takes real time. */
    const host = (time?: typeof realClock, intercept?: Intercept) => {
      const clock = new VirtualClock(Date.now());
      const seen: { interfere: Intercept | undefined } = { interfere: intercept };
      const counting = countingPorts(wrapPorts(storage.ports, (port, run) => seen.interfere?.(port, run) ?? run())); // prettier-ignore
      const platform = testPlatform(counting.ports, { clock: time ?? clock });
      const { directory } = platform;
      const { tables, ...ports } = counting.ports;
      const store = new TableConfigurationStore({
        ports: { tables, ...ports },
        clock: time ?? clock,
        entropy: { bytes: (count) => crypto.getRandomValues(new Uint8Array(count)) },
        directory,
        secretBox: { seal: () => Promise.resolve({}), open: () => Promise.resolve({}) },
        pseudonym: () => Promise.resolve('act_somebody'),
      });
      return { ...platform, store, clock, counting, seen };
    };
    const key = partitionKey(call.tenant, 'configuration');
    const rows = async (prefix: string) => (await storage.ports.tables.range(SYSTEM_TABLE, key, { from: prefix, to: `${prefix}~`, limit: 100 })).rows; // prettier-ignore
    return { storage, call, host, key, rows };
  }
  const conflict = { code: 'version-conflict' };

  it('finds what was put, in whatever process, and nothing for a tenant that put nothing', async () => {
    const { call, host } = await stage();
    const [here, there] = [host().store, host().store];
    expect(await here.find(call.tenant)).toBeUndefined();
    const first = await here.put(limit(10), {}, call);
    expect(await there.find(call.tenant)).toEqual(first);
    const second = await there.put(limit(20), {}, call);
    expect(await here.find(call.tenant)).toEqual(second);
    expect(second).toMatchObject({ configuration: limit(20) });
    expect(second.etag).not.toBe(first.etag);
    expect(await here.find(newTenant())).toBeUndefined();
  });

  it('puts only under the condition that was given', async () => {
    const { call, host } = await stage();
    const { store } = host();
    await expect(store.put(limit(1), { ifMatch: '*' }, call)).rejects.toMatchObject(conflict);
    const first = await store.put(limit(1), { onlyNew: true }, call);
    await expect(store.put(limit(2), { onlyNew: true }, call)).rejects.toMatchObject(conflict);
    const second = await store.put(limit(2), { ifMatch: first.etag }, call);
    await expect(store.put(limit(3), { ifMatch: first.etag }, call)).rejects.toMatchObject(conflict);
    expect(await store.find(call.tenant)).toEqual(second);
    expect(await store.put(limit(4), { ifMatch: '*' }, call)).toMatchObject({ configuration: limit(4) });
  });

  it('lets one win of many that replace the same, and all land without a condition', async () => {
    const { call, host, rows } = await stage();
    const hosts = [host(realClock), host(realClock), host(realClock)];
    const { etag } = await hosts[0]!.store.put(limit(1), {}, call); // eslint-disable-line @typescript-eslint/no-non-null-assertion
    const racing = await Promise.allSettled(hosts.map(({ store }, n) => store.put(limit(10 + n), { ifMatch: etag }, call))); // prettier-ignore
    expect(racing.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    await Promise.all(hosts.map(({ store }, n) => store.put(limit(20 + n), {}, call)));
    expect(await rows('v:')).toHaveLength(5);
    expect(await rows('o:')).toHaveLength(5);
  });

  it('keeps every configuration in order, each with its event, whatever the clocks, in rows with checksums', async () => {
    const { call, host, rows } = await stage();
    const [here, slow] = [host(), host()];
    slow.clock.jump(-HOUR);
    for (const [n, { store }] of [here, here, slow, here].entries()) await store.put(limit(n + 1), {}, call);
    const kept = await rows('v:');
    expect(kept.map(({ properties }) => JSON.parse(String(properties['configuration'])) as unknown)).toEqual([1, 2, 3, 4].map(limit)); // prettier-ignore
    const events = await rows('o:');
    expect(events.map(({ rowKey }) => rowKey.slice(2))).toEqual(kept.map(({ rowKey }) => rowKey.slice(2)));
    for (const row of [...kept, ...events, ...(await rows('current'))]) expect(rowIntact(row)).toBe(true);
  });

  it('is told whether an unanswered put was done: it is done once, and not done over another', async () => {
    const { call, host, rows } = await stage();
    const other = host().store;
    let lost = 0;
    const { store } = host(realClock, async ({ method, args }, run) => {
      const result = await run();
      if (method !== 'commit' || args[0] !== SYSTEM_TABLE || args[1] !== partitionKey(call.tenant, 'configuration')) return result; // prettier-ignore
      lost += 1;
      if (lost === 1) await other.put(limit(99), {}, call);
      throw new StorageFault('unavailable', 'no answer');
    });
    await store.put(limit(7), {}, call);
    expect(lost).toBe(1);
    expect(await other.find(call.tenant)).toMatchObject({ configuration: limit(99) });
    expect(await rows('v:')).toHaveLength(2);
  });

  it('emits the change into the tenant’s trail, under the caller’s pseudonym', async () => {
    const { call, host } = await stage();
    const { configurations, sealer, auditReader, actors } = host();
    await configurations.put({ ...limit(10), cache: { enabled: false } }, {}, call);
    await configurations.put(limit(10), {}, { ...call, actor: 'grace' });
    await sealer.sealTenant(call.tenant);
    const { items } = await auditReader.list({ filters: { event_type: 'configuration.changed' }, limit: 10 }, call); // prettier-ignore
    const common = { action: 'put', resource_type: 'tenant_configuration', resource_id: call.tenant, outcome: 'success', severity: 'info' }; // prettier-ignore
    expect(items).toMatchObject([
      { ...common, actor: await actors.pseudonym(call.tenant, 'grace'), details: { changed: ['cache'] } },
      { ...common, details: { changed: ['cache', 'list_limit_default'] } },
    ]);
    expect(JSON.stringify(items)).not.toContain('grace');
  });

  describe('as it counts', () => {
    const of = async (host: { configurations: { of(call: CallContext): Promise<TenantConfiguration> } }, call: CallContext) => (await host.configurations.of(call)).list_limit_default; // prettier-ignore

    it('is read every ten minutes, and once by all who ask at once', async () => {
      const { call, host } = await stage();
      const [here, there] = [host(), host()];
      expect(await Promise.all(Array.from({ length: 10 }, () => of(here, call)))).toEqual(Array(10).fill(50));
      expect(here.counting.counts()).toEqual({ 'tables.find': 1 });
      await there.configurations.put(limit(10), {}, call);
      await here.clock.advance(10 * MINUTE);
      expect(await of(here, call)).toBe(50);
      await here.clock.advance(1);
      expect(await of(here, call)).toBe(10);
      expect(here.counting.counts()).toEqual({ 'tables.find': 2 });
      expect(here.configurations.statistics()).toMatchObject({ hits: 1, misses: 2, shared: 9 });
    });

    it('is what this process put or was shown, at once', async () => {
      const { call, host } = await stage();
      const [here, there] = [host(), host()];
      expect(await of(here, call)).toBe(50);
      await here.configurations.put(limit(10), {}, call);
      expect(await of(here, call)).toBe(10);
      await there.configurations.put(limit(20), {}, call);
      expect(await of(here, call)).toBe(10);
      expect(await here.configurations.stored(call)).toMatchObject({ configuration: limit(20) });
      expect(await of(here, call)).toBe(20);
    });

    it('goes on while storage fails, and is unknown where nothing was known', async () => {
      const { call, host } = await stage();
      const here = host();
      await here.configurations.put(limit(10), {}, call);
      expect(await of(here, call)).toBe(10);
      here.seen.interfere = () => Promise.reject(new StorageFault('unavailable', 'no answer'));
      await here.clock.advance(10 * MINUTE + 1);
      expect(await inTime(here.clock, of(here, call))).toBe(10);
      const calls = here.counting.calls.length;
      expect(await of(here, call)).toBe(10);
      // Not every caller waits for storage to fail again.
      expect(here.counting.calls.length).toBe(calls);
      const unknown = inTime(here.clock, of(here, caller({ tenant: newTenant() })));
      await expect(unknown).rejects.toMatchObject({ code: 'storage-unavailable' });
      here.seen.interfere = undefined;
      await host().configurations.put(limit(30), {}, call);
      await here.clock.advance(30_001);
      expect(await of(here, call)).toBe(30);
    });

    it('that was damaged is audited and said, refuses no record, and is replaced by a put', async () => {
      const { storage, call, host, key } = await stage();
      const here = host();
      await here.configurations.put(limit(10), {}, call);
      await storage.ports.tables.commit(SYSTEM_TABLE, key, [
        { kind: 'merge', rowKey: 'current', properties: { configuration: JSON.stringify(limit(11)) }, etag: '*' }, // prettier-ignore
      ]);
      expect(await here.configurations.of(call)).toEqual({ ...DEFAULT_CONFIGURATION, cache: { enabled: false } }); // prettier-ignore
      await expect(here.configurations.stored(call)).rejects.toMatchObject({ code: 'integrity-failure' });
      await here.sealer.sealTenant(call.tenant);
      const found = await here.auditReader.list({ filters: { event_type: 'integrity.failed' }, limit: 10 }, call); // prettier-ignore
      expect(found.items).toMatchObject([{ resource_type: 'tenant_configuration', resource_id: call.tenant, details: { what: 'configuration row' } }]); // prettier-ignore
      await expect(here.configurations.put(limit(12), { ifMatch: '*' }, call)).rejects.toMatchObject(conflict); // prettier-ignore
      await here.configurations.put(limit(12), {}, call);
      expect(await of(here, call)).toBe(12);
    });
  });
});
