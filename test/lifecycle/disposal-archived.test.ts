import { expect, it } from 'vitest';
import { decisionType } from '../../src/records/decision.js';
import { caller } from '../support/platform.js';
import type { Intercept } from '../support/wrap-ports.js';
import { ArchiveWorld, HUGE } from './archive-world.js';
import { DAY, Died } from './support.js';

const call = caller();
const BODY = { decision_type: 'strategic', title: 'Small' };

it('keeps what lies in the archive while somebody is on hold, and disposes of the rest', async () => {
  const world = new ArchiveWorld();
  const ids = await world.decisions(2, { context: HUGE });
  world.clock.pass(91 * DAY);
  await world.archive();
  await world.archive();
  expect(world.packs().map(({ tier }) => tier)).toEqual(['archive']);
  const { envelope } = await world.host().manager.create(decisionType, BODY, call);
  await world.host().holds.place({ scope: { subject: 'p-4711' }, reason: 'A case.' }, call);
  world.clock.pass(8 * 366 * DAY);
  expect(await world.archive(world.host(), 'dispose')).toMatchObject({ disposed: 1 });
  const { manager } = world.host();
  await expect(manager.get(decisionType, envelope.id, call)).rejects.toMatchObject({ code: 'record-erased' });
  for (const id of ids)
    await expect(manager.get(decisionType, id, call)).rejects.toMatchObject({ code: 'record-archived' });
});

it('is no damage to the index of subjects, also while it is not cleared', async () => {
  const world = new ArchiveWorld();
  const { manager } = world.host();
  await manager.create(decisionType, { ...BODY, metadata: { subject_id: 'p-4711' } }, call);
  world.clock.pass(8 * 366 * DAY);
  let isGone = false;
  const dies: Intercept = async ({ method, args }, run) => {
    if (isGone) throw new Died();
    const done = await run();
    isGone = method === 'commit' && JSON.stringify(args[2]).includes('"tombstone":true');
    return done;
  };
  await world
    .host(dies)
    .jobs.run('dispose')
    .catch(() => undefined);
  expect(world.rows('v:')).toHaveLength(1);
  const { counts } = await world.host().jobs.start('index-subjects');
  expect(counts).toMatchObject({ lookedAt: 1, damaged: 0, tenants: 1 });
});
