import { beforeEach, describe, expect, it } from 'vitest';
import { CheckPartitions } from '../../src/lifecycle/check-partitions.js';
import { decisionType } from '../../src/records/decision.js';
import { Budget } from '../../src/storage/backoff.js';
import { Directory } from '../../src/storage/directory.js';
import { countingPorts } from '../support/counting-ports.js';
import { seededEntropy } from '../support/entropy.js';
import { caller } from '../support/platform.js';
import { BODY, DAY, round, World } from './support.js';

let world: World;
beforeEach(() => {
  world = new World();
});

const check = (ports = world.ports): CheckPartitions => {
  const entropy = seededEntropy('check');
  const directory = new Directory(ports.tables, world.clock);
  return new CheckPartitions({ tables: ports.tables, directory, budget: () => new Budget(world.clock, entropy) }); // prettier-ignore
};

async function create(tenant: string, month: string): Promise<void> {
  await world.host().manager.create(decisionType, { ...BODY, created_at: `${month}-01T00:00:00Z` }, caller({ tenant })); // prettier-ignore
}

async function forgetDirty(): Promise<void> {
  const { directory } = world.host();
  for (const entry of await directory.dirty()) await directory.clean(entry);
  expect(await directory.dirty()).toEqual([]);
}

describe('the daily check', () => {
  it('finds an event whose dirty row was lost, and the sweep seals it', async () => {
    await create('acme', '2024-03');
    await forgetDirty();
    const platform = world.host();
    expect(await platform.sweeper.sweep()).toMatchObject({ tenants: 0, sealed: 0 });
    expect(await round(check(), world.clock.now())).toEqual({ partitions: 1, pending: 1 });
    expect(await platform.sweeper.sweep()).toMatchObject({ tenants: 1, sealed: 1 });
    expect(await round(check(), world.clock.now())).toMatchObject({ pending: 0 });
  });

  it('finds it also from the process that believes to have announced it a moment ago', async () => {
    const platform = world.host();
    await platform.manager.create(decisionType, BODY, caller());
    await forgetDirty();
    expect(await platform.jobs.run('check-partitions')).toMatchObject({ outcome: 'done', counts: { pending: 1 } }); // prettier-ignore
    expect(await platform.directory.dirty()).toHaveLength(1);
  });

  it('looks into every partition of every tenant and table, a page at a time, and writes nothing where all is sealed', async () => {
    for (const tenant of ['a', 'b', 'c'])
      for (const month of ['2024-01', '2024-02']) await create(tenant, month);
    await world.host().sweeper.sweep();
    const counting = countingPorts(world.ports);
    expect(await round(check(counting.ports), world.clock.now())).toEqual({ partitions: 9, pending: 0 });
    // Two months and a day of audit events in each of three tenants. One read each, one for the partitions of each tenant, one for each next tenant and one for the first.
    expect(counting.counts()).toEqual({ 'tables.range': 9 + 3 + 4 });
  });

  it('walks a tenant of more partitions than a page', async () => {
    const { directory } = world.host();
    for (let at = 0; at < 450; at += 1) await directory.register({ tenant: 'a', table: 'decisions', partition: `p${at}` }); // prettier-ignore
    expect(await round(check(), world.clock.now())).toEqual({ partitions: 450, pending: 0 });
  });

  it('is done at once where there is nothing', async () => {
    expect(await round(check(), world.clock.now())).toEqual({});
  });

  it('comes round once a day', async () => {
    await create('acme', '2024-03');
    const { jobs } = world.host();
    const run = async () => (await jobs.run('check-partitions')).outcome;
    expect([await run(), await run()]).toEqual(['done', 'resting']);
    world.clock.pass(DAY);
    expect([await run(), await run()]).toEqual(['done', 'resting']);
  });
});
