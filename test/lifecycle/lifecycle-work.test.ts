import { beforeEach, describe, expect, it } from 'vitest';
import { parseWork } from '../../src/lifecycle/work-row.js';
import { LIMITS } from '../../src/domain/limits.js';
import { QUEUES } from '../../src/storage/keys.js';
import { countingPorts } from '../support/counting-ports.js';
import { takeAll } from '../support/courier.js';
import { MINUTE, QueueWorld, trouble } from './queue-world.js';
import { DAY, Died, FATES, HOUR } from './support.js';

let world: QueueWorld;
beforeEach(() => {
  world = new QueueWorld();
});

const run = async () => world.queueHost().runner.run('count');
const view = async () => (await world.queueHost().runner.list()).items[0];
/** The certificates of tenants, each as it was told last, and whether it was ever told differently. */
const certificates = () =>
  [...world.did.certified].map(
    ([key, told]) => [key.split(' ')[0], told.at(-1), new Set(told).size] as const,
  );
const steps = () => [...world.did.steps].sort();

describe('a round over partitions', () => {
  it('is sent a message for each, is done by whoever takes them, and ends once for each tenant', async () => {
    await world.partitions('acme', 205);
    await world.partitions('beta', 1);
    await world.partitions('gone', 0);
    world.items = 3;
    expect(await run()).toEqual({ outcome: 'paused', counts: { partitions: 206, partitionsWaiting: 206 } });
    expect(world.messages()).toHaveLength(206);
    expect(JSON.parse(world.messages()[0] ?? '')).toEqual({
      schema_version: '1.0',
      job: 'count',
      tenant: 'acme',
      table: 'decisions',
      partition: 'p000',
      round: world.clock.now(),
    });
    // A run in between tells how far they are.
    await world.take(world.queueHost(), 100);
    expect((await run()).counts).toEqual({ partitions: 206, partitionsWaiting: 106, items: 300 });
    expect(certificates()).toEqual([]);
    expect(new Set(await world.take())).toEqual(new Set(['done']));
    const end = { partitions: 206, partitionsWaiting: 0, items: 618, certificates: 2 };
    expect(await run()).toEqual({ outcome: 'done', counts: end });
    expect(certificates()).toEqual([
      ['acme', '615 taken, 0 given up', 1],
      ['beta', '3 taken, 0 given up', 1],
    ]);
    expect([world.messages(), new Set(world.did.steps).size, world.did.steps.length]).toEqual([[], 618, 618]);
    expect(await view()).toMatchObject({ state: 'resting', error: null, counts: { partitions_waiting: 0 } });
    expect((await run()).outcome).toBe('resting');
  });

  it('takes in the next round what came meanwhile, and every partition again', async () => {
    await world.partitions('acme', 2);
    await world.toTheEnd();
    await world.partitions('acme', 3);
    world.clock.pass(DAY);
    expect(await world.toTheEnd()).toMatchObject({ partitions: 3, items: 3 });
    expect(steps()).toHaveLength(5);
    expect(certificates()).toHaveLength(2);
  });

  it('with nothing in it is done at once', async () => {
    expect(await run()).toEqual({ outcome: 'done', counts: {} });
    await world.partitions('acme', 0);
    world.clock.pass(DAY);
    expect(await run()).toEqual({ outcome: 'done', counts: {} });
  });

  it('ends in the order of tenants, and keeps what is through while one of them waits', async () => {
    // In the order of their rows, which is not that of their names alone.
    for (const tenant of ['acme', 'acme-2', 'beta']) await world.partitions(tenant, 1);
    await run();
    const [first, ...rest] = await takeAll(world.ports, QUEUES.lifecycle);
    for (const { text } of rest) await world.ports.queues.send(QUEUES.lifecycle, text);
    await world.take();
    expect((await run()).counts).toMatchObject({ partitionsWaiting: 1, items: 2, certificates: 1 });
    expect(certificates().map(([tenant]) => tenant)).toEqual(['acme-2']);
    await world.ports.queues.send(QUEUES.lifecycle, first?.text ?? '');
    await world.take();
    expect((await run()).outcome).toBe('done');
    expect(certificates().map(([tenant]) => tenant)).toEqual(['acme-2', 'acme', 'beta']);
  });
});

