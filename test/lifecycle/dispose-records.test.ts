import { beforeEach, describe, expect, it } from 'vitest';
import type { RecordType } from '../../src/domain/record-type.js';
import type { Counts } from '../../src/lifecycle/job.js';
import type { Platform } from '../../src/platform.js';
import { agentStateType } from '../../src/records/agent-state.js';
import { conversationType } from '../../src/records/conversation.js';
import { covenantType } from '../../src/records/covenant.js';
import { decisionType } from '../../src/records/decision.js';
import { RECORD_TYPES } from '../../src/records/registry.js';
import { workflowExecutionType } from '../../src/records/workflow-execution.js';
import { StorageFault, type StoragePorts } from '../../src/storage/ports.js';
import { fsckOf } from '../audit/fsck-world.js';
import { countingPorts } from '../support/counting-ports.js';
import { runRound, workAll } from '../support/courier.js';
import { caller, testPlatform } from '../support/platform.js';
import { bodyOf } from '../support/subjects.js';
import { wrapPorts } from '../support/wrap-ports.js';
import { DAY, diesAt, endRound, HOUR, World } from './support.js';

const call = caller();
const YEAR = 365 * DAY;
let world: World;
beforeEach(() => {
  world = new World();
});

const on = (ports: StoragePorts = world.ports): Platform => testPlatform(ports, { clock: world.clock });

/** A whole round by the timer, however many runs it takes; the next one is a day later. */
async function dispose(one: Platform = on()): Promise<Counts> {
  world.clock.pass(DAY);
  const { outcome, counts } = await runRound(one, world.ports, 'dispose');
  expect(outcome).toBe('done');
  const { partitions: _, partitionsWaiting: __, ...own } = counts;
  return own;
}

const dryRun = (one: Platform = on()) => one.jobs.tryOut('dispose', { dryRun: true });
const make = async (type: RecordType, body = bodyOf(type), one = on()): Promise<string> =>
  (await one.manager.create(type, body, call)).envelope.id;
const isThere = async (type: RecordType, id: string): Promise<boolean> => {
  const read = on().manager.get(type, id, call);
  return read.then(
    () => true,
    (error: unknown) => {
      expect(error).toMatchObject({ code: 'record-erased' });
      return false;
    },
  );
};
/** Every event of the tenant's, pending ones among them. */
const events = (): Record<string, unknown>[] =>
  world.storage
    .contents()
    .rows.filter(({ row }) => row.rowKey.startsWith('o:'))
    .map(({ row }) => JSON.parse(String(row.properties['event'])) as Record<string, unknown>);
const certificates = () => events().filter(({ event_type: type }) => type === 'job.completed');

