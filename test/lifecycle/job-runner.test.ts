import { beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../../src/domain/errors.js';
import type { Job, Step, StepContext } from '../../src/lifecycle/job.js';
import { JobRunner } from '../../src/lifecycle/job-runner.js';
import { JOBS_TABLE } from '../../src/lifecycle/jobs-table.js';
import type { StoragePorts } from '../../src/storage/ports.js';
import { createLog } from '../../src/telemetry/log.js';
import { countingPorts } from '../support/counting-ports.js';
import { seededEntropy } from '../support/entropy.js';
import { wrapPorts } from '../support/wrap-ports.js';
import { DAY, diesAt, HOUR, World } from './support.js';

let world: World;
/** What the job was asked to do, and what it does next time. */
let asked: string[];
let behave: (cursor: string, context: StepContext) => Promise<Step>;

const job: Job = {
  name: 'count',
  everyMs: DAY,
  step: async (cursor, context) => {
    asked.push(cursor);
    return behave(cursor, context);
  },
};

const runner = (ports: StoragePorts = world.ports, jobs: readonly Job[] = [job]): JobRunner =>
  new JobRunner({ tables: ports.tables, clock: world.clock, entropy: seededEntropy('jobs'), log: createLog('silent') }, jobs); // prettier-ignore

const row = () => world.rows('count', JOBS_TABLE)[0];

/** Steps of 25 s each: a run has time for three of them. */
const slow =
  (steps: number) =>
  async (cursor: string): Promise<Step> => {
    world.clock.pass(25_000);
    const next = Number(cursor) + 1;
    return { counts: { steps: 1 }, next: next < steps ? String(next) : undefined };
  };

beforeEach(() => {
  world = new World();
  asked = [];
  behave = slow(1);
});

describe('a job', () => {
  it('goes on where its last run ended until its round is done, then rests for its time', async () => {
    behave = slow(5);
    expect(await runner().run('count')).toEqual({ outcome: 'paused', counts: { steps: 3 } });
    expect(await runner().run('count')).toEqual({ outcome: 'done', counts: { steps: 5 } });
    expect(asked).toEqual(['', '1', '2', '3', '4']);
    expect(row()?.properties).toMatchObject({ running: false, cursor: '', counts: '{"steps":5}', error: '' });
    expect(await runner().run('count')).toEqual({ outcome: 'resting', counts: {} });
    world.clock.pass(DAY);
    behave = slow(1);
    expect(await runner().run('count')).toEqual({ outcome: 'done', counts: { steps: 1 } });
  });

  it('has one owner: another host leaves it alone, and takes over when the owner is gone', async () => {
    behave = async () => {
      const other = await runner().run('count');
      expect(other.outcome).toBe('busy');
      return { counts: {}, next: undefined };
    };
    expect((await runner().run('count')).outcome).toBe('done');
    world.clock.pass(DAY);
    behave = slow(5);
    const dying = runner(
      wrapPorts(
        world.ports,
        diesAt(() => asked.length >= 4),
      ),
    );
    await expect(dying.run('count')).rejects.toThrow();
    expect((await runner().run('count')).outcome).toBe('busy');
    world.clock.pass(120_000);
    expect((await runner().run('count')).outcome).toBe('done');
    // The step whose end was never saved is done again.
    expect(asked.slice(1, 5)).toEqual(['', '1', '2', '2']);
  });

  it('that two hosts claim at once is done by one of them', async () => {
    behave = slow(1);
    const outcomes = await Promise.all([runner(), runner(), runner()].map((each) => each.run('count')));
    expect(outcomes.map(({ outcome }) => outcome).sort()).toEqual(['busy', 'busy', 'done']);
    expect(asked).toEqual(['']);
  });

  it('that lost its row to another host stops, and what the other saved stands', async () => {
    behave = async (cursor) => {
      world.clock.pass(130_000);
      if (asked.length === 1) expect((await runner().run('count')).outcome).toBe('paused');
      return { counts: { steps: 1 }, next: `${cursor}x` };
    };
    expect((await runner().run('count')).outcome).toBe('lost');
    expect(row()?.properties).toMatchObject({ cursor: 'x', counts: '{"steps":1}' });
  });

  it('that fails says so in its row, gives it back, and goes on from the last step that was done', async () => {
    behave = async (cursor) => {
      if (cursor === '1') throw new AppError('storage-unavailable', 'no answer');
      return { counts: { steps: 1 }, next: '1' };
    };
    await expect(runner().run('count')).rejects.toMatchObject({ code: 'storage-unavailable' });
    expect(row()?.properties).toMatchObject({ running: true, cursor: '1', error: 'storage-unavailable', claimed_until_ms: 0 }); // prettier-ignore
    behave = slow(1);
    expect(await runner().run('count')).toEqual({ outcome: 'done', counts: { steps: 2 } });
    expect(row()?.properties).toMatchObject({ error: '' });
  });

  it('tells ages by the service’s clock, not by that of the host', async () => {
    let told = 0;
    behave = async (_, { nowMs }) => {
      told = nowMs;
      return { counts: {}, next: undefined };
    };
    const ahead = { now: () => world.clock.now() + 5 * DAY, monotonic: world.clock.monotonic, sleep: world.clock.sleep }; // prettier-ignore
    const { tables } = world.ports;
    await new JobRunner({ tables, clock: ahead, entropy: seededEntropy(0), log: createLog('silent') }, [job]).run('count'); // prettier-ignore
    expect(told).toBe(world.clock.now());
    // Nor is it held up for days by what that host wrote.
    expect((await runner().run('count')).outcome).toBe('done');
  });

  it('whose claim is from a clock gone wrong is not held up by it', async () => {
    behave = slow(5);
    world.clock.suspend(365 * DAY);
    await expect(
      runner(
        wrapPorts(
          world.ports,
          diesAt(() => asked.length > 0),
        ),
      ).run('count'),
    ).rejects.toThrow();
    world.clock.suspend(-365 * DAY);
    expect((await runner().run('count')).outcome).toBe('paused');
  });

  it('whose row is damaged begins a round', async () => {
    await runner().run('count');
    const partition = row()?.partitionKey ?? '';
    await world.ports.tables.commit(JOBS_TABLE, partition, [{ kind: 'merge', rowKey: 'count', properties: { cursor: '7' }, etag: '*' }]); // prettier-ignore
    expect(await runner().run('count')).toMatchObject({ outcome: 'done' });
    expect(asked).toEqual(['', '']);
  });

  it('costs two reads when there is nothing to do, and five calls besides its own for a run', async () => {
    const counting = countingPorts(world.ports);
    behave = async () => ({ counts: {}, next: undefined });
    await runner(counting.ports).run('count');
    expect(counting.counts()).toEqual({ 'tables.find': 2, 'tables.range': 1, 'tables.commit': 2 });
    counting.reset();
    world.clock.pass(HOUR);
    await runner(counting.ports).run('count');
    expect(counting.counts()).toEqual({ 'tables.find': 1, 'tables.range': 1 });
  });

  it('may work only when it says so, asked before every step, and costs nothing else', async () => {
    const counting = countingPorts(world.ports);
    let open = false;
    const closing: Job = { ...job, mayWork: () => open };
    expect(await runner(counting.ports, [closing]).run('count')).toEqual({ outcome: 'resting', counts: {} });
    expect([asked, counting.calls]).toEqual([[], []]);
    open = true;
    behave = async () => {
      open = asked.length < 2;
      return { counts: { steps: 1 }, next: 'x' };
    };
    expect(await runner(world.ports, [closing]).run('count')).toEqual({
      outcome: 'paused',
      counts: { steps: 2 },
    });
    behave = async (cursor, context) => {
      expect([cursor, context.asked]).toEqual(['x', {}]);
      return { counts: { steps: 1 }, next: undefined };
    };
    expect(await runner(world.ports, [closing]).start('count')).toEqual({
      outcome: 'done',
      counts: { steps: 3 },
    });
  });

  it('started by hand has 15 s, whether or not its round is due, and gives way to whoever is at work', async () => {
    await runner().run('count');
    behave = async () => {
      world.clock.pass(8_000);
      expect((await runner().start('count')).outcome).toBe('busy');
      return { counts: { steps: 1 }, next: 'x' };
    };
    expect(await runner().start('count')).toEqual({ outcome: 'paused', counts: { steps: 2 } });
    expect(row()?.properties).toMatchObject({ running: true, cursor: 'x', claimed_until_ms: 0 });
  });

  it('that is tried out is remembered nowhere, has 15 s, and is told the service’s time and what was asked', async () => {
    const told: unknown[] = [];
    const ahead = { now: () => world.clock.now() + 5 * DAY, monotonic: world.clock.monotonic, sleep: world.clock.sleep }; // prettier-ignore
    const { tables } = world.ports;
    const taking: Job = { ...job, takes: ['dry_run'] };
    const one = new JobRunner({ tables, clock: ahead, entropy: seededEntropy(0), log: createLog('silent') }, [taking]); // prettier-ignore
    const began = world.clock.now();
    behave = async (_, { nowMs, asked }) => {
      told.push([nowMs, asked]);
      world.clock.pass(8_000);
      return { counts: { steps: 1 }, next: 'x' };
    };
    expect(await one.tryOut('count', { dryRun: true })).toEqual({ outcome: 'paused', counts: { steps: 2 } });
    expect(told).toEqual([1, 2].map(() => [began, { dryRun: true }]));
    expect(row()).toBeUndefined();
    await expect(one.tryOut('count', { sample: 1 })).rejects.toMatchObject({ code: 'request-malformed' });
  });

  it('is listed with where it is, for one range read', async () => {
    const counting = countingPorts(world.ports);
    const list = async () => (await runner(counting.ports).list()).items;
    const none = {
      name: 'count',
      suspended: false,
      began_at: null,
      ended_at: null,
      counts: {},
      error: null,
      takes: [],
    };
    expect(await list()).toEqual([{ ...none, state: 'never' }]);
    const began_at = new Date(world.clock.now()).toISOString();
    behave = async (cursor) => {
      expect(await list()).toMatchObject([{ state: 'running', began_at, ended_at: null }]);
      if (cursor === '1') throw new AppError('storage-unavailable', 'no answer');
      return { counts: { stepsDone: 1 }, next: '1' };
    };
    await expect(runner().run('count')).rejects.toThrow();
    expect(await list()).toEqual([{ ...none, state: 'paused', began_at, counts: { steps_done: 1 }, error: 'storage-unavailable' }]); // prettier-ignore
    behave = slow(1);
    await runner().run('count');
    const ended_at = new Date(world.clock.now()).toISOString();
    counting.reset();
    expect(await list()).toEqual([{ ...none, state: 'resting', began_at, ended_at, counts: { steps_done: 1, steps: 1 } }]); // prettier-ignore
    expect(counting.counts()).toEqual({ 'tables.range': 1 });
  });

  it.each([
    ['it', 'count'],
    ['everything', undefined],
  ])('stands still when %s is suspended, and goes on where it was', async (_, name) => {
    // prettier-ignore
    behave = async (cursor) => {
      world.clock.pass(1_000);
      // Somebody switches it off while it is at work, on another host.
      if (cursor === '1') await runner().suspend(name);
      const next = String(Number(cursor) + 1);
      return { counts: { steps: 1 }, next };
    };
    const report = await runner().run('count');
    expect(report).toEqual({ outcome: 'suspended', counts: { steps: asked.length } });
    // Within two seconds and the step it was at.
    expect(asked.length).toBeLessThanOrEqual(4);
    expect(row()?.properties).toMatchObject({ running: true, claimed_until_ms: 0 });
    const before = asked.length;
    await runner().suspend(name);
    for (const how of ['run', 'start'] as const)
      expect(await runner()[how]('count')).toEqual({ outcome: 'suspended', counts: {} });
    const taking: Job = { ...job, takes: ['dry_run', 'sample'] };
    const trying = runner(world.ports, [taking]);
    expect((await trying.tryOut('count', { sample: 1 })).outcome).toBe('suspended');
    expect(asked).toHaveLength(before);
    expect(await runner().list()).toMatchObject({
      suspended: name === undefined,
      items: [{ name: 'count', suspended: true, state: 'paused' }],
    });
    // The other switch is another one.
    await runner().resume(name === undefined ? 'count' : undefined);
    expect((await runner().run('count')).outcome).toBe('suspended');
    for (let times = 0; times < 2; times += 1) await runner().resume(name);
    behave = slow(1);
    expect((await runner().run('count')).outcome).toBe('done');
    expect(asked[before]).toBe(String(before));
  });

  it('that is suspended may be tried dry, and stays suspended when its switch is damaged', async () => {
    const trying = runner(world.ports, [{ ...job, takes: ['dry_run'] }]);
    await trying.suspend('count');
    const { partitionKey: partition } = world.rows('_off:count', JOBS_TABLE)[0] ?? { partitionKey: '' };
    await world.ports.tables.commit(JOBS_TABLE, partition, [{ kind: 'merge', rowKey: '_off:count', properties: { suspended_at: 'x' }, etag: '*' }]); // prettier-ignore
    expect((await trying.run('count')).outcome).toBe('suspended');
    expect((await trying.tryOut('count', { dryRun: true })).outcome).toBe('done');
  });

  it('that nobody knows is a mistake of the caller', async () => {
    await expect(runner().run('nothing')).rejects.toThrow(TypeError);
    expect([runner().knows('nothing'), runner().knows('count')]).toEqual([false, true]);
  });
});