describe('a message', () => {
  it('works for 20 s, saves how far it came every two, and sends itself again', async () => {
    await world.partitions('acme', 1);
    [world.items, world.itemMs] = [50, 1000];
    await run();
    const saved: string[] = [];
    world.before = async () => void saved.push(...world.work().map((row) => parseWork(row)?.cursor ?? ''));
    expect(await world.take(world.queueHost(), 1)).toEqual(['more']);
    expect(steps()).toHaveLength(20);
    expect([...new Set(saved)]).toEqual(['', '2', '4', '6', '8', '10', '12', '14', '16', '18']);
    expect(await world.take()).toEqual(['more', 'done']);
    expect(steps()).toHaveLength(50);
    expect((await run()).counts).toMatchObject({ items: 50 });
  });

  it('costs two reads and a transaction besides the work, and 206 of them a few for the timer', async () => {
    await world.partitions('acme', 205);
    await world.partitions('beta', 1);
    const counted = countingPorts(world.ports);
    const host = world.queueHost((call, go) => {
      counted.calls.push(call);
      return go();
    });
    await host.runner.run('count');
    // The runner's own five; tenants; of each hundred partitions the directory, the rows and a transaction; three looks.
    expect(counted.counts()).toEqual({ 'tables.find': 2, 'tables.range': 1 + 3 + 4 + 4 + 3, 'tables.commit': 2 + 4, 'queues.send': 206 }); // prettier-ignore
    counted.reset();
    const [message] = await world.ports.queues.receive(QUEUES.lifecycle, { limit: 1, hiddenS: 30 });
    await host.handler.handle(JSON.parse(message?.text ?? ''), { dequeueCount: 1 });
    expect(counted.counts()).toEqual({ 'tables.find': 1, 'tables.range': 1, 'tables.commit': 1 });
    counted.reset();
    await host.handler.handle(JSON.parse(message?.text ?? ''), { dequeueCount: 2 });
    expect(counted.counts()).toEqual({ 'tables.find': 1, 'tables.range': 1 });
    await world.take();
    counted.reset();
    await host.runner.run('count');
    expect(counted.counts()).toEqual({ 'tables.find': 2, 'tables.range': 1 + 3, 'tables.commit': 2 });
  });

  it('is told the service’s time and when the round began, whatever the clock of its host shows', async () => {
    await world.partitions('acme', 1);
    const began = world.clock.now();
    const { clock } = world;
    const ahead = { now: () => clock.now() + 400 * DAY, monotonic: clock.monotonic, sleep: clock.sleep };
    const told: unknown[] = [];
    world.before = async (_, __, { nowMs, roundMs }) => void told.push([nowMs, roundMs]); // prettier-ignore
    await run();
    clock.pass(MINUTE);
    await world.take(world.queueHost(undefined, ahead));
    // A little earlier than now: when the row was written.
    expect(told).toEqual([[began, began]]);
  });

  it('that comes twice, or late, does nothing again', async () => {
    await world.partitions('acme', 3);
    world.items = 2;
    await run();
    const messages = await takeAll(world.ports, QUEUES.lifecycle);
    for (const { text } of [...messages, ...messages]) await world.ports.queues.send(QUEUES.lifecycle, text);
    expect(await world.take()).toEqual(['done', 'done', 'done', 'nothing', 'nothing', 'nothing']);
    expect((await run()).counts).toMatchObject({ items: 6 });
    world.clock.pass(DAY);
    await run();
    for (const { text } of messages) expect(await world.queueHost().handler.handle(JSON.parse(text), { dequeueCount: 1 })).toBe('nothing'); // prettier-ignore
    expect(steps()).toHaveLength(6);
  });

  it('whose host sleeps until others are through, and the next round has begun, changes nothing any more', async () => {
    await world.partitions('acme', 1);
    world.items = 2;
    await run();
    let wake = (): void => undefined;
    const woken = new Promise<void>((resolve) => (wake = resolve));
    world.before = () => {
      world.before = () => Promise.resolve();
      return woken;
    };
    const sleeping = world.take(world.queueHost(), 1);
    while (world.messages().length > 0 && certificates().length === 0) {
      world.clock.pass(MINUTE);
      await world.take();
      await run();
    }
    world.clock.pass(DAY);
    await run();
    const still = JSON.stringify(world.work());
    wake();
    expect(await sleeping).toEqual(['lost']);
    expect(JSON.stringify(world.work())).toBe(still);
    expect(await world.toTheEnd()).toMatchObject({ items: 2 });
  });

  it('that several hosts have at once is counted once', async () => {
    await world.partitions('acme', 4);
    [world.items, world.itemMs] = [30, 1000];
    // All of them are at the same item before any goes on.
    world.before = () => new Promise((resolve) => setImmediate(resolve));
    await run();
    for (let turns = 0; turns < 20 && world.messages().length > 0; turns += 1) {
      const messages = await takeAll(world.ports, QUEUES.lifecycle);
      const handled = messages.flatMap(({ text }) => [1, 2, 3].map(() => world.queueHost().handler.handle(JSON.parse(text), { dequeueCount: 1 }))); // prettier-ignore
      await Promise.all(handled);
    }
    expect(await world.toTheEnd()).toMatchObject({ items: 120, partitionsWaiting: 0 });
    expect(new Set(steps()).size).toBe(120);
    expect(certificates()).toEqual([['acme', '120 taken, 0 given up', 1]]);
  });

  it.each([
    'text', 42, null, {},
    { schema_version: '2.0', job: 'count', tenant: 'acme', table: 'decisions', partition: 'p000', round: 1 },
    { schema_version: '1.0', job: 'Count', tenant: 'acme', table: 'decisions', partition: 'p000', round: 1 },
    { schema_version: '1.0', job: 'count', tenant: '_system', table: 'decisions', partition: 'p000', round: 1 },
    { schema_version: '1.0', job: 'count', tenant: 'acme', table: 'a/b', partition: 'p000', round: 1 },
    { schema_version: '1.0', job: 'count', tenant: 'acme', table: 'decisions', partition: 'p'.repeat(1025), round: 1 },
    { schema_version: '1.0', job: 'count', tenant: 'acme', table: 'decisions', partition: 'p000', round: -1 },
    { schema_version: '1.0', job: 'count', tenant: 'acme', table: 'decisions', partition: 'p000', round: 1, cursor: '7' },
  ])('that is %j is refused', async (payload) => {
    const calls = countingPorts(world.ports).calls;
    const host = world.queueHost((call, go) => {
      calls.push(call);
      return go();
    });
    await expect(host.handler.handle(payload, { dequeueCount: 1 })).rejects.toMatchObject({ code: 'record-invalid' });
    expect(calls).toEqual([]);
  }); // prettier-ignore

  it('that somebody made up changes nothing that the round would not do', async () => {
    await world.partitions('acme', 1);
    await world.partitions('beta', 1);
    await run();
    const own = JSON.parse(world.messages()[0] ?? '') as object;
    const before = JSON.stringify(world.storage.contents());
    const forged = [
      { job: 'another' },
      { tenant: 'nobody' },
      { table: 'agents', partition: 'none' },
      { table: 'jobs' },
      { partition: 'p001' },
      { partition: '\u0000\ud800/\\#?' },
      { partition: '../p000' },
      { round: 0 },
      { round: 8.64e15 },
    ];
    for (const more of forged)
      expect(await world.queueHost().handler.handle({ ...own, ...more }, { dequeueCount: 1 })).toBe(
        'nothing',
      );
    expect(JSON.stringify(world.storage.contents())).toBe(before);
    expect(steps()).toEqual([]);
    // One that is right is only early: what it does the round would have done.
    expect(await world.queueHost().handler.handle(own, { dequeueCount: 1 })).toBe('done');
    expect(await world.toTheEnd()).toMatchObject({ items: 2 });
  });
});

