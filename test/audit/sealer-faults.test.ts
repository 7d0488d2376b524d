import { describe, expect, it } from 'vitest';
import { AuditEmitter } from '../../src/audit/emitter.js';
import { StorageFault, type StoragePorts } from '../../src/storage/ports.js';
import { newId } from '../../src/domain/ids.js';
import { seededEntropy } from '../support/entropy.js';
import { memoryPorts } from '../support/memory-ports.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts, type Intercept } from '../support/wrap-ports.js';
import {
  assertNoOldStages,
  assertSealed,
  commitChanges,
  creates,
  DECISIONS,
  headOf,
  host,
  streamLines,
  TENANT,
  type Host,
} from './support.js';

const START = Date.UTC(2026, 0, 10, 23, 59, 59, 900);
const OTHER = { tenant: TENANT, table: 'agents', partition: 'planner' };
const DAYS = [10, 11].map((day) => ({
  tenant: TENANT,
  table: 'auditevents',
  partition: `2026-01-${String(day)}`,
}));
const fault = (): StorageFault => new StorageFault('unavailable', 'no answer');

interface World {
  readonly clock: VirtualClock;
  readonly ports: StoragePorts;
  readonly ids: string[];
}

/** Events of two days: changes in two tables, and events without a change. */
async function addEvents(world: World, atMs: number): Promise<void> {
  const app = host(world.ports, world.clock);
  world.ids.push(
    ...(await commitChanges(app, DECISIONS, creates(25, atMs, `dec_${String(atMs)}_`))),
    ...(await commitChanges(app, OTHER, creates(6, atMs + 50, `agt_${String(atMs)}_`))),
    ...(await emit(app, 15, atMs)),
  );
}

async function emit(app: Host, count: number, atMs: number): Promise<string[]> {
  const entropy = seededEntropy(atMs);
  const emitter = new AuditEmitter({
    tables: app.ports.tables,
    directory: app.directory,
    actors: { pseudonym: () => Promise.resolve('act_x') },
    secretBox: {
      seal: () => Promise.resolve({ '/ip_address': 'sealed' }),
      open: () => Promise.reject(fault()),
    },
    entropy,
  });
  const drafts = Array.from({ length: count }, (_, n) => ({
    eventId: newId('evt', atMs + n * 20, entropy),
    timestampMs: atMs + n * 20,
    tenant: TENANT,
    actor: 'act_x',
    eventType: 'record.read' as const,
    severity: 'info' as const,
    action: 'read',
    resourceType: 'decision',
    resourceId: 'dec_0',
    outcome: 'success' as const,
    details: {},
    correlationId: 'test',
    ipAddress: '192.0.2.1',
  }));
  await emitter.emit(drafts);
  return drafts.map(({ eventId }) => eventId);
}

/** A log with a finished round, on the next day, so that the round under test also rolls the stream. */
async function prepared(): Promise<World> {
  const clock = new VirtualClock(START);
  const world = { clock, ports: memoryPorts({ clock }), ids: [] };
  await addEvents(world, START - 10_000);
  await host(world.ports, clock).sealer.sealTenant(TENANT);
  await clock.advance(1000);
  await addEvents(world, START);
  return world;
}

/** A process whose storage answers `outcome` at the call `at`, and then, if it dies there, never again. */
function failingAt(
  at: number,
  outcome: 'never happened' | 'happened',
  dies: boolean,
): { intercept: Intercept; calls: () => number } {
  let calls = 0;
  return {
    calls: () => calls,
    intercept: async (_, run) => {
      calls += 1;
      if (dies && calls > at) throw fault();
      if (calls !== at) return run();
      if (outcome === 'happened') await run();
      throw fault();
    },
  };
}

const partitions = [DECISIONS, OTHER, ...DAYS];

async function callsOfARound(): Promise<number> {
  const world = await prepared();
  const counter = failingAt(Infinity, 'happened', false);
  await host(wrapPorts(world.ports, counter.intercept), world.clock).sealer.sealTenant(TENANT);
  await assertSealed(world.ports, world.ids, partitions);
  return counter.calls();
}

