import { describe, expect, it, vi } from 'vitest';
import type { Platform } from '../../src/platform.js';
import { covenantType, type CovenantLedger } from '../../src/records/covenant.js';
import type { CallContext } from '../../src/storage/manager-types.js';
import { StorageFault } from '../../src/storage/ports.js';
import { AMENDMENT, COVENANT } from '../support/covenants.js';
import { inTime } from '../support/in-time.js';
import { memoryStorage, type StorageContents } from '../support/memory-ports.js';
import { caller, testPlatform } from '../support/platform.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts, type Intercept } from '../support/wrap-ports.js';
import { halfDoneViolations, violationsOf } from './invariants.js';

vi.mock('lru-cache', () => import('../support/small-caches.js'));

/**
 * Records whose lists lie in another partition, every call of every way to write them interfered with: what was
 * acknowledged is listed as it is, by whoever took over, and a storage at rest is whole.
 */
const WAYS = ['never happened', 'happened but reported failure', 'stopped right after'] as const;
interface Fault {
  readonly call: number;
  readonly way: (typeof WAYS)[number];
}

const HOUR = 3_600_000;
const keyed: CallContext = caller({ idempotency: { key: 'k', scope: 's', fingerprint: 'f' } });
const plain = caller();
const active = { ...COVENANT, status: 'active' };

/** More than go out at once, so that one that dies has committed some of them. */
const SIX = Array.from({ length: 6 }, (_, n) => (n % 2 === 0 ? active : COVENANT));

interface Write {
  readonly name: string;
  /** Resolves to the ids and revisions that were made. */
  readonly run: (platform: Platform, id: string) => Promise<readonly { id: string; revision: number }[]>;
}

const act =
  (action: string, body: object) =>
  async ({ manager }: Platform, id: string) => {
    const { envelope } = await manager.act(covenantType, id, action, body, undefined, keyed);
    return [{ id: envelope.id, revision: envelope.revision }];
  };

const WRITES: readonly Write[] = [
  { name: 'create', run: async ({ manager }) => [(await manager.create(covenantType, active, keyed)).envelope] }, // prettier-ignore
  { name: 'amendment', run: act('amendments', AMENDMENT) },
  { name: 'version', run: act('versions', { ...COVENANT, version: '2', compliance_standard: 'BIC-2.0' }) },
  { name: 'batch', run: async ({ manager }) => (await manager.createBatch(covenantType, SIX, keyed)).items }, // prettier-ignore
  {
    name: 'sealing of what nobody has listed',
    run: async (platform, id) => {
      await platform.sealer.sealTenant(plain.tenant);
      return [{ id, revision: 1 }];
    },
  },
];

class Stage {
  readonly clock = new VirtualClock(Date.UTC(2026, 5, 1));
  readonly storage = memoryStorage({ clock: this.clock });
  calls = 0;

  host(intercept?: Intercept): Platform {
    const { ports } = this.storage;
    return testPlatform(intercept === undefined ? ports : wrapPorts(ports, intercept), { clock: this.clock });
  }

  /** Counts the calls of a host, and interferes with one. */
  troubled(fault: Fault | undefined): Platform {
    let dead = false;
    return this.host(async (_, run) => {
      if (dead) return new Promise(() => undefined);
      this.calls += 1;
      if (this.calls !== fault?.call) return run();
      if (fault.way === 'never happened') throw new StorageFault('unavailable', 'no answer');
      await run();
      if (fault.way === 'happened but reported failure') throw new StorageFault('unavailable', 'no answer');
      dead = true;
      return new Promise(() => undefined);
    });
  }

  /** A covenant whose writer died before it was listed, where `unlisted`. */
  async prepare(unlisted: boolean): Promise<string> {
    const platform = this.host(async ({ method, args }, run) =>
      unlisted && method === 'commit' && String(args[1]).endsWith(':index')
        ? Promise.reject(new StorageFault('refused', 'no'))
        : run(),
    );
    return (await inTime(this.clock, platform.manager.create(covenantType, active, plain))).envelope.id;
  }

