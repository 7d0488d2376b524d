import { describe, expect, it } from 'vitest';
import { decisionType } from '../../src/records/decision.js';
import type { CallContext } from '../../src/storage/manager-types.js';
import { caller } from '../support/platform.js';
import type { Intercept } from '../support/wrap-ports.js';
import { BODY, DAY, isCommit, Sleeper, VOTE, World } from './support.js';

/**
 * A writer asleep for days between its blob and its commit, woken before every call of the collector in turn, and after the
 * last. Whatever the moment: its commit fails or its blob stays, it ends in one record, no row names a
 * missing blob, and one round later nothing is left over.
 */
type Manager = ReturnType<World['host']>['manager'];

interface Case {
  readonly name: string;
  /** What has to be there first. */
  readonly before?: (manager: Manager) => Promise<string>;
  readonly write: (manager: Manager, context: CallContext, id: string) => Promise<unknown>;
  /** Revision rows when all is done. */
  readonly revisions: number;
}

const makeOne = async (manager: Manager): Promise<string> =>
  (await manager.create(decisionType, BODY, caller())).envelope.id;
const MONTHS = ['2024-01-01T00:00:00Z', '2024-02-01T00:00:00Z', '2024-02-02T00:00:00Z'];
const ITEMS = MONTHS.map((created_at) => ({ ...BODY, created_at }));

const CASES: readonly Case[] = [
  {
    name: 'a create',
    write: (manager, context) => manager.create(decisionType, BODY, context),
    revisions: 1,
  },
  {
    name: 'a vote',
    before: makeOne,
    write: (manager, context, id) => manager.act(decisionType, id, 'votes', VOTE, undefined, context),
    revisions: 2,
  },
  {
    name: 'a patch',
    before: makeOne,
    write: async (manager, context, id) => {
      const { etag } = await manager.get(decisionType, id, caller());
      return manager.patch(decisionType, id, { title: 'Two' }, etag, context);
    },
    revisions: 2,
  },
  {
    name: 'a batch',
    write: (manager, context) => manager.createBatch(decisionType, ITEMS, context),
    revisions: 3,
  },
  {
    name: 'a promised create',
    write: (manager) =>
      manager.createPromised(
        decisionType,
        BODY,
        { id: 'dec_01a1fd1e-8c00-7305-a447-c0582d012310', createdMs: Date.UTC(2026, 10, 21, 8) },
        caller(),
      ),
    revisions: 1,
  },
];

const keyed = caller({ idempotency: { key: 'k', scope: 's', fingerprint: 'f' } });

/** Wakes the writer before the collector's `at`th call; resolves to false when the collector made fewer. */
async function interleaved(one: Case, context: CallContext, at: number, wait: 'suspended' | 'running') {
  const world = new World();
  const id = (await one.before?.(world.host().manager)) ?? '';
  const sleeper = new Sleeper(isCommit);
  const { manager } = world.host(sleeper.intercept);
  const written = one.write(manager, context, id);
  written.catch(() => undefined);
  await sleeper.asleep;
  if (wait === 'suspended') world.clock.suspend(3 * DAY);
  else world.clock.pass(3 * DAY);
  let calls = 0;
  const waking: Intercept = async (_, run) => {
    if ((calls += 1) === at) await woken();
    return run();
  };
  const woken = async (): Promise<void> => {
    sleeper.wake();
    await written.catch(() => undefined);
  };
  await world.collect(waking);
  const met = at <= calls;
  if (!met) await woken();
  world.assertSound();
  // Nobody waited for a writer that was running all the while: its caller asks again, under the same key.
  const failed = await written.then(
    () => false,
    () => true,
  );
  if (failed) await one.write(world.host().manager, context, id);
  world.assertSound();
  await world.assertReadable();
  expect(world.rows('v:')).toHaveLength(one.revisions);
  expect(world.rows('o:')).toHaveLength(one.revisions);
  world.clock.pass(3 * DAY);
  await world.collect();
  world.assertSound(true);
  await world.assertReadable();
  return { met, failed };
}

describe.each(CASES)('$name asleep for days between blob and commit', (one) => {
  it.each(['with', 'without'])(
    'whose machine was suspended tries again with a new blob and succeeds, %s a key',
    async (how) => {
      const context = how === 'with' ? keyed : caller();
      for (let at = 1; ; at += 1) {
        const { met, failed } = await interleaved(one, context, at, 'suspended');
        expect(failed, `woken at ${at}`).toBe(false);
        if (!met) return expect(at).toBeGreaterThan(5);
      }
    },
  );

  it('whose budget is spent succeeds when its caller asks again under the same key', async () => {
    let failures = 0;
    for (let at = 1; ; at += 1) {
      const { met, failed } = await interleaved(one, keyed, at, 'running');
      failures += Number(failed);
      if (!met) {
        expect(failures).toBeGreaterThan(0);
        return;
      }
    }
  });
});