describe('messages that are lost', () => {
  it('are sent again once nothing has been heard for a while, and not before', async () => {
    await world.partitions('acme', 130);
    await run();
    expect(await takeAll(world.ports, QUEUES.lifecycle)).toHaveLength(130);
    world.clock.pass(5 * MINUTE);
    await run();
    world.clock.pass(5 * MINUTE);
    await run();
    expect(world.messages()).toEqual([]);
    world.clock.pass(5 * MINUTE);
    await run();
    expect(world.messages()).toHaveLength(130);
    world.clock.pass(5 * MINUTE);
    await run();
    expect(world.messages()).toHaveLength(130);
    await world.take();
    expect(await run()).toMatchObject({ outcome: 'done', counts: { items: 130 } });
  });

  it('are sent again however much their rows hold', async () => {
    await world.partitions('acme', 100);
    world.items = 2;
    world.next = (item) => String(item).padStart(20_000, '0');
    world.before = (_, item) => (item === 1 ? trouble() : Promise.resolve());
    await run();
    await world.take();
    await takeAll(world.ports, QUEUES.lifecycle);
    world.before = () => Promise.resolve();
    // Each waits where it broke off.
    world.clock.pass(HOUR);
    await takeAll(world.ports, QUEUES.lifecycle);
    await run();
    expect(world.messages()).toHaveLength(100);
    await world.take();
    expect(await run()).toMatchObject({ outcome: 'done', counts: { items: 200 } });
  });

  it('are told from those that only have many before them', async () => {
    await world.partitions('acme', 10);
    await run();
    const lost = (await takeAll(world.ports, QUEUES.lifecycle)).map(({ text }) => text);
    for (const text of lost.filter((one) => !one.includes('p003'))) await world.ports.queues.send(QUEUES.lifecycle, text);
    for (let ticks = 0; ticks < 6; ticks += 1) {
      world.clock.pass(5 * MINUTE);
      await world.take(world.queueHost(), 1);
      await run();
    }
    // Six were taken, one of those behind the lost one among them; the others have nothing to be sorry for.
    const waiting = world.messages().map((text) => (JSON.parse(text) as { partition: string }).partition);
    expect(waiting.sort()).toEqual(['p003', 'p007', 'p008', 'p009']);
  }); // prettier-ignore
});

