import { beforeEach, describe, expect, it } from 'vitest';
import { metricType } from '../../src/records/metric.js';
import type { RowOperation } from '../../src/storage/ports.js';
import type { PortCall } from '../support/wrap-ports.js';
import { fsckOf, PassingClock } from '../audit/fsck-world.js';
import { CALL, every, SeriesWorld } from './series-world.js';
import { DAY, HOUR, Sleeper } from './support.js';

let world: SeriesWorld;
let id: string;
let raw: readonly unknown[];
beforeEach(async () => {
  world = new SeriesWorld();
  id = await world.metric('2025-02-01T00:00:00Z');
  await world.add(id, every('2025-03-30T00:00:00Z', 2 * HOUR, 40));
  await world.archive(world.host(), 'roll-up-series');
  raw = await world.values(id);
});

const namesYear = ({ method, args }: PortCall): boolean =>
  method === 'commit' &&
  args[0] === 'metricvalues' &&
  (args[2] as RowOperation[]).some(({ rowKey }) => rowKey.startsWith('y:'));

/** Nothing is left, nothing is twice, and fsck finds nothing. */
async function settled(expected: readonly unknown[]): Promise<void> {
  expect(await world.values(id)).toEqual(expected);
  world.clock.pass(27 * HOUR);
  await world.round();
  await world.archive(world.host(), 'collect-orphans');
  expect(await world.values(id)).toEqual(expected);
  expect(world.samples(id)).toEqual([]);
  expect(world.files(id).map(({ name }) => name)).toEqual(world.years(id).flatMap(({ files }) => files.map(({ blob }) => blob))); // prettier-ignore
  const { told } = await fsckOf(world.ports, { clock: new PassingClock(world.clock.now() + HOUR) });
  expect(told.filter(({ level }) => level === 'error')).toEqual([]);
}

describe('a read of values', () => {
  const found = ({ method, args }: PortCall): boolean =>
    method === 'find' && args[0] === 'metricvalues' && String(args[2]).startsWith('y:');

  it('that has its rows from before they were filed has them once', async () => {
    const sleeper = new Sleeper(found);
    const reading = world.values(id, 'raw', 1000, world.host(sleeper.intercept));
    await sleeper.asleep;
    expect(await world.round()).toMatchObject({ filed: 1 });
    sleeper.wake();
    expect(await reading).toEqual(raw);
  });

  it('that has the row of a year from before late values were filed begins anew', async () => {
    await world.round();
    await world.add(id, every('2025-03-30T00:30:00Z', 2 * HOUR, 20));
    const all = await world.values(id);
    const sleeper = new Sleeper(({ port, method }) => port === 'blobs' && method === 'find');
    const reading = world.values(id, 'raw', 1000, world.host(sleeper.intercept));
    await sleeper.asleep;
    expect(await world.round()).toMatchObject({ filed: 1 });
    sleeper.wake();
    expect(await reading).toEqual(all);
    expect(all).toHaveLength(61);
  });
});

describe('a host that files a year', () => {
  it.each(['stageBlock', 'commitBlocks', 'setTier', 'names', 'delete'])('and sleeps at %s finds it filed by another', async (at) => {
    const when = (call: PortCall): boolean => (at === 'names' ? namesYear(call) : call.method === at || (at === 'delete' && call.args[0] === 'metricvalues' && call.method === 'commit' && (call.args[2] as RowOperation[])[0]?.kind === 'delete'));
    const sleeper = new Sleeper(when);
    const slow = world.host(sleeper.intercept).jobs.tryOut('archive-series', {});
    await sleeper.asleep;
    expect(await world.round()).toMatchObject({ lookedAt: 1 });
    world.clock.pass(27 * HOUR);
    await world.archive(world.host(), 'collect-orphans');
    sleeper.wake();
    const { counts } = await slow;
    expect(counts['damaged'] ?? 0).toBe(0);
    await settled(raw);
    expect(world.years(id)).toHaveLength(1);
  }); // prettier-ignore

  it('and finds that its file was collected meanwhile leaves the year to the next', async () => {
    const sleeper = new Sleeper(namesYear);
    const slow = world.host(sleeper.intercept).jobs.tryOut('archive-series', {});
    await sleeper.asleep;
    world.clock.pass(27 * HOUR);
    await world.archive(world.host(), 'collect-orphans');
    expect(world.files(id)).toEqual([]);
    sleeper.wake();
    expect((await slow).counts).toMatchObject({ overtaken: 1 });
    await settled(raw);
  });

  it('while values of the year are digested counts them neither twice nor never', async () => {
    for (const when of [namesYear, ({ method }: PortCall) => method === 'stageBlock', ({ method, args }: PortCall) => method === 'commit' && args[0] === 'metricentries']) {
      await world.add(id, [{ timestamp: '2025-04-01T00:00:01Z', value: 4 }]);
      await world.archive(world.host(), 'roll-up-series');
      const sleeper = new Sleeper(when);
      const slow = world.host(sleeper.intercept).jobs.tryOut('archive-series', {});
      await sleeper.asleep;
      await world.add(id, [{ timestamp: '2025-04-01T00:00:01Z', value: 5 }]);
      await world.archive(world.host(), 'roll-up-series');
      const all = await world.values(id);
      sleeper.wake();
      expect((await slow).counts['damaged'] ?? 0).toBe(0);
      await settled(all);
    }
    expect(await world.values(id)).toHaveLength(47);
  }); // prettier-ignore

  it('while another digests, in the middle of it, takes what that has come to', async () => {
    await world.add(id, every('2025-05-30T00:00:00Z', HOUR, 3));
    // Samples and days are written, and how far they have come is not.
    const sleeper = new Sleeper(({ method, args }) => method === 'commit' && args[0] === 'metricentries');
    const digesting = world.host(sleeper.intercept).jobs.start('roll-up-series');
    await sleeper.asleep;
    const { counts } = await world.host().jobs.tryOut('archive-series', {});
    expect(counts).toMatchObject({ overtaken: 1 });
    sleeper.wake();
    await digesting;
    expect(await world.values(id)).toHaveLength(44);
    await settled(await world.values(id));
  });
});

