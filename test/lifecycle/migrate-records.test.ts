import { beforeEach, describe, expect, it } from 'vitest';
import { decisionType } from '../../src/records/decision.js';
import { metricType } from '../../src/records/metric.js';
import { StorageFault, type StoragePorts } from '../../src/storage/ports.js';
import type { Job } from '../../src/lifecycle/job.js';
import { JOBS_TABLE } from '../../src/lifecycle/jobs-table.js';
import { MigrateRecords } from '../../src/lifecycle/migrate-records.js';
import type { MigrateSettings } from '../../src/lifecycle/migrate-settings.js';
import { Budget } from '../../src/storage/backoff.js';
import type { Platform } from '../../src/platform.js';
import { withRowChecksum } from '../../src/storage/row-checksum.js';
import { createLog, type Log } from '../../src/telemetry/log.js';
import { countingPorts } from '../support/counting-ports.js';
import { seededEntropy } from '../support/entropy.js';
import { FINAL, oldData, upgraded, writeOldDecision } from '../support/old-decision.js';
import { caller, testPlatform } from '../support/platform.js';
import { wrapPorts, type Intercept } from '../support/wrap-ports.js';
import { BODY, DAY, diesAt, HOUR, round, VOTE, World } from './support.js';

let world: World;
beforeEach(() => {
  world = new World();
});

const ON: MigrateSettings = { enabled: true, dryRun: false, sample: undefined, window: undefined };

const on = (ports: StoragePorts): Platform => testPlatform(ports, { clock: world.clock });

/** The job on a host of its own. */
function job(settings: Partial<MigrateSettings> = {}, ports = world.ports, log = createLog('silent')): Job {
  const { manager, directory, registry } = on(ports);
  return new MigrateRecords({
    tables: ports.tables,
    directory,
    types: registry.types,
    migrate: manager.migrate.bind(manager),
    settings: { ...ON, ...settings },
    budget: () => new Budget(world.clock, seededEntropy('migrate')),
    log,
  });
}

const migrate = (settings?: Partial<MigrateSettings>, ports?: StoragePorts) => round(job(settings, ports), world.clock.now()); // prettier-ignore
const versions = (prefix: string) => world.rows(prefix).map(({ properties }) => properties['schema_version']);
const old = (tenant: string, n: number, more = {}) => writeOldDecision(world.ports, tenant, n, more);
const everything = () => {
  const { rows, blobs } = world.storage.contents();
  return JSON.stringify([rows.filter(({ table }) => table === 'decisions'), blobs.map(({ name, bytes }) => [name, Buffer.from(bytes).toString('base64')])]); // prettier-ignore
};

