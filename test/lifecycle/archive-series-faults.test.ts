import { beforeAll, describe, expect, it } from 'vitest';
import { isAppError } from '../../src/domain/errors.js';
import { StorageFault } from '../../src/storage/ports.js';
import type { Intercept, PortCall } from '../support/wrap-ports.js';
import { every, SeriesWorld } from './series-world.js';
import { Died, HOUR } from './support.js';

/** A change of what the job is about; what surrounds it (keys, names, the directory) others see to. */
const isChange = ({ method, args }: PortCall): boolean =>
  !['find', 'range', 'list', 'blockState'].includes(method) && ['metricvalues', 'metricentries', 'records'].includes(String(args[0])); // prettier-ignore

/** The process makes so many changes and no call after them. A read loses nothing that the change before it did not. */
function diesAfter(changes: number): Intercept {
  let made = 0;
  return async (call, run) => {
    if (made >= changes) throw new Died('the process is no more');
    if (isChange(call)) made += 1;
    return run();
  };
}

/** Every other call fails, before or after it happened; the same one again does not. */
function everyOtherFails({
  first,
  happens,
}: {
  readonly first: number;
  readonly happens: boolean;
}): Intercept {
  let calls = first;
  return async ({ args }, run) => {
    // Keys, pseudonyms and the directory retry several calls as one.
    if (['keys', 'actors', 'system', 'jobs'].includes(String(args[0]))) return run();
    calls += 1;
    if (calls % 2 === 0) return run();
    if (happens) await run();
    throw new StorageFault('unavailable', 'it did not answer');
  };
}

const TROUBLES = [0, 1].flatMap((first) => [false, true].map((happens) => ({ first, happens })));

interface Prepared {
  readonly world: SeriesWorld;
  readonly id: string;
  readonly raw: readonly unknown[];
  readonly days: readonly unknown[];
  /** How many files the year has in the end, and events of moves. */
  readonly files: number;
  readonly events: number;
}

async function prepared(world: SeriesWorld, id: string, files: number, events: number): Promise<Prepared> {
  await world.archive(world.host(), 'roll-up-series');
  return { world, id, raw: await world.values(id), days: await world.values(id, 'day'), files, events };
}

/** Values of a year that is due for the cool tier. */
async function due(): Promise<Prepared> {
  const world = new SeriesWorld();
  const id = await world.metric('2025-02-01T00:00:00Z');
  await world.add(id, every('2025-03-30T00:00:00Z', 2 * HOUR, 40));
  return prepared(world, id, 1, 1);
}

/** Values that came late to a year in the cool tier, with one of them twice in its rows. */
async function late(): Promise<Prepared> {
  const { world, id } = await due();
  await world.round();
  await world.add(id, every('2025-03-30T00:30:00Z', 2 * HOUR, 20));
  return prepared(world, id, 1, 2);
}

/** A year whose file is due for the archive. */
async function cool(): Promise<Prepared> {
  const { world, id, raw, days } = await due();
  await world.round();
  world.until('2027-01-01T00:00:00Z', 1);
  return { world, id, raw, days, files: 1, events: 2 };
}

/** Values that came late to what is in the archive. */
async function beside(): Promise<Prepared> {
  const one = await cool();
  await one.world.round();
  await one.world.add(one.id, every('2025-03-30T00:30:00Z', 2 * HOUR, 20));
  await one.world.archive(one.world.host(), 'roll-up-series');
  return { ...one, raw: [], days: await one.world.values(one.id, 'day'), files: 2, events: 3 };
}

const SITUATIONS = { due, late, cool, beside };

async function attempted(world: SeriesWorld, intercept: Intercept): Promise<boolean> {
  try {
    await world.host(intercept).jobs.tryOut('archive-series', {});
    return true;
  } catch (error) {
    if (!(error instanceof Died)) throw error;
    return false;
  }
}

/** Every value and every day is what it was, or the values say that they are in the archive. */
async function seen({ world, id, raw, days }: Prepared): Promise<void> {
  const host = world.host();
  expect(await world.values(id, 'day', 1000, host)).toEqual(days);
  try {
    const now = await world.values(id, 'raw', 1000, host);
    if (raw.length > 0) expect(now).toEqual(raw);
  } catch (error) {
    if (!isAppError(error, 'record-archived')) throw error;
  }
}

/** Brought to its end by others, a day later. */
async function finished(one: Prepared): Promise<void> {
  const { world, id, files, events } = one;
  world.clock.pass(27 * HOUR);
  await world.round();
  await seen(one);
  expect(world.samples(id)).toEqual([]);
  await world.archive(world.host(), 'collect-orphans');
  const named = world.years(id).flatMap((year) => year.files.map(({ blob }) => blob));
  expect(named).toHaveLength(files);
  expect(world.files(id).map(({ name }) => name).sort()).toEqual([...named].sort()); // prettier-ignore
  expect(await world.archive(world.host(), 'archive-series')).toEqual({ lookedAt: 1 });
  const told = world.rows('o:', 'metricentries').filter(({ properties }) => String(properties['event']).includes('"record.archived"')); // prettier-ignore
  expect(told).toHaveLength(events);
}

describe.each(Object.keys(SITUATIONS) as (keyof typeof SITUATIONS)[])('values that are %s', (situation) => {
  let first: Prepared;
  beforeAll(async () => {
    first = await SITUATIONS[situation]();
  });
  const again = async (): Promise<Prepared> => ({ ...first, world: await first.world.copied() });

  it('may be left after any change, and are all there', async () => {
    for (let changes = 1, last = false; !last; changes += 1) {
      const one = await again();
      last = await attempted(one.world, diesAfter(changes));
      await seen(one);
      await finished(one);
    }
  }, 60_000);

  it.each(TROUBLES)(
    'may have every other call fail: $first $happens',
    async (trouble) => {
      const one = await again();
      await attempted(one.world, everyOtherFails(trouble));
      await seen(one);
      await finished(one);
    },
    30_000,
  );
});
