import { describe, expect, it } from 'vitest';
import { isAppError } from '../../src/domain/errors.js';
import { decisionType } from '../../src/records/decision.js';
import { StorageFault } from '../../src/storage/ports.js';
import { fsckOf, PassingClock } from '../audit/fsck-world.js';
import { caller } from '../support/platform.js';
import type { Intercept, PortCall } from '../support/wrap-ports.js';
import { ArchiveWorld, HUGE, type Seen } from './archive-world.js';
import { collector, DAY, Died, HOUR, round } from './support.js';

const RECORDS = 3;
type Trouble = 'fails' | 'happens, and is said to have failed' | 'is the last';
const TROUBLES: readonly Trouble[] = ['fails', 'happens, and is said to have failed', 'is the last'];

const unavailable = (): StorageFault => new StorageFault('unavailable', 'it did not answer');

/** Makes the call of that number go wrong; a process whose last call it was makes none after it. */
function at(number: number, trouble: Trouble, calls: PortCall[] = []): Intercept {
  let dead = false;
  return async (call, run) => {
    if (dead) throw new Died('the process is no more');
    calls.push(call);
    if (calls.length !== number) return run();
    if (trouble === 'fails') throw unavailable();
    const done = await run();
    if (trouble === 'happens, and is said to have failed') throw unavailable();
    dead = true;
    return done;
  };
}

interface Prepared {
  readonly world: ArchiveWorld;
  readonly ids: readonly string[];
  readonly before: Seen;
}

/** Records that are due for the cool tier. */
async function hot(): Promise<Prepared> {
  const world = new ArchiveWorld();
  const ids = await world.decisions(RECORDS, { context: HUGE });
  const before = await world.seen(ids);
  world.clock.pass(31 * DAY);
  return { world, ids, before };
}

/** Records that are due for the archive. */
async function cool(): Promise<Prepared> {
  const prepared = await hot();
  await prepared.world.archive();
  prepared.world.clock.pass(60 * DAY);
  return prepared;
}

/** Brought to its end by others, long after. */
async function finished(world: ArchiveWorld): Promise<void> {
  world.clock.pass(27 * HOUR);
  await world.archive();
  await round(collector(world.ports, world.clock), world.clock.now());
  world.clock.pass(27 * HOUR);
  await world.archive();
  await round(collector(world.ports, world.clock), world.clock.now());
  const { told } = await fsckOf(world.ports, { clock: new PassingClock(world.clock.now() + HOUR) });
  expect(told.filter(({ level }) => level === 'error')).toEqual([]);
}

/** What the job does with a host of its own, in as far as it comes. */
async function attempted(world: ArchiveWorld, intercept: Intercept): Promise<void> {
  try {
    await world.host(intercept).jobs.tryOut('archive', {});
  } catch (error) {
    if (!(error instanceof Died)) throw error;
  }
}

/** Every revision is as it was, or says that it is in the archive. */
async function seenOrArchived({ world, ids, before }: Prepared): Promise<number> {
  const { manager } = world.host();
  let archived = 0;
  for (const id of ids)
    for (const [index, checksum] of (before.get(id) ?? []).entries())
      try {
        const { envelope } = await manager.getRevision(decisionType, id, index + 1, caller());
        expect(envelope.checksum).toBe(checksum);
      } catch (error) {
        if (!isAppError(error, 'record-archived')) throw error;
        archived += 1;
      }
  return archived;
}

describe('a step into the cool tier', () => {
  it('leaves every record readable after each of its calls', async () => {
    const { world, ids, before } = await hot();
    let moments = 0;
    await attempted(world, async (call, run) => {
      const done = await run();
      if (call.method !== 'find' && call.method !== 'range') {
        moments += 1;
        expect(await world.seen(ids)).toEqual(before);
      }
      return done;
    });
    expect(moments).toBeGreaterThan(12);
  });

  it.each(TROUBLES)('may have any call of which it %s', async (trouble) => {
    const calls: PortCall[] = [];
    const first = await hot();
    await attempted(first.world, at(Infinity, trouble, calls));
    for (let number = 1; number <= calls.length; number += 1) {
      const prepared = await hot();
      const { world, ids, before } = prepared;
      await attempted(world, at(number, trouble));
      expect(await world.seen(ids)).toEqual(before);
      await finished(world);
      expect(await world.seen(ids)).toEqual(before);
      const where = `${String(number)} ${calls[number - 1]?.method ?? ''}`;
      expect(world.packs().map(({ state, tier }) => [state, tier]), where).not.toContainEqual(['writing', 'cool']);
      // Each revision is in one pack, and nothing else is left.
      expect(world.blobs().length, where).toBe(world.packs().length);
      expect(world.packs().flatMap(({ members }) => members), where).toHaveLength(2 * RECORDS);
    }
  }, 120_000); // prettier-ignore
});

describe('a step into the archive', () => {
  it.each(TROUBLES)(
    'may have any call of which it %s',
    async (trouble) => {
      const calls: PortCall[] = [];
      await attempted((await cool()).world, at(Infinity, trouble, calls));
      for (let number = 1; number <= calls.length; number += 1) {
        const prepared = await cool();
        await attempted(prepared.world, at(number, trouble));
        await seenOrArchived(prepared);
        await finished(prepared.world);
        expect(await seenOrArchived(prepared)).toBe(2 * RECORDS);
        expect(prepared.world.packs()).toMatchObject([{ state: 'stored', tier: 'archive' }]);
      }
    },
    120_000,
  );
});
