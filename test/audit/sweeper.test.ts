import { beforeEach, describe, expect, it } from 'vitest';
import { Sweeper } from '../../src/audit/sweeper.js';
import { LIMITS } from '../../src/domain/limits.js';
import { partitionKey } from '../../src/storage/keys.js';
import { StorageFault, type StoragePorts } from '../../src/storage/ports.js';
import { memoryPorts } from '../support/memory-ports.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';
import { assertSealed, commitChanges, creates, DECISIONS, host, TENANT, type Host } from './support.js';

const START = Date.UTC(2026, 0, 10, 12);
const HOUR = LIMITS.dirtyQuietMs;
const OTHER = { ...DECISIONS, tenant: 'other' };
let clock: VirtualClock;
let ports: StoragePorts;
let app: Host;

beforeEach(() => {
  clock = new VirtualClock(START);
  ports = memoryPorts({ clock });
  app = host(ports, clock);
});

const sweeperOn = (on: Host): Sweeper =>
  new Sweeper({ tables: on.ports.tables, directory: on.directory, sealer: on.sealer, clock });
const dirty = async (): Promise<string[]> => (await app.directory.dirty()).map(({ tenant }) => tenant).sort();

describe('the sweep', () => {
  it('seals every tenant that has dirty partitions', async () => {
    const ids = await commitChanges(app, DECISIONS, creates(3, START));
    const others = await commitChanges(app, OTHER, creates(2, START));
    expect(await sweeperOn(app).sweep()).toEqual({ tenants: 2, sealed: 5, cleaned: 0, failures: [] });
    await assertSealed(ports, ids);
    await assertSealed(ports, others, [OTHER], 'other');
  });

  it('keeps a dirty row for an hour, though nothing is pending, and then removes it', async () => {
    await commitChanges(app, DECISIONS, creates(1, START));
    const sweeper = sweeperOn(app);
    await sweeper.sweep();
    await clock.advance(HOUR);
    expect(await sweeper.sweep()).toMatchObject({ sealed: 0, cleaned: 0 });
    expect(await dirty()).toEqual([TENANT]);
    await clock.advance(1);
    expect(await sweeper.sweep()).toMatchObject({ sealed: 0, cleaned: 1 });
    expect(await dirty()).toEqual([]);
    expect(await sweeper.sweep()).toEqual({ tenants: 0, sealed: 0, cleaned: 0, failures: [] });
  });

  it('keeps the row of a partition where something stays pending', async () => {
    const [id] = await commitChanges(app, DECISIONS, creates(1, START));
    const key = partitionKey(TENANT, DECISIONS.partition);
    const flip = { kind: 'merge', rowKey: `o:${id ?? ''}`, properties: { event: '{}' }, etag: '*' } as const;
    await ports.tables.commit('decisions', key, [flip]);
    await clock.advance(2 * HOUR);
    expect(await sweeperOn(app).sweep()).toEqual({ tenants: 1, sealed: 0, cleaned: 0, failures: [] });
    expect(await dirty()).toEqual([TENANT]);
    expect(app.corrupt).toHaveLength(1);
  });

  it('keeps a row that was announced again after it was listed', async () => {
    await commitChanges(app, DECISIONS, creates(1, START));
    await sweeperOn(app).sweep();
    await clock.advance(2 * HOUR);
    let announced = false;
    const slow = wrapPorts(ports, async (call, run) => {
      const result = await run();
      const [table, , query] = call.args as [string, string, { limit: number }];
      if (call.method === 'range' && table === 'decisions' && query.limit === 1) {
        // A writer announces and commits between our look and our delete.
        announced = true;
        await commitChanges(host(ports, clock), DECISIONS, creates(1, START + 1, 'late_'));
      }
      return result;
    });
    await sweeperOn(host(slow, clock)).sweep();
    expect(announced).toBe(true);
    expect(await dirty()).toEqual([TENANT]);
    expect(await sweeperOn(app).sweep()).toMatchObject({ sealed: 1 });
  });

  it('does not believe its own clock when that runs hours ahead of the service’s', async () => {
    await app.directory.announce(DECISIONS);
    const fast = {
      now: () => clock.now() + 5 * HOUR,
      monotonic: () => clock.monotonic(),
      sleep: () => Promise.resolve(),
    };
    const { tables } = ports;
    const sweeper = new Sweeper({ tables, directory: app.directory, sealer: app.sealer, clock: fast });
    expect(await sweeper.sweep()).toMatchObject({ cleaned: 0 });
    expect(await dirty()).toEqual([TENANT]);
  });

  it('goes on with the others when one tenant fails, and says which', async () => {
    await commitChanges(app, DECISIONS, creates(3, START));
    await commitChanges(app, OTHER, creates(2, START));
    const failing = wrapPorts(ports, (call, run) =>
      call.method === 'swap' && String(call.args[1]).startsWith(TENANT)
        ? Promise.reject(new StorageFault('unavailable', 'no answer'))
        : run(),
    );
    const report = await sweeperOn(host(failing, clock)).sweep();
    expect(report).toMatchObject({ tenants: 2, sealed: 2, failures: [{ tenant: TENANT }] });
    expect(await sweeperOn(app).sweep()).toMatchObject({ sealed: 3, failures: [] });
  });

  it('is harmless when two run at once', async () => {
    const ids = await commitChanges(app, DECISIONS, creates(20, START));
    const sweepers = [sweeperOn(app), sweeperOn(host(ports, clock))];
    await Promise.all(sweepers.map((sweeper) => sweeper.sweep()));
    await assertSealed(ports, ids);
    await clock.advance(HOUR + 1);
    await Promise.all(sweepers.map((sweeper) => sweeper.sweep()));
    expect(await dirty()).toEqual([]);
  });
});
