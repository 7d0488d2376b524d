import { describe, expect, it } from 'vitest';
import { decisionType } from '../../src/records/decision.js';
import { StorageFault } from '../../src/storage/ports.js';
import { caller } from '../support/platform.js';
import type { Intercept } from '../support/wrap-ports.js';
import { BODY, DAY, Died, diesAt, isCommit, VOTE, World } from './support.js';

const call = caller();

/** A storage with an orphan of every kind beside blobs that are in use. */
async function littered(): Promise<World> {
  const world = new World();
  const { manager } = world.host();
  const { id } = (await manager.create(decisionType, BODY, call)).envelope;
  await manager.createBatch(decisionType, [BODY, BODY], call);
  const dead = (work: (dying: typeof manager) => Promise<unknown>): Promise<void> =>
    expect(work(world.host(diesAt(isCommit)).manager)).rejects.toThrow();
  await dead((dying) => dying.create(decisionType, BODY, call));
  await dead((dying) => dying.act(decisionType, id, 'votes', VOTE, undefined, call));
  await dead((dying) => dying.createBatch(decisionType, [BODY, BODY], call));
  world.clock.pass(2 * DAY);
  return world;
}

const lost = (): never => {
  throw new StorageFault('unavailable', 'no answer');
};

/** What may become of a call: it kills the process before or after it happened, or fails with or without effect. */
const FATES: Readonly<Record<string, (run: () => Promise<unknown>) => Promise<unknown>>> = {
  'the process dies before it': () => Promise.reject(new Died()),
  'the process dies after it': async (run) => {
    await run();
    throw new Died();
  },
  'it never happens': async () => lost(),
  'it happens and reports failure': async (run) => {
    await run();
    return lost();
  },
};

const prepared = littered();

describe.each(Object.keys(FATES))('the collector, when at any one of its calls %s', (fate) => {
  it('has harmed nothing, and the next run leaves nothing over', async () => {
    for (let at = 1; ; at += 1) {
      const world = await (await prepared).copy();
      let calls = 0;
      let died = false;
      const failing: Intercept = async (_, run) => {
        if (died) throw new Died();
        calls += 1;
        if (calls !== at) return run();
        died = fate.includes('dies');
        return FATES[fate]?.(run);
      };
      const done = await world.collect(failing).then(
        () => true,
        () => false,
      );
      if (fate.includes('dies')) expect(done).toBe(calls < at);
      else expect(done, 'a lost answer is asked for again').toBe(true);
      world.assertSound(done);
      await world.assertReadable();
      await world.collect();
      world.assertSound(true);
      await world.assertReadable();
      if (calls < at) {
        expect(at).toBeGreaterThan(20);
        return;
      }
    }
  });
});

describe('the collector, when storage does not answer for long', () => {
  it('breaks off with storage-unavailable, and goes on another time', async () => {
    const world = await littered();
    let calls = 0;
    const dying: Intercept = (_, run) => {
      calls += 1;
      return calls > 6 ? Promise.reject(new StorageFault('unavailable', 'no answer')) : run();
    };
    await expect(world.collect(dying)).rejects.toMatchObject({ code: 'storage-unavailable' });
    world.assertSound();
    await world.collect();
    world.assertSound(true);
  });

  it('keeps a blob that it may not delete, and collects the others', async () => {
    const world = await littered();
    const refusing: Intercept = (one, run) =>
      one.method === 'delete' && String(one.args[1]).includes('_packs')
        ? Promise.reject(new StorageFault('refused', 'leased'))
        : run();
    expect(await world.collect(refusing)).toEqual({ listed: 5, named: 2, collected: 2, unclear: 1 });
    world.assertSound();
    expect(await world.collect()).toEqual({ listed: 3, named: 2, collected: 1 });
  });

  it('takes an archived pack for one that is in use', async () => {
    const world = await littered();
    for (const name of world.blobs().filter((one) => one.includes('_packs')))
      await world.ports.blobs.setTier('records', name, 'archive');
    expect(await world.collect()).toEqual({ listed: 5, named: 3, collected: 2 });
  });
});