describe('a migration', () => {
  it('brings what is stored in an older version to the current one, in every tenant, and finds nothing the second time', async () => {
    await old('acme', 0);
    await old('acme', 1, FINAL);
    await old('zeta', 2);
    const { manager } = world.host();
    await manager.create(decisionType, BODY, caller({ tenant: 'acme' }));
    expect(await migrate()).toEqual({ lookedAt: 4, migrated: 3, alreadyCurrent: 1 });
    expect(versions('r:')).toEqual(['1.0', '1.0', '1.0', '1.0']);
    expect(versions('i:').every((version) => version === '1.0')).toBe(true);
    expect(versions('v:').sort()).toEqual(['0.9', '0.9', '0.9', '1.0', '1.0', '1.0', '1.0']);
    const after = everything();
    expect(await migrate()).toEqual({ lookedAt: 4, alreadyCurrent: 4 });
    expect(everything()).toBe(after);
    await world.assertReadable();
    world.assertSound(true);
  });

  it('rewrites neither the row nor the blob of what was stored, and says the same as before', async () => {
    const { id, blob, rows } = await old('acme', 0, FINAL);
    const { manager } = world.host();
    const before = await manager.get(decisionType, id, caller({ tenant: 'acme' }));
    await migrate();
    const [then] = world.storage.contents().blobs.filter(({ name }) => name === blob.name);
    expect(Buffer.from(then?.bytes ?? []).equals(blob.bytes)).toBe(true);
    expect(world.rows(`v:${id}:0000000001`)[0]?.properties).toEqual(rows[`v:${id}:0000000001`]);
    const after = await manager.get(decisionType, id, caller({ tenant: 'acme' }));
    expect(after.envelope.data).toEqual(before.envelope.data);
    expect(after.envelope.data).toEqual(upgraded(oldData(0, FINAL)));
    expect(after.envelope.stored_at > before.envelope.stored_at).toBe(true);
    expect(
      world.rows('o:').map(({ properties }) => JSON.parse(String(properties['event'])) as object),
    ).toMatchObject([
      { action: 'create', revision: 1 },
      { action: 'migrate', event_type: 'record.updated', revision: 2, details: { from: '0.9', to: '1.0' } },
    ]);
  });

  it('that is tried out counts and validates, and writes nothing', async () => {
    await old('acme', 0);
    await old('acme', 1, { votes: [{ agent: 'cfo', vote: 'perhaps', certainty: 1 }] });
    const before = everything();
    expect(await migrate({ dryRun: true })).toEqual({ lookedAt: 2, wouldMigrate: 1, invalid: 1 });
    expect(everything()).toBe(before);
  });

  it.each([1, 3, 4, 5, 7, 100])(
    'of a sample takes on the first %s of a round, however they lie',
    async (sample) => {
      for (let n = 0; n < 9; n += 1) await old(n < 6 ? 'acme' : 'zeta', n);
      const counts = await migrate({ sample });
      expect(counts).toMatchObject({ migrated: Math.min(sample, 9), lookedAt: Math.min(sample, 9) });
      expect(versions('r:').filter((version) => version === '1.0')).toHaveLength(Math.min(sample, 9));
    },
  );

  it('leaves what breaks a current rule as it is, says where, and goes on', async () => {
    const said: string[] = [];
    const log: Log = { ...createLog('silent'), warn: (_, fields) => void said.push(fields?.reason ?? '') };
    const twice = [1, 2].map(() => ({ agent: 'cfo', vote: 'yes', certainty: 1, conditions: [], at: '2025-08-31T10:00:00.000Z' })); // prettier-ignore
    const invalid = await old('acme', 0, { votes: twice });
    const unreadable = await old('acme', 1, { votes: 'none' });
    await old('acme', 2);
    const counts = await round(job({}, world.ports, log), world.clock.now());
    expect(counts).toEqual({ lookedAt: 3, migrated: 1, invalid: 2 });
    expect(said.sort()).toEqual([
      `${invalid.id} record-invalid /agent_votes/1/agent`,
      `${unreadable.id} internal-error`,
    ]);
    for (const { id, rows } of [invalid, unreadable])
      expect(world.rows(`r:${id}`)[0]?.properties).toEqual(rows[`r:${id}`]);
  });

  it('passes over what is damaged, which is audited, what is gone, and what a newer build wrote', async () => {
    const { ports } = world;
    const key = 'acme:2025-08';
    const damaged = await old('acme', 0);
    await ports.blobs.delete('records', damaged.blob.name);
    const gone = await old('acme', 1);
    await ports.tables.commit('decisions', key, [{ kind: 'delete', rowKey: `r:${gone.id}`, etag: '*' }]);
    const newer = await old('acme', 2);
    const [index] = world.rows('i:all:').filter(({ rowKey }) => rowKey.endsWith(newer.id));
    const properties = withRowChecksum(key, index?.rowKey ?? '', {
      ...index?.properties,
      schema_version: '7.0',
    });
    await ports.tables.commit('decisions', key, [
      { kind: 'upsert', rowKey: index?.rowKey ?? '', properties },
    ]);
    await ports.tables.commit('decisions', key, [{ kind: 'insert', rowKey: 'i:all::0:hint', properties: withRowChecksum(key, 'i:all::0:hint', { record_type: 'hint', schema_version: '0.9' }) }]); // prettier-ignore
    expect(await migrate()).toEqual({ lookedAt: 3, skipped: 2, unknown: 1 });
    const events = world.rows('o:', 'auditevents').map(({ properties: { event } }) => String(event));
    expect(
      events.filter((event) => event.includes('integrity.failed') && event.includes(damaged.id)),
    ).toHaveLength(1);
  });

  it('looks at all of a partition that came to be before the one that is under way', async () => {
    for (let n = 0; n < 50; n += 1) await old('acme', n);
    const { manager } = world.host();
    const one = job();
    const context = { nowMs: world.clock.now(), timeIsUp: () => false };
    const first = await one.step('', context);
    expect(first.counts).toEqual({ lookedAt: 40, migrated: 40 });
    await manager.create(
      decisionType,
      { ...BODY, created_at: '2024-01-01T00:00:00Z' },
      caller({ tenant: 'acme' }),
    );
    const second = await one.step(first.next ?? '', context);
    expect(second.counts).toEqual({ lookedAt: 1, alreadyCurrent: 1 });
    const third = await one.step(second.next ?? '', context);
    expect(third.counts).toEqual({ lookedAt: 50, alreadyCurrent: 40, migrated: 10 });
  });

  it('counts what a rule fails on as invalid, and throws what storage throws', async () => {
    await old('acme', 0);
    const check = () => {
      throw new TypeError('secret');
    };
    const { jobs } = testPlatform(world.ports, { clock: world.clock, types: [{ ...decisionType, check }] });
    expect((await jobs.tryOut('migrate', {})).counts).toEqual({ lookedAt: 1, invalid: 1 });
    const refusing: Intercept = async ({ method }, run) => {
      if (method === 'putOnce') throw new StorageFault('refused', 'no');
      return run();
    };
    await expect(migrate({}, wrapPorts(world.ports, refusing))).rejects.toMatchObject({ kind: 'refused' });
    expect(versions('r:')).toEqual(['0.9']);
  });

  it('asks the record itself where its index row is damaged', async () => {
    const { id } = await old('acme', 0);
    const [index] = world.rows('i:all:');
    await world.ports.tables.commit('decisions', 'acme:2025-08', [{ kind: 'merge', rowKey: index?.rowKey ?? '', properties: { schema_version: '1.0' }, etag: '*' }]); // prettier-ignore
    expect(await migrate()).toEqual({ lookedAt: 1, migrated: 1 });
    expect(world.rows(`r:${id}`)[0]?.properties).toMatchObject({ schema_version: '1.0', revision: 2 });
  });

  it('is done by whoever changes the record meanwhile, and then not done again', async () => {
    const { id } = await old('acme', 0);
    const call = caller({ tenant: 'acme' });
    let voted = false;
    const racing: Intercept = async ({ method, args }, run) => {
      if (method === 'commit' && args[0] === 'decisions' && !voted) {
        voted = true;
        await world.host().manager.act(decisionType, id, 'votes', VOTE, undefined, call);
      }
      return run();
    };
    expect(await migrate({}, wrapPorts(world.ports, racing))).toEqual({ lookedAt: 1, alreadyCurrent: 1 });
    const { envelope } = await world.host().manager.get(decisionType, id, call);
    expect(envelope).toMatchObject({
      revision: 2,
      data: { agent_votes: [{}, { agent: 'cfo', vote: 'approve' }] },
    });
  });

  it('that two hosts do at once is done once', async () => {
    for (let n = 0; n < 10; n += 1) await old('acme', n);
    const both = await Promise.all([migrate(), migrate()]);
    expect(both.reduce((sum, { migrated = 0 }) => sum + migrated, 0)).toBe(10);
    expect(world.rows('v:')).toHaveLength(20);
    world.assertSound();
  });

  it('passes over partitions of other tables without reading them, 200 with one read of the directory', async () => {
    const { directory } = world.host();
    for (let n = 0; n < 250; n += 1)
      await directory.register({ tenant: 'acme', table: 'agents', partition: `role-${n}` });
    await directory.register({ tenant: 'acme', table: 'metrics', partition: 'kind' });
    await old('acme', 0);
    const counting = countingPorts(world.ports);
    expect(await migrate({ dryRun: true }, counting.ports)).toEqual({ lookedAt: 1, wouldMigrate: 1 });
    const tables = counting.calls.filter(({ method }) => method === 'range').map(({ args }) => args[0]);
    // The tenant, 200 partitions, the next of which one is of decisions; its rows; what follows it; no other tenant.
    expect(tables).toEqual(['system', 'system', 'system', 'decisions', 'system', 'system']);
  });
});