  /** One process takes over, does what jobs and sweeps do, and lets the time pass that they wait for. */
  async recover(): Promise<void> {
    const platform = this.host();
    for (const hours of [1, 30, 1, 2, 2]) {
      await this.clock.advance(hours * HOUR);
      await inTime(this.clock, platform.sweeper.sweep());
      for (const job of ['check-partitions', 'collect-orphans'])
        await inTime(this.clock, platform.jobs.run(job));
    }
  }
}

/** What is wrong after a write that one call of went wrong, and how many calls there were. */
async function outcomeOf(
  write: Write,
  fault: Fault | undefined,
): Promise<{ calls: number; wrong: string[] }> {
  const stage = new Stage();
  const id = await stage.prepare(write.name.startsWith('sealing'));
  const subject = stage.troubled(fault);
  const first = write.run(subject, id).catch((error: unknown) => error);
  if (fault?.way === 'stopped right after') await stage.clock.advance(90_000);
  else await inTime(stage.clock, first);
  const wrong = halfDoneViolations(stage.storage.contents());
  await stage.clock.advance(90_000);
  const { calls } = stage;

  // The client repeats with its key, and another host answers.
  const other = stage.host();
  const told = await inTime(stage.clock, write.run(other, id));
  const list = await inTime(stage.clock, other.manager.list(covenantType, { filters: {}, limit: 100 }, plain)); // prettier-ignore
  for (const { id: known, revision } of told) {
    const shown = list.items.filter((item) => item['id'] === known).map((item) => item['revision']);
    if (shown.join() !== String(revision)) wrong.push(`${known} ${revision} is listed as ${shown.join()}`);
  }
  wrong.push(...halfDoneViolations(stage.storage.contents()));
  await stage.recover();
  const { survey, violations } = violationsOf(stage.storage.contents(), { collected: true });
  wrong.push(...violations);
  const expected = write.name === 'batch' ? 1 + SIX.length : write.name === 'create' ? 2 : 1;
  const records = [...survey.records.values()].filter(({ revisions }) => revisions.length > 0);
  if (records.length !== expected) wrong.push(`there are ${records.length} records`);
  const { verified, entries } = (await other.manager.getView(covenantType, id, 'ledger', plain)).view as unknown as CovenantLedger; // prettier-ignore
  if (!verified || entries.length !== (write.name === 'amendment' ? 1 : 0)) wrong.push('the ledger is wrong');
  return { calls, wrong };
}

describe('covenants and their lists, whatever becomes of a call', () => {
  for (const write of WRITES)
    it(`${write.name} is done once and listed`, { timeout: 120_000 }, async () => {
      const { calls, wrong } = await outcomeOf(write, undefined);
      expect(wrong).toEqual([]);
      expect(calls).toBeGreaterThan(4);
      for (let call = 1; call <= calls; call += 1)
        for (const way of WAYS) {
          const outcome = await outcomeOf(write, { call, way });
          expect({ call, way, wrong: outcome.wrong }).toEqual({ call, way, wrong: [] });
        }
    });
});

describe('lists that are not whole are seen to be so', () => {
  const damaged = async (change: (contents: StorageContents) => StorageContents): Promise<string[]> => {
    const stage = new Stage();
    await stage.prepare(false);
    await stage.recover();
    expect(violationsOf(stage.storage.contents(), { collected: true }).violations).toEqual([]);
    return violationsOf(change(stage.storage.contents()), { collected: true }).violations;
  };
  const without =
    (key: RegExp) =>
    (contents: StorageContents): StorageContents => ({
      ...contents,
      rows: contents.rows.filter(({ table, row }) => table !== 'covenants' || !key.test(row.rowKey)),
    });

  it('by an index row that is gone, and by the row that names them', async () => {
    expect((await damaged(without(/^i:status:/))).join('; ')).toMatch(/is missing.*is named and missing/);
    expect((await damaged(without(/^s:/))).join('; ')).toMatch(/is named by no list row/);
    expect((await damaged(without(/^[is]:/))).join('; ')).toMatch(/index row default:index i:all.* is missing/); // prettier-ignore
  });
});
