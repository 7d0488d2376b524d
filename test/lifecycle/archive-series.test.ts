import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { testPlatform } from '../support/platform.js';
import { CALL, every, SeriesWorld } from './series-world.js';
import { DAY, HOUR } from './support.js';

let world: SeriesWorld;
beforeEach(() => {
  world = new SeriesWorld();
});

/** Tenths, whose sum is exact only where it is kept exactly. */
const tenth = (at: number): number => at / 10 + 0.1;
const VALUES_2025 = every('2025-10-30T12:00:00Z', 6 * HOUR, 300, tenth);

describe('the values of a year', () => {
  it('become one compressed file, and then an archived one, and every day stays', async () => {
    const id = await world.metric('2025-03-01T00:00:00Z');
    await world.add(id, VALUES_2025);
    await world.archive(world.host(), 'roll-up-series');
    const raw = await world.values(id);
    const [days, hours] = [await world.values(id, 'day'), await world.values(id, 'hour')];
    expect(raw).toHaveLength(301);
    expect(await world.round()).toMatchObject({ filed: 1 });

    const [row, ...others] = world.years(id);
    expect(others).toEqual([]);
    const inYear = raw.filter(({ timestamp }) => String(timestamp) < '2026');
    const [file] = row?.files ?? [];
    expect(file).toMatchObject({ tier: 'cool', totals: { count: inYear.length } });
    const [blob, ...more] = world.files(id);
    expect(more).toEqual([]);
    expect(blob).toMatchObject({ name: file?.blob, tier: 'cool', kind: 'block' });
    expect(
      createHash('sha256')
        .update(blob?.bytes ?? '')
        .digest('hex'),
    ).toBe(file?.sha256);
    expect(world.lines(blob?.name ?? '').slice(0, 3)).toEqual([
      'timestamp,value,entry,position,context',
      '2025-03-01T00:00:00.000Z,7,0,0,',
      '2025-10-30T12:00:00.000Z,0.1,1,0,',
    ]);
    expect(world.samples(id)).toHaveLength(raw.length - inYear.length);
    expect(await world.values(id)).toEqual(raw);
    expect(await world.values(id, 'raw', 7)).toEqual(raw);
    expect(await world.values(id, 'day')).toEqual(days);
    expect(await world.values(id, 'hour')).toEqual(hours);
    // Nothing is left to do.
    expect(await world.round()).toEqual({ lookedAt: 1 });

    world.until('2027-01-01T00:00:00Z', 1);
    expect(await world.round()).toMatchObject({ archived: 1 });
    expect(world.files(id)).toMatchObject([{ tier: 'archive' }]);
    expect(world.years(id)).toMatchObject([{ files: [{ tier: 'archive' }] }]);
    await expect(world.values(id)).rejects.toMatchObject({ code: 'record-archived' });
    expect(await world.values(id, 'raw', 1000, world.host(), { fromMs: Date.UTC(2026, 0, 1) })).toHaveLength(raw.length - inYear.length); // prettier-ignore
    expect(await world.values(id, 'day')).toEqual(days);
    expect(await world.values(id, 'hour')).toEqual(hours);
  });

  it('are told of in the audit trail, once for each move', async () => {
    const id = await world.metric('2024-06-01T00:00:00Z');
    await world.add(id, every('2025-02-01T00:00:00Z', DAY, 40));
    await world.round();
    world.until('2027-01-01T00:00:00Z', 1);
    await world.round();
    await world.round();
    const { sealer, auditReader } = world.host();
    await sealer.sealTenant('default');
    const { items } = await auditReader.list({ filters: { resource_id: id, event_type: 'record.archived' }, limit: 10 }, CALL); // prettier-ignore
    const told = items.map(({ details }) => details as Record<string, unknown>).map(({ from, to, year, values }) => [from, to, year, values]); // prettier-ignore
    expect(told.sort()).toEqual([
      ['cool', 'archive', 2025, 40],
      ['hot', 'archive', 2024, 1],
      ['hot', 'cool', 2025, 40],
    ]);
  });

  it('stay rows while the year, or the time it is to be hot, is not over', async () => {
    const id = await world.metric('2026-11-01T00:00:00Z');
    world.until('2027-01-30T00:00:00Z');
    expect(await world.round()).toEqual({ lookedAt: 1 });
    world.until('2027-01-31T00:00:01Z');
    expect(await world.round()).toEqual({ lookedAt: 1, filed: 1 });
    expect(world.samples(id)).toEqual([]);
  });

  it('come with their contexts, quoted as RFC 4180 has it', async () => {
    const id = await world.metric('2025-01-01T00:00:00Z');
    const context = { note: 'a "quote", a comma\r\nand a line', list: [1, '=1+1'], name: 'Ä\u2028' };
    await world.add(id, [{ timestamp: '2025-05-01T00:00:00Z', value: -1.5e-7, context }]);
    await world.archive(world.host(), 'roll-up-series');
    const raw = await world.values(id);
    await world.round();
    expect(world.samples(id)).toEqual([]);
    expect(await world.values(id)).toEqual(raw);
    expect(raw[1]).toMatchObject({ value: -1.5e-7, context });
    const [, , line] = world.lines(world.files(id)[0]?.name ?? '');
    expect(line).toBe('2025-05-01T00:00:00.000Z,-1.5e-7,1,0,"{""list"":[1,""=1+1""],""name"":""Ä\u2028"",""note"":""a \\""quote\\"", a comma\\r\\nand a line""}"'); // prettier-ignore
  });
});

