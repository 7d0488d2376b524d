import { describe, expect, it } from 'vitest';
import { isAppError } from '../../src/domain/errors.js';
import type { RecordType } from '../../src/domain/record-type.js';
import { agentStateType } from '../../src/records/agent-state.js';
import { conversationType } from '../../src/records/conversation.js';
import { decisionType } from '../../src/records/decision.js';
import { metricType } from '../../src/records/metric.js';
import { numberSetting } from '../support/at-length.js';
import { runRound } from '../support/courier.js';
import { caller } from '../support/platform.js';
import { bodyOf } from '../support/subjects.js';
import { wrapPorts, type Intercept } from '../support/wrap-ports.js';
import { DAY, Died, endRound, FATES, World } from './support.js';

const call = caller();
/** Every so many calls has its turn, others for each fate; at length, with `AT_LENGTH_DISPOSAL_CALLS=1`, each. */
const EVERY = numberSetting('disposal_calls', 15);

interface Made {
  readonly world: World;
  readonly ids: readonly (readonly [RecordType, string])[];
}

/** One record, grown, whose years are over. */
const MAKE: Readonly<Record<string, () => Promise<Made>>> = {
  'a decision': () => made(decisionType),
  'a conversation': () =>
    made(conversationType, async (world, id) => {
      const { manager, jobs } = world.host();
      await manager.addPart(conversationType, id, 'messages', { sender: 'cfo', content: 'Moved' }, undefined, call);
      await jobs.start('move-parts');
      await manager.addPart(conversationType, id, 'messages', { sender: 'cfo', content: 'Not' }, undefined, call);
    }),
  'a metric': () =>
    made(metricType, async (world, id) => {
      const { manager, jobs } = world.host();
      await jobs.start('roll-up-series');
      await manager.addPart(metricType, id, 'values', { values: [{ value: 1, timestamp: '2026-09-01T00:00:00Z' }] }, undefined, call);
    }),
  'the history of an agent': () =>
    made(agentStateType, async (world, id) => {
      const { manager } = world.host();
      const { etag } = await manager.get(agentStateType, id, call);
      const next = await manager.patch(agentStateType, id, { current_load: 0 }, etag, call);
      await manager.patch(agentStateType, id, { current_load: 1 }, next.etag, call);
    }),
}; // prettier-ignore

async function made(
  type: RecordType,
  grow: (world: World, id: string) => Promise<void> = () => Promise.resolve(),
): Promise<Made> {
  const world = new World();
  const { envelope } = await world.host().manager.create(type, bodyOf(type), call);
  await grow(world, envelope.id);
  world.clock.pass(8 * 366 * DAY);
  return { world, ids: [[type, envelope.id]] };
}

/** Whole, or gone: in every way of reading it. Resolves to whether it is there. */
async function whole({ world, ids: [[type, id] = [decisionType, '']] }: Made): Promise<boolean> {
  const { manager } = world.host();
  const said = (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'shown',
      (error: unknown) => (isAppError(error) ? error.code : String(error)),
    );
  const reads = await Promise.all([
    said(manager.get(type, id, call)),
    ...(type === agentStateType ? [] : [said(manager.getRevision(type, id, 1, call))]),
    said(manager.listRevisions(type, id, { limit: 10 }, call)),
    ...(type.parts === undefined || type.parts.series !== undefined
      ? []
      : [said(manager.listParts(type, id, type.parts.path, { limit: 10 }, call))]),
  ]);
  expect(new Set(reads).size, reads.join()).toBe(1);
  expect(['shown', 'record-erased']).toContain(reads[0]);
  const { items } = await manager.list(type, { filters: {}, limit: 10 }, call);
  expect(items).toHaveLength(reads[0] === 'shown' ? 1 : 0);
  return reads[0] === 'shown';
}

function assertNothingLeft({ world, ids: [[type, id] = [decisionType, '']] }: Made): void {
  const { rows, blobs } = world.storage.contents();
  const own = rows
    .filter(({ row }) => row.rowKey.includes(id) || row.partitionKey.includes(id))
    .map(({ table, row }) => `${table} ${row.rowKey}`);
  const { parts } = type;
  const allowed = [`${type.table} r:${id}`, `lookups r:${id}`, `${parts?.table ?? ''} h:${id}`];
  expect(own.filter((name) => !allowed.includes(name))).toEqual([]);
  expect(blobs.filter(({ container }) => container === 'records')).toEqual([]);
}

describe.each(Object.keys(MAKE))('disposing of %s', (what) => {
  it.each(Object.keys(FATES))('at any call of which the host %s leaves it whole or gone, and is finished later', async (fate) => {
    for (let at = 1 + Object.keys(FATES).indexOf(fate); ; at += EVERY) {
      const one = await (MAKE[what] as () => Promise<Made>)();
      const { world } = one;
      let calls = 0;
      let died = false;
      const failing: Intercept = async (_, run) => {
        if (died) throw new Died();
        calls += 1;
        if (calls !== at) return run();
        died = fate.includes('dies');
        return FATES[fate]?.(run);
      };
      await runRound(world.host(failing), wrapPorts(world.ports, failing), 'dispose').catch(() => undefined);
      await whole(one);
      await endRound(world, 'dispose');
      const stays = what.startsWith('the history');
      expect(await whole(one)).toBe(stays);
      world.clock.pass(2 * DAY);
      await endRound(world, 'dispose');
      if (stays) {
        await world.collect();
        expect(world.rows('v:', 'agents')).toHaveLength(1);
        expect(world.rows('t:', 'agents')).toEqual([]);
      } else assertNothingLeft(one);
      const events = world.storage.contents().rows.filter(({ row }) => row.rowKey.startsWith('o:'));
      const told = events.map(({ row }) => String(row.properties['event']));
      expect(told.filter((event) => event.includes('record.disposed'))).toHaveLength(1);
      expect(told.filter((event) => event.includes('"certificate":"disposal"'))).toHaveLength(1);
      if (calls < at) {
        expect(at).toBeGreaterThan(10);
        return;
      }
    }
  }, 60_000); // prettier-ignore
});