describe('a digest', () => {
  it('that slept and writes samples anew which were filed long ago makes none of them twice', async () => {
    const other = new SeriesWorld();
    const late = await other.metric('2025-02-01T00:00:00Z');
    await other.add(late, every('2025-03-30T00:00:00Z', 2 * HOUR, 40));
    const sleeper = new Sleeper(({ method, args }) => method === 'commit' && args[0] === 'metricvalues');
    const digesting = other.host(sleeper.intercept).jobs.start('roll-up-series');
    await sleeper.asleep;
    await other.host().manager.digestParts(metricType, 'default', late);
    const all = await other.values(late);
    await other.archive(other.host(), 'archive-series');
    expect(other.samples(late)).toEqual([]);
    sleeper.wake();
    await digesting;
    expect(other.samples(late).length).toBeGreaterThan(0);
    expect(await other.values(late)).toEqual(all);
    expect(await other.values(late, 'day')).toMatchObject([{ count: 1 }, { count: 12 }, { count: 12 }, { count: 12 }, { count: 4 }]); // prettier-ignore
    // They go when the file does into the archive, which is said once.
    other.until('2027-01-01T00:00:00Z', 1);
    expect(await other.round()).toEqual({ lookedAt: 1, archived: 1 });
    expect(other.samples(late)).toEqual([]);
    const told = other.rows('o:', 'metricentries').map(({ properties }) => String(properties['event'])).filter((event) => event.includes('"record.archived"')); // prettier-ignore
    expect(told.map((event) => /"to":"(\w+)"/.exec(event)?.[1])).toEqual(['cool', 'archive']);
  });
});

describe('a record on hold', () => {
  const scope = () => ({ record: { collection: 'metrics', id } });

  it('keeps its values where they are until it is released', async () => {
    const placed = await world.host().holds.place({ scope: scope(), reason: 'A case.' }, CALL);
    expect(await world.round()).toEqual({ lookedAt: 1, held: 1 });
    expect(world.files(id)).toEqual([]);
    await world.host().holds.release(placed.hold.hold_id, { reason: 'Closed.' }, CALL);
    expect(await world.round()).toMatchObject({ filed: 1 });
    await world.host().holds.place({ scope: scope(), reason: 'Another.' }, CALL);
    world.until('2027-01-01T00:00:00Z', 1);
    expect(await world.round()).toEqual({ lookedAt: 1, held: 1 });
    expect(world.files(id)).toMatchObject([{ tier: 'cool' }]);
    expect(await world.values(id)).toEqual(raw);
  });

  it.each(['setTier', 'clear'])('since the file is written loses no row: %s', async (at) => {
    const sleeper = new Sleeper(({ method, args }) => at === 'clear' ? method === 'commit' && args[0] === 'metricentries' : method === 'setTier'); // prettier-ignore
    const filing = world.host(sleeper.intercept).jobs.tryOut('archive-series', {});
    await sleeper.asleep;
    await world.host().holds.place({ scope: scope(), reason: 'A case.' }, CALL);
    sleeper.wake();
    expect((await filing).counts).toMatchObject({ held: 1 });
    expect(world.samples(id)).toHaveLength(41);
    expect(world.files(id)).toHaveLength(at === 'clear' ? 1 : 0);
    expect(await world.values(id)).toEqual(raw);
  });
});

