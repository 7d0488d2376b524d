import { expect, it } from 'vitest';
import { storageNames } from '../../src/platform.js';
import { decisionType } from '../../src/records/decision.js';
import { memoryStorage } from '../support/memory-ports.js';
import { caller, testPlatform } from '../support/platform.js';
import { wrapPorts, type Intercept } from '../support/wrap-ports.js';
import { QuickClock } from '../lifecycle/support.js';
import { fsckOf, PassingClock } from './fsck-world.js';

const call = caller();
const HOUR = 3_600_000;

/** What fsck finds after an erasure whose process drops deletions from a table, and after the name has come back. */
async function afterErasure(table: string, comesBack: boolean): Promise<readonly string[]> {
  const clock = new QuickClock();
  const storage = memoryStorage({ clock, names: storageNames() });
  const drops: Intercept = ({ method, args }, run) =>
    method === 'commit' && args[0] === table && JSON.stringify(args[2]).includes('"delete"')
      ? Promise.resolve([])
      : run();
  const platform = testPlatform(wrapPorts(storage.ports, drops), { clock });
  const about = { decision_type: 'strategic', title: 'About', metadata: { subject_id: 'p-4711' } };
  await platform.manager.create(decisionType, about, caller({ actor: 'p-4711' }));
  await platform.sealer.sealTenant(call.tenant);
  await platform.jobs.start('index-subjects');
  await platform.erasures.request({ subject: 'p-4711', reason: 'A request.' }, undefined, call);
  clock.pass(HOUR);
  await platform.jobs.start('erase');
  clock.pass(HOUR);
  const after = testPlatform(storage.ports, { clock });
  if (comesBack) await after.manager.create(decisionType, about, caller({ actor: 'p-4711' }));
  await after.sealer.sealTenant(call.tenant);
  const { told } = await fsckOf(storage.ports, { clock: new PassingClock(clock.now() + HOUR), open: true });
  return told.map(({ code, where }) => `${code} ${where.split(' ')[0] ?? ''}`);
}

it.each([false, true])(
  'nothing is left of who was erased, also where the name came back: %s',
  async (comesBack) => {
    expect(await afterErasure('none', comesBack)).toEqual([]);
  },
);

it.each(['subjects', 'actors'])('what %s leads to of who is said to be erased is found', async (table) => {
  expect(await afterErasure(table, false)).toContain(`erasure.left ${table}`);
});
