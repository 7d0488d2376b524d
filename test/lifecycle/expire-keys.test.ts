import { beforeEach, describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/domain/limits.js';
import { ExpireKeys } from '../../src/lifecycle/expire-keys.js';
import { decisionType } from '../../src/records/decision.js';
import { Budget } from '../../src/storage/backoff.js';
import { Directory } from '../../src/storage/directory.js';
import type { StoragePorts } from '../../src/storage/ports.js';
import { countingPorts } from '../support/counting-ports.js';
import { seededEntropy } from '../support/entropy.js';
import { caller } from '../support/platform.js';
import { wrapPorts, type Intercept } from '../support/wrap-ports.js';
import { BODY, DAY, diesAt, HOUR, isCommit, round, Sleeper, VOTE, World } from './support.js';

const KEPT = LIMITS.idempotencyKeptMs;
const keyed = (key = 'k', fingerprint = 'f') => caller({ idempotency: { key, scope: 's', fingerprint } });
let world: World;
beforeEach(() => {
  world = new World();
});

function expiry(ports: StoragePorts = world.ports): ExpireKeys {
  const entropy = seededEntropy('expiry');
  const directory = new Directory(ports.tables, world.clock);
  const budget = (): Budget => new Budget(world.clock, entropy);
  return new ExpireKeys({ tables: ports.tables, directory, recordTables: ['decisions'], budget });
}

const sweep = (intercept?: Intercept, timeIsUp?: () => boolean) =>
  round(expiry(intercept === undefined ? world.ports : wrapPorts(world.ports, intercept)), world.clock.now(), timeIsUp); // prettier-ignore
const reservations = () => world.rows('k:', 'idempotency');
const results = () => world.rows('k:');
const records = () => world.rows('v:');

describe('an idempotency key', () => {
  it('is kept to the millisecond, its result an hour longer', async () => {
    const { manager } = world.host();
    const first = await manager.create(decisionType, BODY, keyed());
    const row = reservations()[0];
    const expires = Number(row?.properties['expires_ms']);
    world.clock.pass(expires - world.clock.now() - 1);
    expect(await sweep()).toMatchObject({ reservationsRemoved: 0, resultsRemoved: 0 });
    expect(await manager.create(decisionType, BODY, keyed())).toEqual({ ...first, replayed: true });
    world.clock.pass(1);
    expect(await sweep()).toMatchObject({ reservationsRemoved: 1, resultsRemoved: 0 });
    world.clock.pass(HOUR - 1);
    expect(await sweep()).toMatchObject({ reservationsRemoved: 0, resultsRemoved: 0 });
    world.clock.pass(1);
    expect(await sweep()).toMatchObject({ resultsRemoved: 1 });
    expect([reservations(), results()]).toEqual([[], []]);
    const again = await manager.create(decisionType, BODY, keyed());
    expect([again.replayed, again.envelope.id === first.envelope.id]).toEqual([false, false]);
  });

  it('is not forgotten early by a host whose clock is days ahead, nor one that such a host wrote with a slow clock', async () => {
    world.clock.suspend(-6 * DAY);
    await world.host().manager.create(decisionType, BODY, keyed());
    // The service's clock is right; the writer's was six days behind.
    const [row] = reservations();
    world.clock.suspend(6 * DAY);
    await world.ports.tables.commit('idempotency', row?.partitionKey ?? '', [
      { kind: 'replace', rowKey: row?.rowKey ?? '', properties: row?.properties ?? {}, etag: '*' },
    ]);
    world.clock.pass(2 * DAY);
    expect(await sweep()).toMatchObject({ reservationsRemoved: 0 });
    world.clock.pass(2 * DAY);
    expect(await sweep()).toMatchObject({ reservationsRemoved: 1 });
  });

  it('whose row is damaged stays', async () => {
    await world.host().manager.create(decisionType, BODY, keyed());
    const [row] = reservations();
    await world.ports.tables.commit('idempotency', row?.partitionKey ?? '', [
      { kind: 'merge', rowKey: row?.rowKey ?? '', properties: { expires_ms: 1 }, etag: '*' },
    ]);
    world.clock.pass(KEPT + 2 * HOUR);
    expect(await sweep()).toMatchObject({ reservations: 1, reservationsRemoved: 0, resultsRemoved: 1 });
  });

  it('of an attempt that died is forgotten as well', async () => {
    await world.host().manager.create(decisionType, BODY, caller());
    const dying = world.host(diesAt(isCommit));
    await expect(dying.manager.create(decisionType, BODY, keyed())).rejects.toThrow();
    world.clock.pass(KEPT);
    expect(await sweep()).toEqual({ reservations: 1, reservationsRemoved: 1, results: 0, resultsRemoved: 0 });
  });
});

describe('the sweep of keys', () => {
  it('removes hundreds in transactions of a hundred, in many steps, of every tenant', async () => {
    const { manager } = world.host();
    const tenants = ['acme', 'zebra'];
    for (const tenant of tenants)
      for (let at = 0; at < 130; at += 1)
        await manager.create(decisionType, BODY, { ...keyed(`k${at}`), tenant });
    world.clock.pass(KEPT + 2 * HOUR);
    const fresh = await manager.create(decisionType, BODY, { ...keyed('fresh'), tenant: 'acme' });
    const counting = countingPorts(world.ports);
    const counts = await round(expiry(counting.ports), world.clock.now(), () => true);
    expect(counts).toEqual({
      reservations: 261,
      reservationsRemoved: 260,
      results: 261,
      resultsRemoved: 260,
    });
    expect([reservations().length, results().length]).toEqual([1, 1]);
    const { 'tables.commit': commits = 0, 'tables.range': reads = 0 } = counting.counts();
    // One transaction for each partition that held expired reservations, two for each tenant's month of results.
    expect(commits).toBeLessThanOrEqual(260 + 4);
    // 256 partitions of reservations; then the directory and the month; and the next tenant.
    expect(reads).toBeLessThanOrEqual(2 * (256 + 4) + 3);
    const again = await manager.create(decisionType, BODY, { ...keyed('fresh'), tenant: 'acme' });
    expect(again).toEqual({ ...fresh, replayed: true });
  });

  it('leaves a row alone that was written anew since it was read', async () => {
    const { manager } = world.host();
    const dying = world.host(diesAt(isCommit));
    await expect(dying.manager.create(decisionType, BODY, keyed())).rejects.toThrow();
    await manager.create(decisionType, BODY, keyed('other'));
    world.clock.pass(KEPT + 2 * HOUR);
    let retried = false;
    await sweep(async (one, run) => {
      const result = await run();
      const found = one.method === 'range' && (result as { rows: { rowKey: string }[] }).rows;
      if (one.args[0] === 'idempotency' && found && found.length > 0 && !retried) {
        retried = true;
        await manager.create(decisionType, BODY, keyed());
      }
      return result;
    });
    expect(reservations()).toHaveLength(1);
    expect((await manager.create(decisionType, BODY, keyed())).replayed).toBe(true);
  });

  it.each(['never happened', 'happened'])(
    'is done by its next run when any of its calls %s and it died',
    async (what) => {
      for (let at = 1; ; at += 1) {
        world = new World();
        const { manager } = world.host();
        await manager.create(decisionType, BODY, keyed('a'));
        await manager.createBatch(
          decisionType,
          Array.from({ length: 14 }, () => BODY),
          keyed('b'),
        );
        world.clock.pass(KEPT + 2 * HOUR);
        const commitsOnly = { calls: 0 };
        await sweep(async (one, run) => {
          if (one.method !== 'commit' || ++commitsOnly.calls !== at) return run();
          if (what === 'happened') await run();
          throw new Error('the process is no more');
        }).catch(() => undefined);
        await sweep();
        expect([reservations(), results()]).toEqual([[], []]);
        if (commitsOnly.calls < at) return expect(at).toBeGreaterThan(2);
      }
    },
  );
});

/**
 * Runs a request before every call of the sweep in turn, and again after it: never more than one of them may store, and
 * none while a row of the key still stands, unless an expired one is `replaced`.
 */
async function raced(
  make: () => Promise<{ request: () => Promise<unknown>; stored: () => number }>,
  replaced = false,
): Promise<void> {
  for (let at = 1; ; at += 1) {
    world = new World();
    const { request, stored } = await make();
    expect(stored()).toBe(1);
    world.clock.pass(KEPT + HOUR + 1);
    let calls = 0;
    await sweep(async (one, run) => {
      // Only the calls that find or change something: the 256 partitions are empty but for one.
      const result = one.method === 'commit' ? undefined : await run();
      const busy = one.method === 'commit' || (result as { rows: readonly unknown[] }).rows.length > 0;
      if (busy && ++calls === at) {
        const known = reservations().length + results().length > 0;
        await request();
        if (known && !replaced) expect(stored()).toBe(1);
      }
      return one.method === 'commit' ? run() : result;
    });
    expect(stored(), `at ${at}`).toBeLessThanOrEqual(2);
    world.assertSound();
    await world.assertReadable();
    // The caller's next retry is answered, and from now on with one and the same.
    world.clock.pass(LIMITS.idempotencyTakeoverMs + 1);
    await request();
    await request();
    expect(stored(), `at ${at}`).toBeLessThanOrEqual(2);
    world.assertSound();
    if (calls < at) {
      expect(at).toBeGreaterThan(3);
      return;
    }
  }
}

describe('a retry in between', () => {
  it('of a vote is answered with the first result as long as anything of the key stands', async () => {
    await raced(async () => {
      const { manager } = world.host();
      const { id } = (await manager.create(decisionType, BODY, caller())).envelope;
      const request = () => world.host().manager.act(decisionType, id, 'votes', VOTE, undefined, keyed());
      await request();
      return { request, stored: () => records().length - 1 };
    });
  });

  it('of a create, too', async () => {
    await raced(async () => {
      const request = () => world.host().manager.create(decisionType, BODY, keyed());
      await request();
      return { request, stored: () => records().length };
    });
  });

  it.each([1, 3])(
    'of a batch of several transactions in %s months: the whole of it or nothing',
    async (months) => {
      const items = Array.from({ length: 30 }, (_, at) => ({
        ...BODY,
        created_at: `2024-0${1 + (at % months)}-01T00:00:00Z`,
      }));
      await raced(async () => {
        const request = async () => {
          const { items: heads } = await world.host().manager.createBatch(decisionType, items, keyed());
          expect(heads).toHaveLength(30);
          for (const { id, checksum } of heads)
            expect(world.rows(`v:${id}:`)[0]?.properties).toMatchObject({ checksum });
        };
        await request();
        return { request, stored: () => records().length / 30 };
      }, true);
    },
  );
});

describe('whoever slept until his key was forgotten', () => {
  it('applies his vote no second time', async () => {
    const { manager } = world.host();
    const { id } = (await manager.create(decisionType, BODY, caller())).envelope;
    const sleeper = new Sleeper(isCommit);
    const asleep = world
      .host(sleeper.intercept)
      .manager.act(decisionType, id, 'votes', VOTE, undefined, keyed());
    asleep.catch(() => undefined);
    await sleeper.asleep;
    world.clock.suspend(2 * 60_000);
    await manager.act(decisionType, id, 'votes', VOTE, undefined, keyed());
    world.clock.suspend(KEPT + 2 * HOUR);
    expect(await sweep()).toMatchObject({ reservationsRemoved: 1, resultsRemoved: 1 });
    sleeper.wake();
    await expect(asleep).rejects.toMatchObject({ code: 'idempotency-in-progress' });
    expect(records()).toHaveLength(2);
  });
});