describe('what does not hold together', () => {
  const change = async (rowKey: string, operation: (rowKey: string) => RowOperation): Promise<void> => {
    const row = world.rows(rowKey, 'metricvalues').at(-1);
    await world.ports.tables.commit('metricvalues', row?.partitionKey ?? '', [operation(row?.rowKey ?? '')]);
  };
  const altered = (rowKey: string): RowOperation => ({ kind: 'merge', rowKey, properties: { value: 4711 }, etag: '*' }); // prettier-ignore
  const lost = (rowKey: string): RowOperation => ({ kind: 'delete', rowKey, etag: '*' });
  const audited = async (): Promise<number> => {
    const { sealer, auditReader } = world.host();
    await sealer.sealTenant('default');
    const { items } = await auditReader.list({ filters: { event_type: 'integrity.failed', resource_id: id }, limit: 10 }, CALL); // prettier-ignore
    return items.length;
  };

  it.each([['an altered sample', 's:', altered], ['a sample that is gone', 's:', lost], ['an altered day', 'd:', altered], ['a day that is gone', 'd:', lost]] as const)('is reported and left: %s', async (_, prefix, how) => {
    await world.add(id, every('2026-05-01T00:00:00Z', DAY, 3));
    await world.archive(world.host(), 'roll-up-series');
    const row = world.rows(prefix, 'metricvalues').filter(({ partitionKey }) => partitionKey.includes('.2025')).at(-1);
    await world.ports.tables.commit('metricvalues', row?.partitionKey ?? '', [how(row?.rowKey ?? '')]);
    const before = world.samples(id);
    expect(await world.archive(world.host(), 'archive-series')).toMatchObject({ damaged: 1 });
    expect([world.samples(id), world.files(id), world.years(id)]).toEqual([before, [], []]);
    expect(await audited()).toBe(1);
    // It is in no other year's way, and is said again in the next round.
    world.until('2027-01-31T00:00:00Z', 1);
    expect(await world.archive(world.host(), 'archive-series')).toMatchObject({ damaged: 1 });
    expect(await world.archive(world.host(), 'archive-series')).toMatchObject({ damaged: 1 });
    expect(world.years(id)).toMatchObject([{ year: 2026, files: [{ totals: { count: 3 } }] }]);
  }); // prettier-ignore

  it('is a finding where it is a file, and no longer one that is read', async () => {
    await world.round();
    const { ports } = world;
    const [blob] = world.files(id);
    const bytes = Buffer.from(blob?.bytes ?? '');
    bytes[bytes.length - 20] = (bytes.at(-20) ?? 0) ^ 1;
    await ports.blobs.delete('records', blob?.name ?? '');
    await ports.blobs.putOnce('records', blob?.name ?? '', bytes, 'application/octet-stream');
    await expect(world.values(id)).rejects.toMatchObject({ code: 'integrity-failure' });
    const codes = async () => (await fsckOf(ports, { clock: new PassingClock(world.clock.now() + HOUR) })).told.map(({ code }) => code); // prettier-ignore
    expect(await codes()).toEqual(['year.content']);
    await ports.blobs.delete('records', blob?.name ?? '');
    await expect(world.values(id)).rejects.toMatchObject({ code: 'integrity-failure' });
    expect(await codes()).toEqual(['year.content']);
    await change('y:', altered);
    await expect(world.values(id)).rejects.toMatchObject({ code: 'integrity-failure' });
    expect(await codes()).toEqual(['row.altered']);
  });

  it('is no finding where a file is in the archive', async () => {
    world.until('2027-01-01T00:00:00Z', 1);
    await world.round();
    const { told } = await fsckOf(world.ports, { clock: new PassingClock(world.clock.now() + HOUR) });
    expect(told).toMatchObject([{ code: 'year.archived', level: 'info' }]);
  });
});

describe('a metric that is disposed of', () => {
  it('leaves no value, in rows, files or what was brought back', async () => {
    await world.round();
    world.until('2027-01-01T00:00:00Z', 1);
    await world.round();
    await world.host().rehydrator.request(metricType, id, 'high', CALL);
    expect(await world.values(id)).toEqual(raw);
    expect(world.blobs().filter(({ name }) => name.endsWith('.csv.gz'))).toHaveLength(2);
    world.until('2030-02-02T00:00:00Z', 1);
    for (let days = 0; days < 3; days += 1) {
      await world.archive(world.host(), 'dispose');
      await world.archive(world.host(), 'rehydrate');
      world.clock.pass(DAY);
    }
    expect(world.rows('', 'metricvalues')).toEqual([]);
    expect(world.rows('w:', 'metricentries')).toEqual([]);
    expect(world.blobs().filter(({ name }) => name.includes('.csv.gz'))).toEqual([]);
    expect(await world.archive(world.host(), 'archive-series')).toEqual({});
  });
});