describe('a sealing round', () => {
  for (const outcome of ['never happened', 'happened'] as const) {
    it(
      `is finished by another process after a crash at any call that ${outcome}`,
      { timeout: 60_000 },
      async () => {
        const calls = await callsOfARound();
        expect(calls).toBeGreaterThan(20);
        for (let at = 1; at <= calls; at += 1) {
          const world = await prepared();
          const dying = host(wrapPorts(world.ports, failingAt(at, outcome, true).intercept), world.clock);
          // The lease is given back last: losing that answer hurts nobody.
          await dying.sealer.sealTenant(TENANT).catch(() => undefined);
          await world.clock.advance(15_000);
          const next = host(world.ports, world.clock);
          expect(await next.sealer.sealTenant(TENANT)).toMatchObject({ busy: false });
          await assertSealed(world.ports, world.ids, partitions);
          await addEvents(world, START + 20_000);
          await next.sealer.sealTenant(TENANT);
          await assertSealed(world.ports, world.ids, partitions);
          await assertNoOldStages(world.ports);
        }
      },
    );

    it(
      `is finished by the same process after any one call that ${outcome} without an answer`,
      { timeout: 60_000 },
      async () => {
        const calls = await callsOfARound();
        for (let at = 1; at <= calls; at += 1) {
          const world = await prepared();
          const app = host(wrapPorts(world.ports, failingAt(at, outcome, false).intercept), world.clock);
          await app.sealer.sealTenant(TENANT).catch((error: unknown) => {
            expect(error).toMatchObject({ code: 'storage-unavailable' });
          });
          await world.clock.advance(15_000);
          await app.sealer.sealTenant(TENANT);
          await assertSealed(world.ports, world.ids, partitions);
        }
      },
    );
  }

  it('harms nothing when it wakes, at any call, long after others went on', { timeout: 60_000 }, async () => {
    const calls = await callsOfARound();
    for (let at = 1; at <= calls; at += 1) {
      const world = await prepared();
      let wake = (): void => undefined;
      const asleep = new Promise<void>((resolve) => (wake = resolve));
      let reached = (): void => undefined;
      const there = new Promise<void>((resolve) => (reached = resolve));
      let count = 0;
      const sleeper = host(
        wrapPorts(world.ports, async (_, run) => {
          count += 1;
          if (count === at) {
            reached();
            await asleep;
          }
          return run();
        }),
        world.clock,
      );
      const sleeping = sleeper.sealer.sealTenant(TENANT);
      await Promise.race([there, sleeping]);
      await world.clock.advance(15_000);
      const others = host(world.ports, world.clock);
      await others.sealer.sealTenant(TENANT);
      for (let day = 1; day <= 2; day += 1) {
        await world.clock.advance(86_400_000);
        await addEvents(world, START + day * 1000);
        await others.sealer.sealTenant(TENANT);
      }
      wake();
      await sleeping;
      await others.sealer.sealTenant(TENANT);
      await assertSealed(world.ports, world.ids, partitions);
    }
  });

  it('is recovered by a process whose first recovery failed', async () => {
    const calls = await callsOfARound();
    for (let at = 1; at <= calls; at += 2) {
      const world = await prepared();
      // Dies right after the commit point.
      const died = wrapPorts(world.ports, async (call, run) => {
        if (call.method === 'createAppend') throw fault();
        return run();
      });
      await expect(host(died, world.clock).sealer.sealTenant(TENANT)).rejects.toBeDefined();
      const { intercept } = failingAt(at, 'never happened', false);
      let first = true;
      const once: Intercept = (call, run) => (first ? intercept(call, run) : run());
      const app = host(wrapPorts(world.ports, once), world.clock);
      await app.sealer.sealTenant(TENANT).catch(() => undefined);
      first = false;
      await world.clock.advance(15_000);
      await app.sealer.sealTenant(TENANT);
      await assertSealed(world.ports, world.ids, partitions);
    }
  });

  it('refuses to go on when the stage of an unfinished head is gone', async () => {
    const world = await prepared();
    const died = wrapPorts(world.ports, (call, run) =>
      call.method === 'createAppend' ? Promise.reject(fault()) : run(),
    );
    await expect(host(died, world.clock).sealer.sealTenant(TENANT)).rejects.toBeDefined();
    await world.ports.blobs.delete('ledger', (await headOf(world.ports)).stage);
    const next = host(world.ports, world.clock);
    await expect(next.sealer.sealTenant(TENANT)).rejects.toMatchObject({ code: 'integrity-failure' });
  });

  it('publishes nothing when it loses the commit', async () => {
    const world = await prepared();
    const before = await streamLines(world.ports);
    const writes: string[] = [];
    let rival: Promise<unknown> | undefined;
    const loser = host(
      wrapPorts(world.ports, async (call, run) => {
        if (call.method === 'acquireLease') return 'a lease of its own';
        if (call.method === 'swap' && rival === undefined) {
          rival = host(world.ports, world.clock).sealer.sealTenant(TENANT);
          await rival;
          writes.length = 0;
        }
        if (['append', 'createAppend', 'commit', 'seal'].includes(call.method)) writes.push(call.method);
        return run();
      }),
      world.clock,
    );
    expect(await loser.sealer.sealTenant(TENANT)).toEqual({ sealed: 0, busy: false });
    expect(await rival).toEqual({ sealed: 46, busy: false });
    expect(writes).toEqual([]);
    expect((await streamLines(world.ports)).length - before.length).toBe(46);
    await assertSealed(world.ports, world.ids, partitions);
  });

  it('leaves losers’ stages to the next round, which deletes them and keeps its own', async () => {
    const world = await prepared();
    const name = `${TENANT}/stages/${'46'.padStart(12, '0')}-${'a'.repeat(64)}.json`;
    const later = `${TENANT}/stages/${'999'.padStart(12, '0')}-${'b'.repeat(64)}.json`;
    for (const stage of [name, later])
      await world.ports.blobs.putOnce('ledger', stage, Buffer.from('{}'), 'application/json');
    await host(world.ports, world.clock).sealer.sealTenant(TENANT);
    const { names } = await world.ports.blobs.list('ledger', `${TENANT}/stages/`);
    expect(names).toHaveLength(2);
    expect(names).toContain(later);
  });
});