describe('a partition whose work fails', () => {
  const broken = (partition: string) => {
    world.before = (ref) => (ref.partition === partition ? trouble() : Promise.resolve());
  };

  it('is tried again and again, then given up until the next round, which is told', async () => {
    await world.partitions('acme', 3);
    await world.partitions('beta', 1);
    broken('p001');
    await run();
    expect((await world.take()).filter((worked) => worked === 'broke off')).toHaveLength(1);
    const tries: number[] = [];
    for (let minutes = 0; minutes < 60 && world.messages().length > 0; minutes += 1) {
      world.clock.pass(MINUTE / 4);
      if ((await world.take()).length > 0) tries.push(world.clock.monotonic());
    }
    expect(tries.slice(0, 3)).toEqual([15_000, 45_000, 105_000]);
    expect((await run()).counts).toMatchObject({ partitionsWaiting: 1 });
    for (let minutes = 0; minutes < 60 && world.messages().length > 0; minutes += 1) {
      world.clock.pass(MINUTE);
      await world.take();
    }
    expect(await run()).toMatchObject({ outcome: 'done', counts: { items: 3, partitions: 4, partitionsWaiting: 0, partitionsFailed: 1, certificates: 2 } }); // prettier-ignore
    expect(await view()).toMatchObject({ state: 'resting', error: 'integrity-failure', counts: { partitions_failed: 1 } }); // prettier-ignore
    expect(certificates()).toEqual([['acme', '2 taken, 1 given up', 1], ['beta', '1 taken, 0 given up', 1]]); // prettier-ignore
    broken('none');
    world.clock.pass(DAY);
    expect(await world.toTheEnd()).toEqual({
      partitions: 4,
      partitionsWaiting: 0,
      items: 4,
      certificates: 2,
    });
    expect(await view()).toMatchObject({ error: null });
  });

  it('goes on when what was wrong is over, with what was done before', async () => {
    await world.partitions('acme', 1);
    world.items = 4;
    let fails = 5;
    world.before = (_, item) => (item === 2 && (fails -= 1) >= 0 ? trouble() : Promise.resolve());
    expect(await world.toTheEnd()).toMatchObject({ items: 4 });
    expect(world.did.steps.map((step) => step.slice(-1))).toEqual(['0', '1', '2', '3']);
  });

  it('is given up as well when every host that takes it dies of it, and others are not', async () => {
    await world.partitions('acme', 2);
    let dead = false;
    world.before = (ref) => {
      dead = ref.partition === 'p000';
      return dead ? Promise.reject(new Died()) : Promise.resolve();
    };
    await run();
    for (let tries = 0; tries < 60 && world.messages().length > 0; tries += 1) {
      dead = false;
      const host = world.queueHost((_, go) => (dead ? Promise.reject(new Died()) : go()));
      await world.take(host).catch(() => undefined);
      world.clock.pass(MINUTE);
    }
    expect(await run()).toMatchObject({ outcome: 'done', counts: { items: 1, partitionsFailed: 1 } });
    expect(await view()).toMatchObject({ error: 'internal-error' });
    expect(LIMITS.workAttempts).toBeLessThan(10);
  });

  it('says so to who has started the job by hand', async () => {
    await world.partitions('acme', 1);
    world.before = trouble;
    await expect(world.queueHost().runner.start('count')).rejects.toMatchObject({
      code: 'integrity-failure',
    });
    expect(await view()).toMatchObject({ error: 'integrity-failure', state: 'paused' });
    world.before = () => Promise.resolve();
    expect(await world.queueHost().runner.start('count')).toMatchObject({ outcome: 'done' });
  });

  it('whose row was altered is left to the next round', async () => {
    await world.partitions('acme', 2);
    await run();
    const rowKey = world.work()[0]?.rowKey ?? '';
    await world.ports.tables.commit('jobs', '_system:work.count', [{ kind: 'merge', rowKey, etag: '*', properties: { cursor_0: '7' } }]); // prettier-ignore
    expect(await world.take()).toEqual(['nothing', 'done']);
    expect(await run()).toMatchObject({ outcome: 'done', counts: { items: 1, partitionsFailed: 1 } });
    expect(await view()).toMatchObject({ error: 'integrity-failure' });
    world.clock.pass(DAY);
    expect(await world.toTheEnd()).toMatchObject({ items: 2 });
  });
});