describe('retention', () => {
  it('takes each type when its years are over, and covenants never, also a thousand years later', async () => {
    const ids = new Map<RecordType, string>();
    for (const type of RECORD_TYPES) ids.set(type, await make(type));
    const there = async () => {
      const names: string[] = [];
      for (const [type, id] of ids) if (await isThere(type, id)) names.push(type.collection);
      return names.sort();
    };
    const all = RECORD_TYPES.map(({ collection }) => collection).sort();
    await dispose();
    expect(await there()).toEqual(all);
    world.clock.pass(3 * YEAR);
    await dispose();
    expect(await there()).toEqual(all.filter((name) => name !== 'conversations'));
    world.clock.pass(2 * YEAR);
    await dispose();
    expect(await there()).toEqual(['agents', 'covenants', 'decisions', 'workflow-executions']);
    world.clock.pass(2 * YEAR);
    await dispose();
    expect(await there()).toEqual(['agents', 'covenants', 'workflow-executions']);
    world.clock.pass(1000 * YEAR);
    await dispose();
    // An execution that never ended is not past its time, and of an agent the latest state stays.
    expect(await there()).toEqual(['agents', 'covenants', 'workflow-executions']);
  });

  it('of an execution counts from when it ended', async () => {
    const id = await make(workflowExecutionType);
    const run = { status: 'running' };
    let { etag } = await on().manager.get(workflowExecutionType, id, call);
    ({ etag } = await on().manager.patch(workflowExecutionType, id, run, etag, call));
    world.clock.pass(2 * YEAR);
    await on().manager.patch(workflowExecutionType, id, { status: 'completed' }, etag, call);
    world.clock.pass(3 * YEAR - 2 * DAY);
    await dispose();
    expect(await isThere(workflowExecutionType, id)).toBe(true);
    world.clock.pass(2 * DAY);
    expect(await dispose()).toMatchObject({ disposed: 1, cleared: 1 });
    expect(await isThere(workflowExecutionType, id)).toBe(false);
  });

  it('counts in calendar years, and by the clock of the service', async () => {
    const leap = await make(decisionType, { ...(bodyOf(decisionType) as object), created_at: '2020-02-29T12:00:00.000Z' }); // prettier-ignore
    // 2027 has no 29 February: over on 1 March, at noon.
    world.clock.pass(Date.UTC(2027, 2, 1, 11) - world.clock.now() - DAY);
    expect((await dispose())['disposed']).toBeUndefined();
    world.clock.pass(2 * HOUR - DAY);
    world.clock.pass(DAY);
    expect(await isThere(decisionType, leap)).toBe(true);
    await dispose();
    expect(await isThere(decisionType, leap)).toBe(false);
  });

  it('of agents takes revisions that were followed long ago, and keeps the latest', async () => {
    const id = await make(agentStateType);
    const one = on();
    let { etag } = await one.manager.get(agentStateType, id, call);
    for (let n = 0; n < 95; n += 1) {
      world.clock.pass(HOUR);
      ({ etag } = await one.manager.patch(agentStateType, id, { current_load: n / 100 }, etag, call));
    }
    world.clock.pass(300 * DAY);
    ({ etag } = await on().manager.patch(agentStateType, id, { current_load: 1 }, etag, call));
    world.clock.pass(100 * DAY);
    expect((await dryRun()).report).toMatchObject({});
    const counts = await dispose();
    expect(counts).toMatchObject({ revisions_disposed: 95 });
    expect(world.rows(`r:${id}`, 'agents')[0]?.properties).toMatchObject({ revision: 97, history_from: 96 });
    const { manager } = on();
    expect((await manager.get(agentStateType, id, call)).envelope.revision).toBe(97);
    expect((await manager.getRevision(agentStateType, id, 96, call)).envelope.revision).toBe(96);
    await expect(manager.getRevision(agentStateType, id, 95, call)).rejects.toMatchObject({ code: 'record-erased' }); // prettier-ignore
    await expect(manager.getRevision(agentStateType, id, 98, call)).rejects.toMatchObject({ code: 'record-not-found' }); // prettier-ignore
    const { items } = await manager.listRevisions(agentStateType, id, { limit: 10 }, call);
    expect(items.map(({ revision }) => revision)).toEqual([96, 97]);
    const then = new Date(world.clock.now() - 402 * DAY).toISOString();
    await expect(manager.getAsOf(agentStateType, id, then, call)).rejects.toMatchObject({ code: 'record-erased' }); // prettier-ignore
    await expect(manager.getAsOf(agentStateType, id, '2020-01-01T00:00:00.000Z', call)).rejects.toMatchObject({ code: 'record-not-found' }); // prettier-ignore
    expect(world.blobs()).toHaveLength(2);
    // What comes after it goes on from there, and all of it holds together.
    await manager.patch(agentStateType, id, { current_load: 0 }, etag, call);
    expect(world.rows(`r:${id}`, 'agents')[0]?.properties).toMatchObject({ revision: 98, history_from: 96 });
    await on().sealer.sealTenant(call.tenant);
    expect((await fsckOf(world.ports, { open: true })).told).toEqual([]);
    expect(certificates()).toEqual([]);
  });

  it('finds nothing the second time, and in the end leaves nothing but tombstones', async () => {
    for (let n = 0; n < 5; n += 1) await make(decisionType);
    const conversation = await make(conversationType);
    world.clock.pass(8 * YEAR);
    expect(await dispose()).toMatchObject({ disposed: 6, cleared: 6, lookedAt: 6 });
    await on().sealer.sealTenant(call.tenant);
    expect((await fsckOf(world.ports)).told).toEqual([]);
    const second = await dispose();
    expect(second).not.toHaveProperty('disposed');
    expect(world.rows('t:')).toEqual([]);
    expect(world.rows('t:', 'conversations')).toEqual([]);
    const left = world.storage.contents().rows.filter(({ table }) => ['decisions', 'conversations'].includes(table)); // prettier-ignore
    expect(left.every(({ row }) => row.properties['state'] === 'cleared')).toBe(true);
    expect(left.map(({ row }) => row.rowKey)).toContain(`r:${conversation}`);
    expect(world.blobs()).toEqual([]);
  });

  it('says nothing of records that were altered, and leaves them', async () => {
    const [altered, fine] = [await make(decisionType), await make(decisionType)];
    const [row] = world.rows(`r:${altered}`);
    await world.ports.tables.commit('decisions', row?.partitionKey ?? '', [{ kind: 'merge', rowKey: `r:${altered}`, etag: '*', properties: { title: 'Another' } }]); // prettier-ignore
    world.clock.pass(8 * YEAR);
    expect(await dispose()).toMatchObject({ disposed: 1, damaged: 1 });
    expect(world.rows(`r:${altered}`)[0]?.properties['title']).toBe('Another');
    expect(await isThere(decisionType, fine)).toBe(false);
    expect(events().some((event) => event['event_type'] === 'integrity.failed')).toBe(true);
  });

  it('goes by a record’s own row, whatever its row in the list says', async () => {
    const id = await make(decisionType);
    const [row] = world.rows('i:all:');
    await world.ports.tables.commit('decisions', row?.partitionKey ?? '', [{ kind: 'merge', rowKey: row?.rowKey ?? '', etag: '*', properties: { created_at: '2001-01-01T00:00:00.000Z' } }]); // prettier-ignore
    world.clock.pass(6 * YEAR);
    await dispose();
    expect(await isThere(decisionType, id)).toBe(true);
  });
});

