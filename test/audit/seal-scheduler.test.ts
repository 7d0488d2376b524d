import { beforeEach, describe, expect, it } from 'vitest';
import { SealScheduler, type SchedulerSettings } from '../../src/audit/seal-scheduler.js';
import type { SealOptions, SealOutcome } from '../../src/audit/sealer.js';
import { sealWorkSchema } from '../../src/audit/seal-work.js';
import type { PartitionRef } from '../../src/storage/directory.js';
import { StorageFault, type StoragePorts } from '../../src/storage/ports.js';
import { memoryPorts } from '../support/memory-ports.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';
import { commitChanges, creates, DECISIONS, host, streamLines, TENANT } from './support.js';

interface Run {
  readonly tenant: string;
  readonly partitions: readonly PartitionRef[];
  readonly atMs: number;
  end(outcome?: SealOutcome | Error): void;
}

let clock: VirtualClock;
let ports: StoragePorts;
let runs: Run[];
let errors: unknown[];
const OTHER = { ...DECISIONS, partition: '2026-02' };
const FOREIGN = { ...DECISIONS, tenant: 'other' };
const settle = (): Promise<void> => clock.advance(0);

beforeEach(() => {
  clock = new VirtualClock();
  ports = memoryPorts({ clock });
  runs = [];
  errors = [];
});

function scheduler(settings: Partial<SchedulerSettings> = {}, on: StoragePorts = ports): SealScheduler {
  const sealTenant = (tenant: string, { partitions = [] }: SealOptions = {}): Promise<SealOutcome> =>
    new Promise((resolve, reject) => {
      const end = (outcome: SealOutcome | Error = { sealed: 1, busy: false }): void =>
        outcome instanceof Error ? reject(outcome) : resolve(outcome);
      runs.push({ tenant, partitions, atMs: clock.monotonic(), end });
    });
  return new SealScheduler(
    { sealer: { sealTenant }, queues: on.queues, clock, onError: (error) => errors.push(error) },
    settings,
  );
}