describe('a switch', () => {
  it.each([
    ['the job', 'count'],
    ['all jobs', undefined],
  ])('over %s stops work in the middle, and the rest where it is', async (_, name) => {
    await world.partitions('acme', 3);
    [world.items, world.itemMs] = [10, 1000];
    await run();
    const { runner } = world.queueHost();
    world.before = (__, item) => (item === 3 ? runner.suspend(name) : Promise.resolve());
    expect(await world.take()).toEqual(['suspended', 'suspended', 'suspended']);
    expect(steps()).toHaveLength(4);
    world.before = () => Promise.resolve();
    const still = JSON.stringify(world.storage.contents());
    world.clock.pass(HOUR);
    expect(await run()).toMatchObject({ outcome: 'suspended' });
    const forged = { schema_version: '1.0', job: 'count', tenant: 'acme', table: 'decisions', partition: 'p001', round: Number(world.work()[1]?.properties['round_ms']) }; // prettier-ignore
    expect(await world.queueHost().handler.handle(forged, { dequeueCount: 3 })).toBe('suspended');
    expect(JSON.stringify(world.storage.contents())).toBe(still);
    await runner.resume(name);
    expect(await world.toTheEnd()).toMatchObject({ items: 30 });
    expect(steps()).toHaveLength(30);
  });

  it('of the configuration stops those who take messages, too', async () => {
    await world.partitions('acme', 1);
    await run();
    world.mayWork = () => false;
    expect(await world.take()).toEqual(['nothing']);
    expect((await run()).outcome).toBe('resting');
    world.mayWork = () => true;
    world.clock.pass(20 * MINUTE);
    expect(await world.toTheEnd()).toMatchObject({ items: 1 });
  });

  it('of the configuration ends what is under way', async () => {
    await world.partitions('acme', 1);
    world.items = 5;
    await run();
    world.before = async (_, item) => void (world.mayWork = () => item < 2); // prettier-ignore
    expect(await world.take(world.queueHost(), 1)).toEqual(['more']);
    expect(steps()).toHaveLength(3);
  });
});