describe('a hold', () => {
  it.each([
    ['a record', (id: string) => ({ record: { collection: 'decisions', id } })],
    ['a query', () => ({ query: { collection: 'decisions', all: true } })],
    ['a subject of an earlier revision', () => ({ subject: 'p-4711' })],
  ])('on %s beats retention until it is released', async (_, scope) => {
    const one = on();
    const id = await make(decisionType, { ...(bodyOf(decisionType) as object), metadata: { subject_ids: ['p-4711'] } }); // prettier-ignore
    const { etag } = await one.manager.get(decisionType, id, call);
    await one.manager.patch(decisionType, id, { metadata: { subject_ids: null } }, etag, call);
    const { hold } = await one.holds.place({ scope: scope(id), reason: 'A case.' }, call);
    world.clock.pass(8 * YEAR);
    expect(await dispose()).toMatchObject({ held: 1, lookedAt: 1 });
    expect(await isThere(decisionType, id)).toBe(true);
    await on().holds.release(hold.hold_id, { reason: 'Closed.' }, call);
    expect(await dispose()).toMatchObject({ disposed: 1 });
    expect(await isThere(decisionType, id)).toBe(false);
  });

  it('that is placed when the record was looked at already still counts', async () => {
    const id = await make(decisionType);
    world.clock.pass(8 * YEAR);
    let placed = false;
    const one = world.host(async ({ method, args }, run) => {
      const found = await run();
      if (!placed && method === 'find' && args[2] === `r:${id}`) {
        placed = true;
        await on().holds.place({ scope: { record: { collection: 'decisions', id } }, reason: 'Now.' }, call);
      }
      return found;
    });
    expect(await dispose(one)).toMatchObject({ held: 1 });
    expect(await isThere(decisionType, id)).toBe(true);
  });

  it('that cannot be read keeps everything', async () => {
    const id = await make(decisionType);
    await on().holds.place({ scope: { subject: 'p-1' }, reason: 'A case.' }, call);
    const [row] = world.rows('a:', 'holds').filter(({ rowKey }) => rowKey !== 'a:count');
    await world.ports.tables.commit('holds', row?.partitionKey ?? '', [{ kind: 'merge', rowKey: row?.rowKey ?? '', etag: '*', properties: { scope: '{}' } }]); // prettier-ignore
    world.clock.pass(8 * YEAR);
    expect(await dispose()).toMatchObject({ damaged: 1 });
    expect(await isThere(decisionType, id)).toBe(true);
  });
});

