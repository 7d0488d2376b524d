import { beforeEach, describe, expect, it } from 'vitest';
import { JOBS_TABLE } from '../../src/lifecycle/jobs-table.js';
import type { Platform } from '../../src/platform.js';
import { conversationType } from '../../src/records/conversation.js';
import { covenantType } from '../../src/records/covenant.js';
import { metricType } from '../../src/records/metric.js';
import { StorageFault } from '../../src/storage/ports.js';
import { COVENANT } from '../support/covenants.js';
import { countingPorts } from '../support/counting-ports.js';
import { caller, testPlatform } from '../support/platform.js';
import { writeOldDecision } from '../support/old-decision.js';
import { DAY, World } from './support.js';

let world: World;
beforeEach(() => {
  world = new World();
});

const call = caller({ tenant: 'one' });

async function metric(on: Platform, requests: number): Promise<string> {
  const body = { name: 'a', metric_type: 'gauge', unit: 'd', current_value: 0 } as const;
  const id = await on.manager.storeBusinessMetric(body, call);
  for (let n = 1; n <= requests; n += 1) await on.manager.recordMetricValues(id, [{ value: n }], call);
  return id;
}

async function talk(on: Platform, messages: number): Promise<string> {
  const id = await on.manager.storeConversation({ conversation_type: 'boardroom', participants: ['ceo'] }, call); // prettier-ignore
  for (let n = 0; n < messages; n += 1) await on.manager.addMessage(id, { sender: 'a', content: `${n}` }, call); // prettier-ignore
  return id;
}

const SORTS = [
  { job: 'roll-up-series', table: 'metricentries', type: metricType, make: metric, round: 20, counted: 'digested' }, // prettier-ignore
  { job: 'move-parts', table: 'conversationmessages', type: conversationType, make: talk, round: 90, counted: 'moved' }, // prettier-ignore
] as const;

describe.each(SORTS)('the job $job', ({ job, table, type, make, round, counted }) => {
  const come = (id: string): unknown => world.rows(`w:${id}`, table)[0]?.properties['up_to'];

  it('passes a record that does not hold together, says so, and has it audited', async () => {
    const on = world.host();
    const ids = [await make(on, 1), await make(on, 1), await make(on, 1)];
    const bad = ids[1] as string;
    const [row] = world.rows(`p:${bad}:`, table);
    await world.ports.tables.commit(table, row?.partitionKey ?? '', [
      { kind: 'merge', rowKey: row?.rowKey ?? '', properties: { added_at: 'x' }, etag: '*' },
    ]);
    const { outcome, counts } = await world.host().jobs.start(job);
    expect(outcome).toBe('done');
    expect(counts['damaged']).toBe(1);
    expect(ids.map(come)).toEqual([1, undefined, 1]);
    await on.sealer.sealTenant('one');
    const { items } = await on.auditReader.list({ filters: { event_type: 'integrity.failed' }, limit: 10 }, call); // prettier-ignore
    expect(items).toMatchObject([{ resource_id: bad }]);
  });

  it('breaks off while storage does not answer, and does not take that for damage', async () => {
    const on = world.host();
    const id = await make(on, 1);
    const deaf = world.host(
      (one, run) =>
      one.args[0] === table && one.method === 'commit' ? Promise.reject(new StorageFault('unavailable', 'x')) : run(), // prettier-ignore
    );
    await expect(deaf.jobs.start(job)).rejects.toMatchObject({ code: 'storage-unavailable' });
    expect(world.rows(job, JOBS_TABLE)[0]?.properties['error']).toBe('storage-unavailable');
    await world.host().jobs.start(job);
    expect(come(id)).toBe(1);
  });

  it('stops within a record when its time is up, and goes on with what is left of it', async () => {
    const on = world.host();
    const entries = 4 * round + 5;
    const id = await make(on, entries);
    const other = await make(on, 1);
    // A round takes 10 s, and a run that somebody waits for 15 s.
    const slow = world.host((one, run) => {
      if (one.method === 'commit' && one.args[0] === table) world.clock.pass(10_000);
      return run();
    });
    const began = world.clock.monotonic();
    const first = await slow.jobs.start(job);
    expect(first.outcome).toBe('paused');
    expect(first.counts[counted]).toBeGreaterThanOrEqual(round);
    expect(first.counts[counted]).toBeLessThanOrEqual(2 * round);
    expect(world.clock.monotonic() - began).toBeLessThan(21_000);
    const outcomes: string[] = [];
    for (let run = 0; outcomes.at(-1) !== 'done' && run < 10; run += 1)
      outcomes.push((await slow.jobs.start(job)).outcome);
    expect(outcomes.at(-1)).toBe('done');
    expect([come(id), come(other)]).toEqual([entries, 1]);
  });

  it('digests as many as it is asked for', async () => {
    const on = world.host();
    const id = await make(on, round + 5);
    const { manager } = on;
    expect(await manager.digestParts(type, 'one', id, 1)).toBeGreaterThanOrEqual(round);
    expect(come(id)).toBeLessThan(round + 5);
    expect(await manager.digestParts(type, 'one', id)).toBeGreaterThan(0);
    expect(come(id)).toBe(round + 5);
  });
});

describe('a walk through partitions', () => {
  it.each(['roll-up-series', 'move-parts', 'migrate'])('passes 400 covenants in a handful of reads in %s', async (job) => {
    const { manager } = world.host();
    for (let batch = 0; batch < 4; batch += 1)
      await manager.createBatch(covenantType, Array.from({ length: 100 }, () => COVENANT), call); // prettier-ignore
    const counting = countingPorts(world.ports);
    const host = testPlatform(counting.ports, { clock: world.clock });
    expect((await host.jobs.start(job)).outcome).toBe('done');
    // What is switched off, the first tenant, the next one, and a page of its partitions for each 200 of them.
    expect(counting.counts()['tables.range']).toBeLessThanOrEqual(6);
  }); // prettier-ignore

  it('finds what lies before, between and behind partitions of no interest, in every tenant', async () => {
    const on = world.host();
    for (const tenant of ['one', 'two']) {
      const here = caller({ tenant });
      const begin = async (created: string) => {
        const id = await on.manager.storeConversation({ conversation_type: 'boardroom', participants: ['ceo'], created_at: created }, here); // prettier-ignore
        await on.manager.addMessage(id, { sender: 'a', content: 'b' }, here);
      };
      await begin('2026-01-31T12:00:00Z');
      for (let batch = 0; batch < 3; batch += 1)
        await on.manager.createBatch(covenantType, Array.from({ length: 100 }, () => COVENANT), here); // prettier-ignore
      await begin('2026-02-01T00:00:00Z');
      await on.manager.storeBusinessMetric({ name: 'a', metric_type: 'gauge', unit: 'd', current_value: 1 }, here); // prettier-ignore
      await writeOldDecision(world.ports, tenant, 1);
    }
    world.clock.pass(DAY);
    expect((await on.jobs.start('move-parts')).counts).toMatchObject({ moved: 4 });
    expect((await on.jobs.start('roll-up-series')).counts).toMatchObject({ series: 2 });
    expect((await on.jobs.start('migrate')).counts).toMatchObject({ migrated: 2 });
  });
});
