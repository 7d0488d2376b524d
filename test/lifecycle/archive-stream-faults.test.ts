import { describe, expect, it } from 'vitest';
import { StorageFault } from '../../src/storage/ports.js';
import { conversationType } from '../../src/records/conversation.js';
import { fsckOf, PassingClock } from '../audit/fsck-world.js';
import { caller } from '../support/platform.js';
import type { Intercept, PortCall } from '../support/wrap-ports.js';
import { StreamWorld, TABLE } from './stream-world.js';
import { collector, DAY, Died, HOUR, round } from './support.js';

const TALKS = 2;
const unavailable = (): StorageFault => new StorageFault('unavailable', 'it did not answer');
const isChange = ({ method }: PortCall): boolean => !['find', 'range', 'list', 'blockState'].includes(method);

/** Every other call fails, before or after it happened; the same one again does not. */
function everyOtherFails(first: number, happens: boolean): Intercept {
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
  readonly world: StreamWorld;
  readonly ids: readonly string[];
  readonly before: string;
}

/** Conversations that are due for the cool tier. */
async function hot(): Promise<Prepared> {
  const world = new StreamWorld();
  const ids = await world.talks(TALKS, 2);
  const before = await world.heard(ids);
  world.clock.pass(31 * DAY);
  return { world, ids, before };
}

/** Conversations that are due for the archive. */
async function cool(): Promise<Prepared> {
  const prepared = await hot();
  await prepared.world.archive();
  prepared.world.clock.pass(60 * DAY);
  return prepared;
}

async function look(world: StreamWorld): Promise<void> {
  const { told } = await fsckOf(world.ports, { clock: new PassingClock(world.clock.now() + HOUR) });
  expect(told.filter(({ level }) => level === 'error')).toEqual([]);
}

/** Brought to its end by others, long after. */
async function finished(world: StreamWorld): Promise<void> {
  world.clock.pass(27 * HOUR);
  await world.archive();
  await round(collector(world.ports, world.clock, [conversationType]), world.clock.now());
}

/** What the job does with a host of its own; false where it died on the way. */
async function attempted(world: StreamWorld, intercept: Intercept): Promise<boolean> {
  try {
    await world.host(intercept).jobs.tryOut('archive', {});
    return true;
  } catch (error) {
    if (!(error instanceof Died)) throw error;
    return false;
  }
}

const states = (world: StreamWorld) => world.packs(TABLE).map(({ state, tier }) => [state, tier]);
/** What lies there of messages: append blobs, packs, and rows of packs. */
const lying = (world: StreamWorld) => [
  world.appends().length,
  world.streamPacks().length,
  world.packs(TABLE).length,
];

describe('packing messages', () => {
  it('leaves every one readable after each of its calls', async () => {
    const { world, ids, before } = await hot();
    let moments = 0;
    await attempted(world, async (call, run) => {
      const done = await run();
      if (isChange(call)) {
        moments += 1;
        expect(await world.heard(ids)).toBe(before);
      }
      return done;
    });
    expect(moments).toBeGreaterThan(8);
    expect(lying(world)).toEqual([0, 1, 1]);
  }, 60_000);

  it.each(TROUBLES)('may have every other call fail: $first $happens', async ({ first, happens }) => {
    const { world, ids, before } = await hot();
    await attempted(world, everyOtherFails(first, happens));
    expect([states(world), lying(world)]).toEqual([[['stored', 'cool']], [0, 1, 1]]);
    expect(await world.heard(ids)).toBe(before);
    await look(world);
  });

  it('may be left after any of its changes', async () => {
    let changes = 0;
    for (let last = false; !last;) {
      changes += 2;
      const { world, ids, before } = await hot();
      last = await attempted(world, diesAfter(changes));
      expect(await world.heard(ids), String(changes)).toBe(before);
      await finished(world);
      expect(await world.heard(ids), String(changes)).toBe(before);
      // One that moved before the other waits for company, in a pack or alone; nothing else is left.
      expect(states(world), String(changes)).not.toContainEqual(['writing', 'cool']);
      const [appends = 0, packs, rows] = lying(world);
      expect(packs, String(changes)).toBe(rows);
      expect(appends + world.packs(TABLE).flatMap(({ members }) => members).length).toBe(TALKS);
    }
    expect(changes).toBeGreaterThan(8);
  }, 120_000);
});

describe('moving messages into the archive', () => {
  /** They are heard, or said to be in the archive, and what is asked for comes back as it was. */
  const seenOrArchived = async ({ world, ids, before }: Prepared) => {
    for (const id of ids) expect(['heard', 'record-archived']).toContain(await world.asks(id));
    for (const id of ids)
      if ((await world.asks(id)) !== 'heard')
        await world.host().rehydrator.request(conversationType, id, 'high', caller());
    expect(await world.heard(ids)).toBe(before);
  };

  it.each(TROUBLES)('may have every other call fail: $first $happens', async ({ first, happens }) => {
    const prepared = await cool();
    await attempted(prepared.world, everyOtherFails(first, happens));
    expect(states(prepared.world)).toEqual([['stored', 'archive']]);
    await seenOrArchived(prepared);
    await look(prepared.world);
  });

  it('may be left after any of its changes', async () => {
    let changes = 0;
    for (let last = false; !last;) {
      changes += 1;
      const prepared = await cool();
      const { world } = prepared;
      last = await attempted(world, diesAfter(changes));
      await seenOrArchived(prepared);
      await finished(world);
      expect([states(world), world.streamPacks().map(({ tier }) => tier)]).toEqual([[['stored', 'archive']], ['archive']]); // prettier-ignore
      await seenOrArchived(prepared);
    }
    expect(changes).toBeGreaterThan(4);
  }, 120_000);
});