describe('what a migration costs', () => {
  it('is nothing besides its share of a range read for a record that is current, and an action’s cost for another', async () => {
    const tenant = 'acme';
    for (let n = 0; n < 6; n += 1) await old(tenant, n);
    const { manager } = world.host();
    const created_at = '2025-08-05T00:00:00Z';
    for (let n = 0; n < 4; n += 1) await manager.createBatch(decisionType, Array.from({ length: 100 }, () => ({ ...BODY, created_at })), caller({ tenant })); // prettier-ignore
    const counting = countingPorts(world.ports);
    const one = job({}, counting.ports);
    const now = world.clock.now();
    // What a process pays once: the pseudonym of the job, and the partition it announces.
    await one.step('', { nowMs: now, timeIsUp: () => false, asked: { sample: 1 } });
    counting.reset();
    expect(await round(one, now)).toEqual({ lookedAt: 406, migrated: 5, alreadyCurrent: 401 });
    expect(counting.counts()).toEqual({
      // The directory of tenants twice, its partitions twice, and the 406 rows.
      'tables.range': 4 + 1,
      'tables.find': 5,
      'blobs.find': 5,
      'blobs.putOnce': 5,
      'tables.commit': 5,
    });
    counting.reset();
    expect(await round(one, now)).toEqual({ lookedAt: 406, alreadyCurrent: 406 });
    expect(counting.counts()).toEqual({ 'tables.range': 5 });
  });

  it('is one point read and one blob read a record when it is tried out', async () => {
    for (let n = 0; n < 6; n += 1) await old('acme', n);
    const counting = countingPorts(world.ports);
    await migrate({ dryRun: true }, counting.ports);
    expect(counting.counts()).toEqual({ 'tables.range': 5, 'tables.find': 6, 'blobs.find': 6 });
  });

  it('is nothing where no type has an older version', async () => {
    await old('acme', 0);
    const counting = countingPorts(world.ports);
    const types = [metricType];
    const { jobs } = testPlatform(counting.ports, { clock: world.clock, types });
    expect(await jobs.tryOut('migrate', {})).toEqual({ outcome: 'done', counts: {} });
    // What is switched off, the service's clock, and nothing else.
    expect(counting.calls.map(({ args }) => args[0])).toEqual([JOBS_TABLE, JOBS_TABLE, JOBS_TABLE]);
  });
});