describe('a round that is started by hand', () => {
  it('is done by who waits for it, and sends nothing', async () => {
    await world.partitions('acme', 120);
    const { runner } = world.queueHost();
    expect(await runner.start('count')).toEqual({ outcome: 'done', counts: { partitions: 120, partitionsWaiting: 0, items: 120, certificates: 1 } }); // prettier-ignore
    expect(world.messages()).toEqual([]);
  });

  it('leaves to the timer what takes longer, which sends for it at once', async () => {
    await world.partitions('acme', 8);
    [world.items, world.itemMs] = [3, 2000];
    const started = await world.queueHost().runner.start('count');
    expect(started).toMatchObject({ outcome: 'paused', counts: { items: 8, partitionsWaiting: 6 } });
    expect((await run()).outcome).toBe('paused');
    expect(world.messages()).toHaveLength(6);
    expect(await world.toTheEnd()).toMatchObject({ items: 24, partitionsWaiting: 0 });
    expect(new Set(steps()).size).toBe(24);
  });

  it('goes on with one that the timer began, beside those who take its messages', async () => {
    await world.partitions('acme', 3);
    world.items = 2;
    await run();
    world.before = async (ref, item) => {
      if (ref.partition === 'p001' && item === 1) {
        world.before = () => Promise.resolve();
        await world.take();
      }
    };
    expect(await world.queueHost().runner.start('count')).toMatchObject({ outcome: 'done', counts: { items: 6 } });
    expect(certificates()).toEqual([['acme', '6 taken, 0 given up', 1]]);
  }); // prettier-ignore

  it('and is no part of any walks alone, and leaves no row', async () => {
    await world.partitions('acme', 2);
    expect(await world.queueHost().runner.tryOut('count', {})).toMatchObject({ outcome: 'done', counts: { items: 2, certificates: 1 } }); // prettier-ignore
    expect([world.work(), world.messages()]).toEqual([[], []]);
  });

  it('by a build from before the queue is ended as it was begun', async () => {
    await world.partitions('acme', 2);
    world.itemMs = 20_000;
    expect(await world.olderRunner().start('count')).toMatchObject({
      outcome: 'paused',
      counts: { items: 1 },
    });
    expect(await run()).toEqual({ outcome: 'done', counts: { items: 2, certificates: 1 } });
    expect([world.work(), certificates()]).toEqual([[], [['acme', '2 taken, 0 given up', 1]]]);
  });
});

describe.each(Object.keys(FATES))('a host that at any one call %s', (fate) => {
  it('leaves a round that ends with everything done, once for each tenant', async () => {
    for (let at = 1; ; at += 1) {
      world = new QueueWorld();
      for (const tenant of ['acme', 'beta']) await world.partitions(tenant, 2);
      [world.items, world.itemMs] = [6, 5000];
      let calls = 0;
      let dead = false;
      const failing = world.queueHost(async (_, go) => {
        if (dead) throw new Died();
        calls += 1;
        if (calls !== at) return go();
        dead = fate.includes('dies');
        return FATES[fate]?.(go);
      });
      for (let runs = 0; runs < 3; runs += 1) {
        await failing.runner.run('count').catch(() => undefined);
        await world.take(failing).catch(() => undefined);
      }
      world.clock.pass(MINUTE);
      const counts = await world.toTheEnd();
      expect(new Set(steps()).size, String(at)).toBe(24);
      expect(certificates(), String(at)).toEqual([['acme', '12 taken, 0 given up', 1], ['beta', '12 taken, 0 given up', 1]]); // prettier-ignore
      if (counts['items'] !== undefined) expect(counts, String(at)).toMatchObject({ items: 24, partitionsWaiting: 0 });
      expect((await view())?.counts, String(at)).toMatchObject({ partitions: 4, partitions_waiting: 0, items: 24 });
      // A step is done twice at most, by the next one.
      expect(world.did.steps.length, String(at)).toBeLessThanOrEqual(24 + 2);
      if (calls < at) {
        expect(at).toBeGreaterThan(30);
        return;
      }
    }
  }, 60_000); // prettier-ignore
});