describe('what a tenant has set', () => {
  it('keeps longer, and where no law is in the way shorter', async () => {
    const decision = await make(decisionType);
    const talk = await make(conversationType);
    const set = { retention: { decisions: { years: 10 }, conversations: { years: 1 } } };
    await on().configurations.put({ ...(await on().configurations.of(call)), ...set }, {}, call);
    world.clock.pass(2 * YEAR);
    await dispose();
    expect([await isThere(decisionType, decision), await isThere(conversationType, talk)]).toEqual([true, false]); // prettier-ignore
    world.clock.pass(6 * YEAR);
    await dispose();
    expect(await isThere(decisionType, decision)).toBe(true);
    world.clock.pass(2 * YEAR + 5 * DAY);
    await dispose();
    expect(await isThere(decisionType, decision)).toBe(false);
  });

  it('that is damaged keeps everything', async () => {
    const id = await make(decisionType);
    await on().configurations.put(await on().configurations.of(call), {}, call);
    await world.ports.tables.commit('system', 'default:configuration', [{ kind: 'merge', rowKey: 'current', etag: '*', properties: { configuration: '{}' } }]); // prettier-ignore
    world.clock.pass(8 * YEAR);
    expect(await dispose()).toMatchObject({ damaged: expect.any(Number) as number });
    expect(await isThere(decisionType, id)).toBe(true);
  });
});

describe('a report', () => {
  it('says what would go, by which rule, of which time, and what is held, and changes nothing', async () => {
    const first = await make(decisionType);
    world.clock.pass(DAY);
    await make(decisionType);
    world.clock.pass(DAY);
    await make(decisionType);
    await on().holds.place({ scope: { record: { collection: 'decisions', id: first } }, reason: 'A.' }, call);
    world.clock.pass(7 * YEAR + 3 * DAY);
    const before = JSON.stringify(world.storage.contents().rows.filter(({ table }) => table !== 'jobs'));
    const { outcome, counts, report } = await dryRun();
    expect([outcome, counts]).toEqual(['done', { lookedAt: 3, held: 1, would_dispose: 2 }]);
    expect(Object.values(report ?? {})).toEqual([
      {
        collection: 'decisions',
        rule: { years: 7, from: 'created_at', set_by: 'declaration' },
        tallies: {
          held: { count: 1, oldest: '2026-11-21T08:00:00.000Z', newest: '2026-11-21T08:00:00.000Z' },
          would_dispose: { count: 2, oldest: '2026-11-22T08:00:00.000Z', newest: '2026-11-23T08:00:00.000Z' },
        },
      },
    ]);
    expect(JSON.stringify(world.storage.contents().rows.filter(({ table }) => table !== 'jobs'))).toBe(
      before,
    );
  });

  it('is all that a timer makes that is set so', async () => {
    const id = await make(decisionType);
    world.clock.pass(8 * YEAR);
    const dry = testPlatform(world.ports, { clock: world.clock, retention: { dryRun: true } });
    expect(await dispose(dry)).toEqual({ lookedAt: 1, would_dispose: 1 });
    const off = testPlatform(world.ports, { clock: world.clock, retention: { enabled: false } });
    world.clock.pass(DAY);
    expect(await dispose(off)).toEqual({});
    expect(await isThere(decisionType, id)).toBe(true);
  });

  it.each([{ enabled: false }, { dryRun: true }])('clears what an erasure has disposed of with %o too', async (retention) => {
    const platform = testPlatform(world.ports, { clock: world.clock, retention });
    const talk = { conversation_type: 'boardroom', participants: ['p-1'] };
    const { envelope } = await platform.manager.create(conversationType, talk, caller({ actor: 'p-1' }));
    const gone = await make(conversationType);
    await platform.sealer.sealTenant('default');
    await platform.jobs.start('index-subjects');
    await platform.erasures.request({ subject: 'p-1', reason: 'A request.' }, undefined, caller());
    await platform.jobs.start('erase');
    expect(await isThere(conversationType, envelope.id)).toBe(false);
    expect(world.rows(`v:${envelope.id}:`, 'conversations')).toHaveLength(1);
    world.clock.pass(DAY);
    expect(await dispose(platform)).toMatchObject({ cleared: 1 });
    expect(world.rows(`v:${envelope.id}:`, 'conversations')).toEqual([]);
    expect(await isThere(conversationType, gone)).toBe(true);
  }); // prettier-ignore
});

