import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ran } from '../cli/support.js';
import { LIMITS } from '../../src/domain/limits.js';
import { covenantType } from '../../src/records/covenant.js';
import { decisionType } from '../../src/records/decision.js';
import { caller, STORAGES, testPlatform } from '../support/platform.js';
import { fsckOf, fsckWorld, PassingClock, rowsIn, TENANT, type FsckWorld } from './fsck-world.js';
import { bodyOf } from '../support/subjects.js';
import { Vandal } from './vandal.js';

describe.each(STORAGES)('fsck $name', (kind) => {
  it('finds nothing where nobody did anything, also behind sealed values', async () => {
    const world = await fsckWorld(kind, kind.realTime ? 30 : 270);
    try {
      for (const open of [false, true]) {
        const { result, told } = await fsckOf(world.ports, { open });
        expect(told).toEqual([]);
        expect(result.findings).toBe(0);
        expect(result.pieces).toBeGreaterThan(10);
      }
    } finally {
      world.close();
    }
  }, 60_000);
});

describe.each(STORAGES.filter(({ realTime }) => realTime))('fsck beside a platform at work $name', (kind) => {
  it('takes nothing that is under way for a finding', async () => {
    const world = await fsckWorld(kind, 30);
    const { manager, sealer } = world.platform;
    const call = caller();
    let [stopped, written] = [false, 0];
    const write = async () => {
      while (!stopped) {
        const { envelope } = await manager.create(decisionType, { decision_type: 'strategic', title: 'More' }, call); // prettier-ignore
        const vote = { agent: 'cfo', vote: 'approve', confidence: 1 };
        await manager.act(decisionType, envelope.id, 'votes', vote, undefined, call);
        const covenant = await manager.create(covenantType, bodyOf(covenantType), call);
        written += Number(covenant.envelope.revision > 0);
      }
    };
    const seal = async () => {
      while (!stopped) await sealer.sealTenant(TENANT);
    };
    const working = Promise.all([write(), seal()]);
    // Whoever waits finds that what was begun has been finished.
    const clock = new (class extends PassingClock {
      override async sleep(ms: number): Promise<void> {
        stopped = true;
        await working;
        await super.sleep(ms);
      }
    })();
    try {
      const { told } = await fsckOf(world.ports, { clock });
      expect(told).toEqual([]);
      // It has ended although they were still writing, or because it waited until they were done.
      expect(written).toBeGreaterThan(0);
    } finally {
      stopped = true;
      await working;
      world.close();
    }
  }, 60_000);
});