describe('the seal scheduler', () => {
  it('seals a second after the first commit, everything hinted by then', async () => {
    const seals = scheduler();
    seals.committed(DECISIONS);
    await clock.advance(600);
    seals.committed(OTHER);
    seals.committed(DECISIONS);
    await clock.advance(399);
    expect(runs).toEqual([]);
    await clock.advance(1);
    expect(runs).toHaveLength(1);
    expect(runs[0]).toMatchObject({ tenant: TENANT, partitions: [DECISIONS, OTHER], atMs: 1000 });
  });

  it('never runs twice at once for a tenant, and again for what came meanwhile', async () => {
    const seals = scheduler();
    seals.committed(DECISIONS);
    await clock.advance(1000);
    seals.committed(OTHER);
    await clock.advance(10_000);
    expect(runs).toHaveLength(1);
    runs[0]?.end();
    await clock.advance(1000);
    expect(runs).toHaveLength(2);
    expect(runs[1]?.partitions).toEqual([OTHER]);
    runs[1]?.end();
    await clock.advance(60_000);
    expect(runs).toHaveLength(2);
    seals.committed(DECISIONS);
    await clock.advance(1000);
    expect(runs).toHaveLength(3);
  });

  it.each([0, 1, 2, 3, 4, 5, 6])('loses no hint that comes %i steps after a run ended', async (steps) => {
    const seals = scheduler();
    seals.committed(DECISIONS);
    await clock.advance(1000);
    runs[0]?.end();
    for (let step = 0; step < steps; step += 1) await Promise.resolve();
    seals.committed(OTHER);
    await clock.advance(1000);
    expect(runs[1]?.partitions).toEqual([OTHER]);
  });

  it('runs tenants beside each other', async () => {
    const seals = scheduler();
    seals.committed(DECISIONS);
    seals.committed(FOREIGN);
    await clock.advance(1000);
    expect(runs.map(({ tenant }) => tenant)).toEqual([TENANT, 'other']);
  });

  it('tries again two seconds after it found somebody else sealing, with what it knows', async () => {
    const seals = scheduler();
    seals.committed(DECISIONS);
    await clock.advance(1000);
    seals.committed(OTHER);
    runs[0]?.end({ sealed: 0, busy: true });
    await clock.advance(1999);
    expect(runs).toHaveLength(1);
    await clock.advance(1);
    expect(runs[1]).toMatchObject({ partitions: [DECISIONS, OTHER], atMs: 3000 });
  });

  it('reports a failure, leaves it to the sweep, and goes on with the next commit', async () => {
    const seals = scheduler();
    seals.committed(DECISIONS);
    await clock.advance(1000);
    runs[0]?.end(new Error('no answer'));
    await clock.advance(60_000);
    expect(errors).toHaveLength(1);
    expect(runs).toHaveLength(1);
    seals.committed(OTHER);
    await clock.advance(1000);
    expect(runs).toHaveLength(2);
  });

  it('sends one message per tenant and interval, due when the interval is over', async () => {
    const seals = scheduler();
    const received = async (): Promise<string[]> =>
      (await ports.queues.receive('seal-work', { limit: 32, hiddenS: 3600 })).map(({ text }) => text);
    for (let n = 0; n < 50; n += 1) seals.committed(DECISIONS);
    seals.committed(FOREIGN);
    await clock.advance(29_999);
    seals.committed(DECISIONS);
    expect(await received()).toEqual([]);
    await clock.advance(1);
    const texts = await received();
    expect(texts.map((text) => sealWorkSchema.parse(JSON.parse(text)))).toEqual([
      { schema_version: '1.0', tenant: TENANT },
      { schema_version: '1.0', tenant: 'other' },
    ]);
    seals.committed(DECISIONS);
    await clock.advance(30_000);
    expect(await received()).toHaveLength(1);
  });

  it('sends no more of them where tenants take turns, in a process that is old', async () => {
    await clock.advance(100_000);
    const seals = scheduler();
    for (let turn = 0; turn < 5; turn += 1) {
      for (const ref of [DECISIONS, FOREIGN]) seals.committed(ref);
      await clock.advance(5_999);
    }
    await clock.advance(60_000);
    expect(await ports.queues.receive('seal-work', { limit: 32, hiddenS: 3600 })).toHaveLength(2);
  });

  it('does not fail the caller when the queue does', async () => {
    const broken = wrapPorts(ports, () => Promise.reject(new StorageFault('unavailable', 'no answer')));
    const seals = scheduler({}, broken);
    expect(() => seals.committed(DECISIONS)).not.toThrow();
    await settle();
    expect(errors).toHaveLength(1);
  });

  it('drains what is hinted without waiting', async () => {
    const seals = scheduler();
    seals.committed(DECISIONS);
    seals.committed(FOREIGN);
    let drained = false;
    const draining = seals.drain(5000).then(() => (drained = true));
    await settle();
    expect(runs).toHaveLength(2);
    runs[0]?.end();
    await settle();
    expect(drained).toBe(false);
    runs[1]?.end();
    await draining;
    expect(clock.monotonic()).toBe(0);
  });

  it('drains no longer than it is given', async () => {
    const seals = scheduler();
    seals.committed(DECISIONS);
    const draining = seals.drain(5000);
    await clock.advance(5000);
    await draining;
    expect(runs).toHaveLength(1);
  });

  it('has nothing to drain when nothing is hinted', async () => {
    await scheduler().drain(5000);
    expect(runs).toEqual([]);
  });

  it('seals for real', async () => {
    const app = host(ports, clock);
    const seals = new SealScheduler({
      sealer: app.sealer,
      queues: ports.queues,
      clock,
      onError: (e) => errors.push(e),
    });
    await commitChanges(app, DECISIONS, creates(5, clock.now()));
    seals.committed(DECISIONS);
    await seals.drain(1000);
    expect(errors).toEqual([]);
    expect(await streamLines(ports)).toHaveLength(5);
  });
});

describe('whoever waits for a seal', () => {
  it('has the next round begin now, and hears of its end', async () => {
    const seals = scheduler();
    seals.committed(DECISIONS);
    let ended = false;
    void seals.soon(TENANT).then(() => (ended = true));
    await settle();
    expect(runs).toHaveLength(1);
    expect(runs[0]).toMatchObject({ partitions: [DECISIONS], atMs: 0 });
    expect(ended).toBe(false);
    runs[0]?.end();
    await settle();
    expect(ended).toBe(true);
  });

  it('hears of the round after the one that is on, or that there is none', async () => {
    const seals = scheduler();
    seals.committed(DECISIONS);
    await clock.advance(1000);
    seals.committed(OTHER);
    let ended = 0;
    void seals.soon(TENANT).then(() => (ended += 1));
    runs[0]?.end();
    await settle();
    expect([runs.length, ended]).toEqual([2, 0]);
    void seals.soon(TENANT).then(() => (ended += 1));
    runs[1]?.end(new Error('no answer'));
    await settle();
    expect([runs.length, ended]).toEqual([2, 2]);
  });

  it('has it looked everywhere where this process knows of nothing, and again when another was at it', async () => {
    const seals = scheduler();
    void seals.soon(TENANT);
    await settle();
    expect(runs[0]).toMatchObject({ partitions: [], atMs: 0 });
    runs[0]?.end({ sealed: 0, busy: true });
    await clock.advance(1999);
    expect(runs).toHaveLength(1);
    await clock.advance(1);
    expect(runs).toHaveLength(2);
    runs[1]?.end();
    await clock.advance(60_000);
    expect(runs).toHaveLength(2);
  });
});