describe('a certificate', () => {
  it('is one event for each tenant and round, with what went, by which rule', async () => {
    for (let n = 0; n < 3; n += 1) await make(decisionType);
    const { manager } = on();
    await manager.create(decisionType, bodyOf(decisionType), caller({ tenant: 'zeta' }));
    await manager.create(conversationType, bodyOf(conversationType), caller({ tenant: 'quiet' }));
    world.clock.pass(2 * YEAR);
    await dispose();
    expect(certificates()).toEqual([]);
    world.clock.pass(6 * YEAR);
    expect(await dispose()).toMatchObject({ disposed: 5, certificates: 3 });
    const told = certificates();
    expect(told.map(({ tenant }) => tenant).sort()).toEqual(['default', 'quiet', 'zeta']);
    const own = told.find(({ tenant }) => tenant === 'default');
    expect(own).toMatchObject({
      action: 'dispose',
      resource_type: 'disposal',
      details: {
        certificate: 'disposal',
        collections: [
          {
            collection: 'decisions',
            rule: { years: 7, from: 'created_at', set_by: 'declaration' },
            disposed: { count: 3, oldest: '2026-11-21T08:00:00.000Z' },
          },
        ],
      },
    });
    // It is in the log and provable like any event.
    await on().sealer.sealTenant('default');
    const id = String(own?.['event_id']);
    expect(await on().auditLog.proofs.ofEvent(id, call)).toMatchObject({
      event: expect.stringContaining(id) as string,
    });
    await dispose();
    expect(certificates().filter(({ tenant }) => tenant === 'default')).toEqual([]);
  });

  it('counts each record once, wherever hosts die', async () => {
    for (let n = 0; n < 12; n += 1) await make(decisionType);
    world.clock.pass(8 * YEAR + DAY);
    for (let at = 5; at < 200; at += 9) {
      let calls = 0;
      const ports = wrapPorts(world.ports, diesAt(() => (calls += 1) > at)); // prettier-ignore
      await runRound(on(ports), ports, 'dispose').catch(() => undefined);
      // Its claim runs out; the round it left is gone on with.
      world.clock.pass(3 * 60_000);
    }
    await endRound(world, 'dispose');
    expect(certificates()).toMatchObject([{ details: { collections: [{ disposed: { count: 12 } }] } }]);
    expect(world.rows('i:')).toEqual([]);
  });
});