describe.each(STORAGES.filter(({ realTime }) => !realTime))('fsck at work $name', (kind) => {
  let world: FsckWorld;
  beforeAll(async () => (world = await fsckWorld(kind)));
  afterAll(() => world.close());

  const damaged = async (
    damage: (vandal: Vandal) => Promise<unknown>,
    look: (vandal: Vandal) => Promise<unknown>,
  ) => {
    const vandal = await Vandal.at(world);
    try {
      await damage(vandal);
      await look(vandal);
    } finally {
      await vandal.undo();
    }
  };
  const noCheckpoint = (vandal: Vandal) => vandal.blob('ledger', `${TENANT}/checkpoint`, () => undefined);

  it('says what is old at once, and of what was just written that it waits', async () => {
    const [one] = await rowsIn(world, 'decisions', 'i:all:');
    if (one === undefined) throw new Error('there is no decision');
    const nowMs = one.timestampMs + 60_000;
    await damaged(noCheckpoint, async () => {
      const clock = new PassingClock(nowMs);
      const { told, progress } = await fsckOf(world.ports, { clock });
      expect(told.map(({ code }) => code)).toEqual(['checkpoint.missing']);
      expect([clock.slept, progress]).toEqual([0, []]);
    });
    await damaged(
      (vandal) => vandal.gone('decisions', one),
      async () => {
        const clock = new PassingClock(nowMs);
        const { told, progress } = await fsckOf(world.ports, { clock });
        expect(told.map(({ code }) => code)).toEqual(['index.missing']);
        expect(clock.slept).toBeGreaterThan(0);
        expect(clock.slept).toBeLessThanOrEqual(LIMITS.fsckYoungMs);
        expect(progress).toEqual([expect.stringMatching(/^default: .* looks again in \d+ s$/)]);
      },
    );
  });

  it('has a checkpoint made once others stop sealing, and gives up when they do not', async () => {
    const { blobs } = world.ports;
    const name = `${TENANT}/lease`;
    await damaged(noCheckpoint, async (vandal) => {
      const lease = await blobs.acquireLease('ledger', name, 15);
      if (lease === undefined) throw new Error('somebody holds the lease');
      const clock = new PassingClock();
      const busy = await fsckOf(world.ports, { repair: true, clock });
      expect(busy.told.map(({ code, repaired }) => [code, repaired])).toEqual([
        ['checkpoint.missing', false],
      ]);
      expect(clock.slept).toBeGreaterThan(15_000);
      expect(clock.slept).toBeLessThan(30_000);
      const freeing = new (class extends PassingClock {
        override async sleep(ms: number): Promise<void> {
          if (this.slept === 0) await blobs.releaseLease('ledger', name, lease);
          await super.sleep(ms);
        }
      })();
      const mended = await fsckOf(world.ports, { repair: true, clock: freeing });
      expect(mended.told.map(({ code, repaired }) => [code, repaired])).toEqual([
        ['checkpoint.missing', true],
      ]);
      expect(freeing.slept).toBeLessThan(5_000);
      // Sealing has gone on.
      vandal.leave();
    });
  });

  it('counts what it does not print, and repairs it nevertheless', async () => {
    const all = (await rowsIn(world, 'auditevents', 'i:all:')).length;
    expect(all).toBeGreaterThan(2.5 * LIMITS.fsckRepeats);
    await damaged(
      async (vandal) => {
        for (const row of await rowsIn(world, 'auditevents', 'i:all:')) await vandal.gone('auditevents', row);
      },
      async () => {
        const { result, told } = await fsckOf(world.ports);
        expect([result.findings, told.length + result.untold]).toEqual([all, all]);
        expect(result.untold).toBeGreaterThan(LIMITS.fsckRepeats);
        // The same ones every time.
        expect((await fsckOf(world.ports)).told).toEqual(told);
        const repaired = await fsckOf(world.ports, { repair: true });
        expect(repaired.result).toMatchObject({ findings: 0, repaired: all, untold: 0 });
        expect(repaired.told).toHaveLength(all);
        expect((await fsckOf(world.ports)).told).toEqual([]);
      },
    );
  });

  it('as a command prints findings, and what it did not print at the end', async () => {
    const open = () =>
      Promise.resolve({
        tools: { ...testPlatform(world.ports, { clock: new PassingClock() }).fsck, open: false },
        close: () => Promise.resolve(),
      });
    const fsck = (...args: string[]) => ran(['fsck', ...args], {}, {}, open);
    await damaged(
      async (vandal) => {
        for (const row of await rowsIn(world, 'auditevents', 'i:all:')) await vandal.gone('auditevents', row);
      },
      async () => {
        const { code, out } = await fsck();
        expect(code).toBe(1);
        expect(out).toMatch(/^FOUND {2}event\.index .*: leaf \d+ has no such row \(--repair mends it\)$/m);
        expect(out).toMatch(/^(\d+) findings; tenants: 1; (\d+) of them not printed\n$/m);
        const json = await fsck('--json', '--tenant', TENANT);
        const counted = JSON.parse(json.out.trimEnd().split('\n').at(-1) ?? '') as Record<string, number>;
        expect(counted['findings']).toBe(
          json.out.split('"event.index"').length - 1 + (counted['untold'] ?? 0),
        );
      },
    );
    const unknown = await fsck('--tenant', 'nobody');
    expect([unknown.code, unknown.out]).toEqual([2, '']);
    expect(unknown.complaints).toContain('there is nothing of a tenant nobody');
    expect((await fsck('--tenant', 'No_body')).complaints).toContain('is not the name of a tenant');
  });
});