describe('a migration that is interrupted', () => {
  it.each(['never happened', 'happened'])(
    'is done by its next run when any of its commits %s and it died',
    async (what) => {
      for (let at = 1; ; at += 1) {
        world = new World();
        for (let n = 0; n < 3; n += 1) await old(n === 2 ? 'zeta' : 'acme', n);
        let calls = 0;
        let dead = false;
        const dying: Intercept = async ({ method }, run) => {
          if (dead) throw new Error('the process is no more');
          if (!['commit', 'putOnce'].includes(method) || ++calls !== at) return run();
          if (what === 'happened') await run();
          dead = true;
          throw new Error('the process is no more');
        };
        await on(wrapPorts(world.ports, dying))
          .jobs.run('migrate')
          .catch(() => undefined);
        world.clock.pass(5 * 60_000);
        const { jobs } = world.host();
        while ((await jobs.run('migrate')).outcome === 'paused');
        expect(versions('r:')).toEqual(['1.0', '1.0', '1.0']);
        expect(world.rows('v:')).toHaveLength(6);
        expect(world.rows('o:')).toHaveLength(6);
        world.assertSound();
        await world.assertReadable();
        if (calls < at) return expect(at).toBeGreaterThan(8);
      }
    },
  );

  it('goes on where it was, and shows how far it has come', async () => {
    for (let n = 0; n < 100; n += 1) await old('acme', n);
    const slow: Intercept = async ({ method }, run) => {
      if (method === 'putOnce') world.clock.pass(1000);
      return run();
    };
    const host = on(wrapPorts(world.ports, slow));
    const first = await host.jobs.run('migrate');
    expect(first.outcome).toBe('paused');
    const migrated = first.counts['migrated'] ?? 0;
    expect(migrated).toBeGreaterThanOrEqual(60);
    expect(migrated).toBeLessThan(70);
    const [view] = (await host.jobs.list()).items.filter(({ name }) => name === 'migrate');
    expect(view).toMatchObject({
      state: 'paused',
      counts: { looked_at: migrated, migrated },
      error: null,
      ended_at: null,
    });
    expect(world.rows('migrate', JOBS_TABLE)[0]?.properties['cursor']).toContain('i:all:');
    expect(await world.host().jobs.run('migrate')).toEqual({
      outcome: 'done',
      counts: { lookedAt: 100, migrated: 100 },
    });
  });

  it('by storage that does not answer says so, and its next run goes on', async () => {
    for (let n = 0; n < 60; n += 1) await old('acme', n);
    let puts = 0;
    const failing = diesAt(({ method }) => method === 'putOnce' && ++puts > 50);
    const host = on(wrapPorts(world.ports, failing));
    await expect(host.jobs.run('migrate')).rejects.toThrow();
    world.clock.pass(5 * 60_000);
    await world.host().jobs.run('migrate');
    expect(versions('r:').every((version) => version === '1.0')).toBe(true);
  });
});