describe('a partition that cannot be worked in', () => {
  it('stops no other: the certificate says that it is not counted, and the next round takes it', async () => {
    const in2015 = (month: string) => ({ ...(bodyOf(decisionType) as object), created_at: `2015-${month}-01T00:00:00.000Z` }); // prettier-ignore
    const ids = [await make(decisionType, in2015('03')), await make(decisionType, in2015('04'))];
    const there = () => Promise.all(ids.map((id) => isThere(decisionType, id)));
    const ports = wrapPorts(world.ports, ({ method, args }, run) =>
      method === 'range' && args[1] === 'default:2015-03' ? Promise.reject(new StorageFault('refused', 'no')) : run(),
    );
    let ended = false;
    for (let minutes = 0; !ended && minutes < 300; minutes += 5) {
      ended = (await on(ports).jobs.run('dispose')).outcome === 'done';
      await workAll(on(ports), ports);
      world.clock.pass(5 * 60_000);
    }
    expect(await there()).toEqual([true, false]);
    const job = (await on().jobs.list()).items.find(({ name }) => name === 'dispose');
    expect(job).toMatchObject({ state: 'resting', error: 'refused', counts: { partitions: 2, partitions_failed: 1, disposed: 1 } }); // prettier-ignore
    expect(certificates()).toMatchObject([{ details: { partitions_not_counted: 1, collections: [{ disposed: { count: 1 } }] } }]); // prettier-ignore
    expect(await dispose()).toMatchObject({ disposed: 1 });
    expect(await there()).toEqual([false, false]);
    expect(certificates()[1]?.['details']).not.toHaveProperty('partitions_not_counted');
  }); // prettier-ignore
});

describe('a pause', () => {
  it('stops it', async () => {
    const id = await make(decisionType);
    world.clock.pass(8 * YEAR);
    await on().jobs.suspend();
    expect(await on().jobs.run('dispose')).toMatchObject({ outcome: 'suspended' });
    expect(await isThere(decisionType, id)).toBe(true);
    await on().jobs.resume();
    expect(await dispose()).toMatchObject({ disposed: 1 });
  });
});

describe('the calls it makes', () => {
  it('are so many for a record, and none for one whose time is not over', async () => {
    for (let n = 0; n < 10; n += 1) await make(decisionType);
    world.clock.pass(8 * YEAR);
    for (let n = 0; n < 10; n += 1) await make(decisionType);
    const cost = async () => {
      const counted = countingPorts(world.ports);
      await dispose(on(counted.ports));
      return Object.values(counted.counts()).reduce((a, b) => a + b, 0);
    };
    const some = await cost();
    const none = await cost();
    for (let n = 0; n < 10; n += 1) await make(decisionType);
    world.clock.pass(8 * YEAR);
    await cost();
    // 10: its row, the holds, the transaction; its row, the list of its blobs, a blob, its revisions, its row and the row
    // `t:`, the transaction that says so.
    expect((some - none) / 10).toBeLessThan(11.5);
    const young = await cost();
    for (let n = 0; n < 30; n += 1) await make(decisionType);
    expect((await cost()) - young).toBeLessThanOrEqual(12);
  });

  it('grow with the records, and memory does not', async () => {
    const callsFor = async (records: number): Promise<number> => {
      world = new World();
      const one = on();
      for (let made = 0; made < records; made += 100) await one.manager.createBatch(decisionType, Array.from({ length: 100 }, () => bodyOf(decisionType)), call); // prettier-ignore
      world.clock.pass(8 * YEAR);
      const counted = countingPorts(world.ports);
      expect(await dispose(on(counted.ports))).toMatchObject({ disposed: records });
      return counted.calls.length;
    };
    const [few, many] = [await callsFor(500), await callsFor(2000)];
    expect(many / few).toBeLessThan(4.1);
  }, 60_000);

  it('leave covenants alone', async () => {
    await make(covenantType);
    world.clock.pass(2000 * YEAR);
    expect(await dispose()).not.toHaveProperty('lookedAt');
  });
});
