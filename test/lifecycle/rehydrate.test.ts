import { beforeEach, describe, expect, it } from 'vitest';
import { decisionType } from '../../src/records/decision.js';
import { StorageFault } from '../../src/storage/ports.js';
import { fsckOf, PassingClock } from '../audit/fsck-world.js';
import { caller } from '../support/platform.js';
import { ArchiveWorld, HUGE } from './archive-world.js';
import { DAY, Died, HOUR } from './support.js';

let world: ArchiveWorld;
let ids: readonly string[];
let id: string;

async function archivedWorld(): Promise<void> {
  world = new ArchiveWorld();
  ids = await world.decisions(2, { context: HUGE });
  [id = ''] = ids;
  world.clock.pass(91 * DAY);
  await world.archive();
  await world.archive();
  expect(world.blobs().map(({ tier }) => tier)).toEqual(['archive']);
}

beforeEach(archivedWorld);

const ask = (priority: 'standard' | 'high' = 'standard', host = world.host()) =>
  host.rehydrator.request(decisionType, id, priority, caller());
const poll = (operation: string) => world.host().inbox.getOperation(operation, caller());
const read = async (): Promise<string> => {
  try {
    return (await world.host().manager.get(decisionType, id, caller())).envelope.tier;
  } catch (error) {
    return (error as { code: string }).code;
  }
};
const copies = () => world.blobs().filter(({ name }) => name.includes('/_rehydrated/'));
const work = () =>
  world.storage.contents().rows.filter(({ row }) => row.partitionKey === '_system:rehydrations');
const events = () => world.rows('o:').filter(({ properties }) => String(properties['event']).includes('record.rehydrated')); // prettier-ignore

describe('a record that is asked for', () => {
  it('is pending while storage copies it, for everybody who asks, and can be read when it has', async () => {
    world.copiesWait = true;
    const first = await ask('high');
    expect(first.status).toBe('pending');
    expect((await ask()).id).toBe(first.id);
    expect(await poll(first.id)).toEqual({ operation_id: first.id, status: 'pending', record_id: null, problem: null }); // prettier-ignore
    expect(await read()).toBe('record-archived');
    expect(copies()).toHaveLength(1);
    world.storage.endCopies();
    expect(await poll(first.id)).toEqual({ operation_id: first.id, status: 'succeeded', record_id: id, problem: null }); // prettier-ignore
    expect(await read()).toBe('archive');
    expect((await ask()).id).toBe(first.id);
    expect(events()).toHaveLength(1);
  });

  it('is there without anybody asking again, for seven days, and then in the archive alone', async () => {
    world.copiesWait = true;
    const { id: operation } = await ask();
    expect(await world.archive(world.host(), 'rehydrate')).toEqual({ waiting: 1 });
    world.storage.endCopies();
    expect(await world.archive(world.host(), 'rehydrate')).toEqual({ completed: 1 });
    expect([await read(), (await poll(operation)).status]).toEqual(['archive', 'succeeded']);
    world.clock.pass(6 * DAY);
    expect(await world.archive(world.host(), 'rehydrate')).toEqual({ kept: 1 });
    world.clock.pass(DAY + HOUR);
    expect(await world.archive(world.host(), 'rehydrate')).toEqual({ dropped: 1 });
    expect([await read(), copies(), work(), world.rows('y:')]).toEqual(['record-archived', [], [], []]);
    // And again.
    world.copiesWait = false;
    const again = await ask();
    expect([again.status, again.id === operation, await read()]).toEqual(['succeeded', false, 'archive']);
    const { told } = await fsckOf(world.ports, { clock: new PassingClock(world.clock.now() + HOUR) });
    expect(told.map(({ code }) => code)).toEqual(['pack.archived']);
  });

  it('is said to have failed where storage gives up, and can be asked for again', async () => {
    world.copiesWait = true;
    const { id: operation } = await ask();
    world.storage.endCopies('failed');
    expect(await poll(operation)).toMatchObject({
      status: 'failed',
      problem: { code: 'storage-unavailable' },
    });
    world.copiesWait = false;
    expect([(await ask()).status, await read()]).toEqual(['succeeded', 'archive']);
    world.clock.pass(2 * HOUR);
    expect(await world.archive(world.host(), 'rehydrate')).toEqual({ dropped: 1, kept: 1 });
    expect([copies().length, await read()]).toEqual([1, 'archive']);
  });

  it('is copied once by two who ask at once', async () => {
    const both = await Promise.all([ask(), ask()]);
    expect(new Set(both.map((one) => one.id)).size).toBe(1);
    expect([events().length, world.rows('y:').length]).toEqual([1, 1]);
    world.clock.pass(2 * HOUR);
    await world.archive(world.host(), 'rehydrate');
    expect([copies().length, work().length]).toEqual([1, 1]);
  });

  it('comes back whole when more of it has gone into the archive since', async () => {
    await ask();
    const { manager } = world.host();
    const body = { agent: 'cto', vote: 'approve', confidence: 1 };
    for (let n = 0; n < 3; n += 1)
      await manager.act(
        decisionType,
        id,
        'votes',
        { ...body, agent: `late ${String(n)}` },
        undefined,
        caller(),
      );
    await world.archive();
    await world.archive();
    expect(await read()).toBe('record-archived');
    const again = await ask();
    expect([again.status, await read()]).toEqual(['succeeded', 'archive']);
    expect((await world.seen([id])).get(id)).toHaveLength(5);
  });
});

describe('bringing a record back', () => {
  const back = async () => {
    expect((await ask()).status).toBe('succeeded');
    expect([await read(), events().length]).toEqual(['archive', 1]);
    world.clock.pass(8 * DAY);
    await world.archive(world.host(), 'rehydrate');
    expect([await read(), copies(), work(), world.rows('y:')]).toEqual(['record-archived', [], [], []]);
  };

  it.each([false, true])('may have every other call fail (and happen: %s)', async (happens) => {
    let calls = 0;
    const host = world.host(async ({ args }, run) => {
      // Keys, pseudonyms and the directory retry several calls as one.
      const isWork = args[1] === '_system:rehydrations';
      if (['keys', 'actors', 'system'].includes(String(args[0])) && !isWork) return run();
      calls += 1;
      if (calls % 2 === 0) return run();
      if (happens) await run();
      throw new StorageFault('unavailable', 'it did not answer');
    });
    expect((await ask('standard', host)).status).toBe('succeeded');
    await back();
  });

  it('may be left after any of its changes', async () => {
    for (let changes = 1, last = false; !last; changes += 1) {
      await archivedWorld();
      let made = 0;
      const host = world.host(async ({ method }, run) => {
        if (made >= changes) throw new Died('the process is no more');
        if (!['find', 'range', 'blockState'].includes(method)) made += 1;
        return run();
      });
      last = await ask('standard', host).then(
        () => true,
        (error: unknown) => {
          if (error instanceof Died) return false;
          throw error;
        },
      );
      await back();
    }
  }, 60_000);
});