describe('the timer of the migration', () => {
  const hostWith = (migrating: Partial<MigrateSettings>, ports = world.ports) => testPlatform(ports, { clock: world.clock, migrating }); // prettier-ignore
  const at = (hour: number, minute = 0) => {
    const day = Math.floor(world.clock.now() / DAY) * DAY;
    world.clock.pass(day + DAY + hour * HOUR + minute * 60_000 - world.clock.now());
  };
  const NIGHT = { fromMinute: 22 * 60, toMinute: 4 * 60 };

  it('does nothing outside its window, for no call, and leaves a round where it is', async () => {
    for (let n = 0; n < 100; n += 1) await old('acme', n);
    const counting = countingPorts(world.ports);
    const { jobs } = hostWith({ window: NIGHT }, counting.ports);
    at(21, 59);
    expect(await jobs.run('migrate')).toEqual({ outcome: 'resting', counts: {} });
    expect(counting.calls).toEqual([]);
    at(3, 59);
    // The window closes while it is at work.
    const slow: Intercept = async ({ method }, run) => {
      if (method === 'putOnce') world.clock.pass(5000);
      return run();
    };
    const begun = await hostWith({ window: NIGHT }, wrapPorts(world.ports, slow)).jobs.run('migrate');
    expect(begun.outcome).toBe('paused');
    expect(begun.counts['migrated']).toBeLessThan(30);
    const row = world.rows('migrate', JOBS_TABLE)[0];
    expect(await jobs.run('migrate')).toEqual({ outcome: 'resting', counts: {} });
    expect(world.rows('migrate', JOBS_TABLE)[0]).toEqual(row);
    at(22);
    expect(await jobs.run('migrate')).toMatchObject({ outcome: 'done', counts: { migrated: 100 } });
  });

  it('does nothing when it is off; who starts the job by hand is not held up by that', async () => {
    await old('acme', 0);
    const { jobs } = hostWith({ enabled: false });
    expect(await jobs.run('migrate')).toEqual({ outcome: 'resting', counts: {} });
    expect(world.rows('migrate', JOBS_TABLE)).toEqual([]);
    expect(await jobs.start('migrate')).toEqual({ outcome: 'done', counts: { lookedAt: 1, migrated: 1 } });
  });

  it('does by its settings what its rounds do', async () => {
    for (let n = 0; n < 5; n += 1) await old('acme', n);
    const dry = await hostWith({ dryRun: true }).jobs.run('migrate');
    expect(dry.counts).toEqual({ lookedAt: 5, wouldMigrate: 5 });
    world.clock.pass(DAY);
    const some = await hostWith({ sample: 2 }).jobs.run('migrate');
    expect(some.counts).toEqual({ lookedAt: 2, migrated: 2 });
    expect(versions('r:').filter((version) => version === '1.0')).toHaveLength(2);
  });
});

describe('a job started by hand', () => {
  it('begins a round that is not due, and goes on with one that is under way', async () => {
    const { jobs } = world.host();
    expect((await jobs.run('migrate')).outcome).toBe('done');
    await old('acme', 0);
    expect(await jobs.run('migrate')).toEqual({ outcome: 'resting', counts: {} });
    expect(await jobs.start('migrate')).toEqual({ outcome: 'done', counts: { lookedAt: 1, migrated: 1 } });
    expect((await jobs.start('check-partitions')).outcome).toBe('done');
  });

  it('works for 15 s and leaves the rest to its timer', async () => {
    for (let n = 0; n < 60; n += 1) await old('acme', n);
    const slow: Intercept = async ({ method }, run) => {
      if (method === 'putOnce') world.clock.pass(1000);
      return run();
    };
    const { jobs } = on(wrapPorts(world.ports, slow));
    const started = await jobs.start('migrate');
    expect(started.outcome).toBe('paused');
    expect(started.counts['migrated']).toBeLessThan(25);
    const tried = await jobs.tryOut('migrate', { sample: 50 });
    expect(tried.outcome).toBe('paused');
    expect(await world.host().jobs.run('migrate')).toMatchObject({ outcome: 'done' });
    expect(versions('r:').every((version) => version === '1.0')).toBe(true);
  });

  it('that is tried out takes no part in a round', async () => {
    for (let n = 0; n < 5; n += 1) await old('acme', n);
    const { jobs } = world.host();
    expect(await jobs.tryOut('migrate', { dryRun: true, sample: 3 })).toEqual({ outcome: 'done', counts: { lookedAt: 3, wouldMigrate: 3 } }); // prettier-ignore
    expect(await jobs.tryOut('migrate', { sample: 3 })).toEqual({ outcome: 'done', counts: { lookedAt: 3, migrated: 3 } }); // prettier-ignore
    expect(world.rows('migrate', JOBS_TABLE)).toEqual([]);
    await expect(jobs.tryOut('expire-keys', { dryRun: true })).rejects.toMatchObject({
      code: 'request-malformed',
    });
    await expect(jobs.tryOut('expire-keys', { sample: 1 })).rejects.toMatchObject({
      code: 'request-malformed',
    });
  });
});