describe('values that come late', () => {
  it('are in a new file with the others while that can be read, and counted once', async () => {
    const id = await world.metric('2025-01-01T00:00:00Z');
    await world.add(id, every('2025-02-01T00:00:00Z', HOUR, 30));
    await world.round();
    const [before] = world.files(id);
    await world.add(id, every('2025-01-15T00:00:00Z', DAY, 30));
    await world.archive(world.host(), 'roll-up-series');
    const raw = await world.values(id);
    const days = await world.values(id, 'day');
    expect(raw).toHaveLength(61);
    expect(await world.round()).toMatchObject({ filed: 1 });
    const [after, ...others] = world.files(id);
    expect([others, after?.name === before?.name]).toEqual([[], false]);
    expect(world.samples(id)).toEqual([]);
    expect(await world.values(id)).toEqual(raw);
    expect(await world.values(id, 'day')).toEqual(days);
    expect(world.lines(after?.name ?? '')).toHaveLength(63);
    expect(await world.round()).toEqual({ lookedAt: 1 });
  });

  it('are in a further file beside one that is in the archive', async () => {
    const id = await world.metric('2024-01-01T00:00:00Z');
    await world.round();
    await world.add(id, every('2024-01-01T00:00:00Z', HOUR, 5));
    await world.archive(world.host(), 'roll-up-series');
    expect(await world.values(id, 'day')).toMatchObject([{ count: 6 }]);
    expect(await world.round()).toMatchObject({ filed: 1 });
    expect(world.files(id)).toMatchObject([{ tier: 'archive' }, { tier: 'archive' }]);
    expect(world.years(id)).toMatchObject([{ files: [{ totals: { count: 1 } }, { totals: { count: 5 } }] }]);
    expect(world.samples(id)).toEqual([]);
    expect(await world.values(id, 'day')).toMatchObject([{ count: 6 }]);
    expect(await world.round()).toEqual({ lookedAt: 1 });
  });

  it('are read from entries, rows and files alike', async () => {
    const id = await world.metric('2025-01-01T00:00:00Z');
    await world.add(id, every('2025-02-01T00:00:00Z', HOUR, 20));
    await world.round();
    await world.add(id, every('2025-02-01T00:00:30Z', HOUR, 20));
    await world.archive(world.host(), 'roll-up-series');
    await world.add(id, every('2025-02-01T00:00:45Z', HOUR, 20));
    const all = await world.values(id);
    expect(all).toHaveLength(61);
    expect(all.map(({ timestamp }) => timestamp)).toEqual(all.map(({ timestamp }) => timestamp).sort());
    for (const limit of [1, 2, 7, 60]) expect(await world.values(id, 'raw', limit)).toEqual(all);
  });
});

describe('a dry run', () => {
  it('says what would be moved, and moves nothing', async () => {
    const id = await world.metric('2024-01-01T00:00:00Z');
    await world.add(id, every('2025-02-01T00:00:00Z', HOUR, 20));
    await world.archive(world.host(), 'roll-up-series');
    const before = world.storage.contents();
    const { counts } = await world.host().jobs.tryOut('archive-series', { dryRun: true });
    expect(counts).toEqual({ lookedAt: 1, wouldFile: 2 });
    expect(world.files(id)).toEqual([]);
    expect(world.storage.contents().rows.length).toBe(before.rows.length + 1);
    await world.round();
    world.until('2027-01-01T00:00:00Z', 1);
    expect((await world.host().jobs.tryOut('archive-series', { dryRun: true })).counts).toEqual({ lookedAt: 1, wouldArchive: 1 }); // prettier-ignore
  });
});

describe('what it costs', () => {
  const OURS = ['metrics', 'metricentries', 'metricvalues', 'records'];
  const costs = async (count: number): Promise<Record<string, number>> => {
    const one = new SeriesWorld();
    const id = await one.metric('2025-03-01T00:00:00Z');
    await one.add(id, every('2025-03-01T00:00:01Z', 1000, count));
    await one.archive(one.host(), 'roll-up-series');
    const host = testPlatform(one.counted.ports, { clock: one.clock });
    one.counted.reset();
    expect((await host.jobs.tryOut('archive-series', {})).counts).toMatchObject({ filed: 1 });
    return one.counted.counts(({ args }) => OURS.includes(String(args[0])));
  };

  it('grows with the values: a range read twice for 1,000, a transaction for 100, a read for 4,000', async () => {
    const [four, eight] = [await costs(3999), await costs(7999)];
    expect(four).toMatchObject({
      'blobs.stageBlock': 1,
      'blobs.commitBlocks': 1,
      'blobs.setTier': 1,
      'blobs.find': 3,
      'tables.find': 6,
      'tables.commit': 40 + 3,
    });
    const grown = Object.fromEntries(Object.keys(eight).map((name) => [name, (eight[name] ?? 0) - (four[name] ?? 0)])); // prettier-ignore
    expect(Object.fromEntries(Object.entries(grown).filter(([, more]) => more !== 0))).toEqual({ 'tables.range': 8, 'tables.commit': 40, 'blobs.find': 1 }); // prettier-ignore
  }, 60_000);

  it('is a point read for each series, and a share of a range read, where there is nothing to do', async () => {
    for (let at = 0; at < 3; at += 1) await world.metric('2025-03-01T00:00:00Z');
    await world.round();
    const host = testPlatform(world.counted.ports, { clock: world.clock });
    world.counted.reset();
    expect((await host.jobs.tryOut('archive-series', {})).counts).toEqual({ lookedAt: 3 });
    expect(world.counted.counts(({ args }) => OURS.includes(String(args[0])))).toEqual({ 'tables.range': 1, 'tables.find': 3 }); // prettier-ignore
  });
});
