import { describe, expect, it } from 'vitest';
import { isAppError } from '../../src/domain/errors.js';
import { decisionType } from '../../src/records/decision.js';
import { StorageFault } from '../../src/storage/ports.js';
import { fsckOf, PassingClock } from '../audit/fsck-world.js';
import { caller } from '../support/platform.js';
import type { Intercept, PortCall } from '../support/wrap-ports.js';
import { ArchiveWorld, HUGE, type Seen } from './archive-world.js';
import { collector, DAY, Died, HOUR, round } from './support.js';

const RECORDS = 2;
const unavailable = (): StorageFault => new StorageFault('unavailable', 'it did not answer');
const isChange = ({ method }: PortCall): boolean => !['find', 'range', 'list', 'blockState'].includes(method);

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
    if (['keys', 'actors', 'system'].includes(String(args[0]))) return run();
    calls += 1;
    if (calls % 2 === 0) return run();
    if (happens) await run();
    throw unavailable();
  };
}

const TROUBLES = [0, 1].flatMap((first) => [false, true].map((happens) => ({ first, happens })));

/** The process makes so many changes and no call after them. A read loses nothing that the change before it did not. */
function diesAfter(changes: number): Intercept {
  let made = 0;
  return async (call, run) => {
    if (made >= changes) throw new Died('the process is no more');
    if (isChange(call)) made += 1;
    return run();
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
  const { told } = await fsckOf(world.ports, { clock: new PassingClock(world.clock.now() + HOUR) });
  expect(told.filter(({ level }) => level === 'error')).toEqual([]);
}

/** What the job does with a host of its own; false where it died on the way. */
async function attempted(world: ArchiveWorld, intercept: Intercept): Promise<boolean> {
  try {
    await world.host(intercept).jobs.tryOut('archive', {});
    return true;
  } catch (error) {
    if (!(error instanceof Died)) throw error;
    return false;
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

  it.each(TROUBLES)('may have every other call fail: $first $happens', async (trouble) => {
    const { world, ids, before } = await hot();
    await attempted(world, everyOtherFails(trouble));
    expect(world.packs()).toMatchObject([{ state: 'stored', tier: 'cool' }]);
    expect(await world.seen(ids)).toEqual(before);
    await finished(world);
    expect(world.blobs()).toHaveLength(1);
  });

  it('may be left after any of its changes', async () => {
    for (let changes = 1, last = false; !last; changes += 1) {
      const { world, ids, before } = await hot();
      last = await attempted(world, diesAfter(changes));
      expect(await world.seen(ids)).toEqual(before);
      await finished(world);
      expect(await world.seen(ids)).toEqual(before);
      // Each revision is in one pack, or waits for others to be one with, and nothing else is left.
      const waiting = world.rows('v:').filter(({ properties }) => properties['tier'] === 'hot').length;
      expect(world.packs().map(({ state }) => state)).not.toContain('writing');
      expect(world.blobs().length, String(changes)).toBe(world.packs().length + waiting);
      expect(world.packs().flatMap(({ members }) => members)).toHaveLength(2 * RECORDS - waiting);
    }
  }, 60_000);
});

describe('a step into the archive', () => {
  it.each(TROUBLES)('may have every other call fail: $first $happens', async (trouble) => {
    const prepared = await cool();
    await attempted(prepared.world, everyOtherFails(trouble));
    await finished(prepared.world);
    expect(await seenOrArchived(prepared)).toBe(2 * RECORDS);
    expect(prepared.world.packs()).toMatchObject([{ state: 'stored', tier: 'archive' }]);
  });

  it('may be left after any of its changes', async () => {
    for (let changes = 1, last = false; !last; changes += 1) {
      const prepared = await cool();
      last = await attempted(prepared.world, diesAfter(changes));
      await seenOrArchived(prepared);
      await finished(prepared.world);
      expect(await seenOrArchived(prepared)).toBe(2 * RECORDS);
      expect(prepared.world.packs()).toMatchObject([{ state: 'stored', tier: 'archive' }]);
    }
  }, 60_000);
});
