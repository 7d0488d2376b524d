import { afterEach, describe, expect, it } from 'vitest';
import type { RecordType } from '../../src/domain/record-type.js';
import { storageNames, type Platform } from '../../src/platform.js';
import { agentStateType } from '../../src/records/agent-state.js';
import { conversationType } from '../../src/records/conversation.js';
import { covenantType } from '../../src/records/covenant.js';
import { decisionType } from '../../src/records/decision.js';
import { metricType } from '../../src/records/metric.js';
import { RECORD_TYPES } from '../../src/records/registry.js';
import type { DisposalOrder } from '../../src/storage/record-disposer.js';
import type { StoragePorts } from '../../src/storage/ports.js';
import { fsckOf } from '../audit/fsck-world.js';
import { Sleeper, World } from '../lifecycle/support.js';
import { caller, STORAGES, testPlatform } from '../support/platform.js';
import { add, additionsOf, bodyOf } from '../support/subjects.js';

const call = caller();
const ORDER: DisposalOrder = {
  cause: 'retention',
  details: { rule: 'years' },
  mayGo: () => Promise.resolve(true),
};
const never = (): boolean => false;
const DISPOSABLE = RECORD_TYPES.filter((type) => type !== covenantType);

const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

async function platformOn(kind: (typeof STORAGES)[number]): Promise<{ ports: StoragePorts; one: Platform }> {
  const storage = await kind.open(storageNames());
  open.push(storage);
  return { ports: storage.ports, one: testPlatform(storage.ports) };
}

/** A record with everything that can be added to it, some revisions, and another one beside it. */
async function grown(one: Platform, type: RecordType): Promise<string> {
  const { envelope } = await one.manager.create(type, bodyOf(type), call);
  await one.jobs.start('roll-up-series');
  for (const addition of additionsOf(type)) {
    await add(one.manager, type, envelope.id, addition, call).catch(() => undefined);
    await one.jobs.start('move-parts');
    await one.jobs.start('roll-up-series');
  }
  return envelope.id;
}

async function gone(one: Platform, type: RecordType, id: string, last = true): Promise<void> {
  const { disposer, clearer } = one.manager.disposal;
  expect(await disposer.dispose(type, id, ORDER, call)).toBe('disposed');
  expect(await clearer.clear(type, call.tenant, id, {}, never)).toBe(true);
  if (last) expect(await clearer.clear(type, call.tenant, id, { last }, never)).toBe(true);
}

describe.each(STORAGES)('a record that is disposed of, $name', (kind) => {
  it.each(DISPOSABLE)('of type $recordType leaves a tombstone and nothing that it said', async (type) => {
    const { ports, one } = await platformOn(kind);
    const id = await grown(one, type);
    await one.sealer.sealTenant(call.tenant);
    await gone(one, type, id);
    const reads: readonly (() => Promise<unknown>)[] = [
      () => one.manager.get(type, id, { ...call, fresh: true }),
      () => one.manager.getRevision(type, id, 1, call),
      () => one.manager.getAsOf(type, id, '2020-01-01T00:00:00.000Z', call),
      () => one.manager.getStored(type, id, undefined, call),
      () => one.manager.getStored(type, id, 1, call),
      () => one.manager.listRevisions(type, id, { limit: 10 }, call),
      () => one.manager.patch(type, id, {}, '"r1"', call),
      () => one.manager.lineage(type, id, { direction: 'up', depth: 1 }, call),
      () => one.manager.migrate(type, id, false, call),
      ...(type.parts === undefined
        ? []
        : [
            () => one.manager.listParts(type, id, type.parts?.path ?? '', { limit: 10 }, call),
            () => one.manager.addPart(type, id, type.parts?.path ?? '', type.parts?.example, undefined, call),
          ]),
      ...(type.parts?.series === undefined
        ? []
        : [() => one.manager.listValues(type, id, 'values', { limit: 10 } as never, call)]),
      ...Object.entries(type.actions).map(
        ([name, { example }]) =>
          () =>
            one.manager.act(type, id, name, example, undefined, call),
      ),
    ];
    const another = testPlatform(ports);
    for (const read of reads)
      await expect(read(), String(read)).rejects.toMatchObject({ code: 'record-erased' });
    await expect(another.manager.get(type, id, call)).rejects.toMatchObject({ code: 'record-erased' });
    await expect(another.manager.get(type, id, { ...call, tenant: 'zeta' })).rejects.toMatchObject({
      code: 'record-not-found',
    });
    const listed = await another.manager.list(type, { filters: {}, limit: 100 }, call);
    expect(listed.items).toEqual([]);
    // The event is one like any other, and everything is as it should be.
    await one.sealer.sealTenant(call.tenant);
    const { result, told } = await fsckOf(ports, { open: true });
    expect(told).toEqual([]);
    expect(result).toMatchObject({ findings: 0 });
    expect(await one.manager.disposal.disposer.dispose(type, id, ORDER, call)).toBe('gone');
  });
});

describe('what a disposal leaves in storage', () => {
  it.each(DISPOSABLE)('of type $recordType is named by the tombstone and the log alone', async (type) => {
    const world = new World();
    const one = world.host();
    const id = await grown(one, type);
    const kept = await grown(one, decisionType);
    await one.sealer.sealTenant(call.tenant);
    await gone(one, type, id);
    const { rows, blobs } = world.storage.contents();
    expect(blobs.filter(({ container, name }) => container === 'records' && name.includes(id))).toEqual([]);
    const left = rows
      .filter(({ row }) => row.rowKey.includes(id) || row.partitionKey.includes(id))
      .map(({ table, row }) => `${table} ${row.rowKey}`)
      // Events, and in the index of subjects keyed hashes of whom it named.
      .filter((name) => !/^(?:auditevents|subjects) /.test(name));
    const lookup = type.partition.kind === 'member' ? [`lookups r:${id}`] : [];
    const head = type.parts === undefined ? [] : [`${type.parts.table} h:${id}`];
    expect(left.sort()).toEqual([`${type.table} r:${id}`, ...head, ...lookup].sort());
    const { properties } = world.rows(`r:${id}`, type.table)[0] ?? { properties: {} };
    expect(Object.keys(properties).sort()).toEqual(
      ['cause', 'checksum', 'created_at', 'disposed_at', 'event_id', 'id', 'record_type', 'revision', 'row_checksum', 'schema_version', 'state', 'tombstone'], // prettier-ignore
    );
    expect(properties).toMatchObject({ tombstone: true, state: 'cleared', cause: 'retention' });
    await expect(one.manager.get(decisionType, kept, call)).resolves.toBeDefined();
  });

  it('is said in one event, without a word of the record', async () => {
    const world = new World();
    const one = world.host();
    const { envelope } = await one.manager.create(decisionType, bodyOf(decisionType), call);
    await gone(one, decisionType, envelope.id);
    const events = world
      .rows('o:')
      .map(({ properties }) => JSON.parse(String(properties['event'])) as object);
    expect(events).toMatchObject([
      { event_type: 'record.created' },
      {
        event_type: 'record.disposed',
        action: 'dispose',
        resource_id: envelope.id,
        details: { cause: 'retention', revision: 1, checksum: envelope.checksum, rule: 'years' },
      },
    ]);
    expect(events[1]).not.toHaveProperty('revision');
  });

  it('leaves what was derived from it, and what it was derived from', async () => {
    const world = new World();
    const one = world.host();
    const make = async (from: string[]) =>
      (await one.manager.create(decisionType, { decision_type: 'strategic', title: 'One', metadata: { derived_from: from } }, call)).envelope.id; // prettier-ignore
    const first = await make([]);
    const second = await make([first]);
    const third = await make([second]);
    expect(world.rows(`d:${first}:`, 'lineage')).toHaveLength(1);
    await gone(one, decisionType, second);
    expect(world.rows(`d:${first}:`, 'lineage')).toHaveLength(0);
    const up = await one.manager.lineage(decisionType, third, { direction: 'up', depth: 5 }, call);
    expect(up.nodes).toMatchObject([{ id: third }, { id: second, missing: true }]);
    const down = await one.manager.lineage(decisionType, first, { direction: 'down', depth: 5 }, call);
    expect(down.nodes.map(({ id }) => id)).toEqual([first]);
    await one.sealer.sealTenant(call.tenant);
    expect((await fsckOf(world.ports)).told).toEqual([]);
  });
});

describe('whoever disposes', () => {
  it('is told that covenants are kept for ever, whatever the cause', async () => {
    const world = new World();
    const one = world.host();
    const { envelope } = await one.manager.create(covenantType, bodyOf(covenantType), call);
    for (const cause of ['retention', 'erasure'] as const)
      await expect(
        one.manager.disposal.disposer.dispose(covenantType, envelope.id, { ...ORDER, cause }, call),
      ).rejects.toMatchObject({ code: 'record-immutable' });
    await expect(one.manager.get(covenantType, envelope.id, call)).resolves.toBeDefined();
  });

  it('asks right before the transaction, and leaves what may not go', async () => {
    const world = new World();
    const one = world.host();
    const { envelope } = await one.manager.create(decisionType, bodyOf(decisionType), call);
    const { disposer } = one.manager.disposal;
    const before = JSON.stringify(world.storage.contents());
    const no = { ...ORDER, mayGo: () => Promise.resolve(false) };
    expect(await disposer.dispose(decisionType, envelope.id, no, call)).toBe('kept');
    const mayGo = () => Promise.reject(new Error('on hold'));
    await expect(disposer.dispose(decisionType, envelope.id, { ...ORDER, mayGo }, call)).rejects.toThrow('on hold'); // prettier-ignore
    expect(JSON.stringify(world.storage.contents())).toBe(before);
  });

  it('leaves a row that was altered, and one that was made to look disposed of', async () => {
    const world = new World();
    const one = world.host();
    const { envelope } = await one.manager.create(decisionType, bodyOf(decisionType), call);
    const [row] = world.rows(`r:${envelope.id}`);
    for (const properties of [{ title: 'Another' }, { tombstone: true }]) {
      await world.ports.tables.commit('decisions', row?.partitionKey ?? '', [{ kind: 'replace', rowKey: `r:${envelope.id}`, etag: '*', properties: { ...row?.properties, ...properties } }]); // prettier-ignore
      await expect(
        one.manager.disposal.disposer.dispose(decisionType, envelope.id, ORDER, call),
      ).rejects.toMatchObject({ code: 'integrity-failure' });
      await expect(one.manager.get(decisionType, envelope.id, call)).rejects.toMatchObject({ code: 'integrity-failure' }); // prettier-ignore
    }
  });

  it('wins or loses against a change as a whole, and a change that loses is told', async () => {
    const world = new World();
    const one = world.host();
    const { envelope } = await one.manager.create(decisionType, bodyOf(decisionType), call);
    const sleeper = new Sleeper(({ method }) => method === 'putOnce');
    const slow = world.host(sleeper.intercept);
    const vote = slow.manager.act(decisionType, envelope.id, 'votes', { agent: 'cfo', vote: 'approve', confidence: 1 }, undefined, call); // prettier-ignore
    await sleeper.asleep;
    await gone(one, decisionType, envelope.id);
    sleeper.wake();
    await expect(vote).rejects.toMatchObject({ code: 'record-erased' });
    // What the vote left is an orphan.
    expect(world.blobs()).toHaveLength(1);
    world.clock.pass(26 * 3_600_000);
    expect(await world.collect()).toMatchObject({ collected: 1 });
    expect(world.blobs()).toEqual([]);
    await expect(one.manager.get(decisionType, envelope.id, call)).rejects.toMatchObject({ code: 'record-erased' }); // prettier-ignore
  });

  it('is not undone by an addition that slept through it', async () => {
    const world = new World();
    const one = world.host();
    const { envelope } = await one.manager.create(conversationType, bodyOf(conversationType), call);
    const sleeper = new Sleeper(({ method, args }) => method === 'commit' && args[0] === 'conversationmessages'); // prettier-ignore
    const slow = world.host(sleeper.intercept);
    const post = slow.manager.addPart(conversationType, envelope.id, 'messages', { sender: 'cfo', content: 'Late' }, undefined, call); // prettier-ignore
    await sleeper.asleep;
    await gone(one, conversationType, envelope.id);
    sleeper.wake();
    await expect(post).rejects.toMatchObject({ code: 'record-erased' });
    expect(world.rows('p:', 'conversationmessages')).toEqual([]);
  });

  it('finds an index row missing, and disposes all the same', async () => {
    const world = new World();
    const one = world.host();
    const { envelope } = await one.manager.create(decisionType, bodyOf(decisionType), call);
    const [row] = world.rows('i:status');
    await world.ports.tables.commit('decisions', row?.partitionKey ?? '', [{ kind: 'delete', rowKey: row?.rowKey ?? '', etag: '*' }]); // prettier-ignore
    await gone(one, decisionType, envelope.id);
    expect(world.rows('i:')).toEqual([]);
  });

  it('clears a record of many revisions, and a series of years, in pieces', async () => {
    const world = new World();
    const one = world.host();
    const { envelope } = await one.manager.create(agentStateType, bodyOf(agentStateType), call);
    let { etag } = await one.manager.get(agentStateType, envelope.id, call);
    for (let n = 0; n < 150; n += 1)
      ({ etag } = await one.manager.patch(agentStateType, envelope.id, { current_load: n / 200 }, etag, call)); // prettier-ignore
    const metric = await one.manager.create(metricType, bodyOf(metricType), call);
    for (const year of [2019, 2022, 2026])
      await one.manager.addPart(metricType, metric.envelope.id, 'values', { values: [{ value: 1, timestamp: `${String(year)}-03-01T00:00:00Z` }] }, undefined, call); // prettier-ignore
    await one.jobs.start('roll-up-series');
    const { disposer, clearer } = one.manager.disposal;
    for (const [type, id] of [[agentStateType, envelope.id], [metricType, metric.envelope.id]] as const) {
      await disposer.dispose(type, id, ORDER, call);
      let steps = 0;
      while (!(await clearer.clear(type, call.tenant, id, {}, () => true))) steps += 1;
      expect(steps).toBeLessThan(100);
    } // prettier-ignore
    expect(world.rows('v:', 'agents')).toEqual([]);
    expect(world.rows('', 'metricvalues')).toEqual([]);
    expect(world.blobs()).toEqual([]);
  });
});

describe('the name of an agent that was erased', () => {
  it('can be given again, in every process', async () => {
    const world = new World();
    const [one, other] = [world.host(), world.host()];
    const at = { partition: 'cfo', name: 'cfo-1' };
    const { agent_id: _, role: __, ...body } = bodyOf(agentStateType) as Record<string, unknown>;
    const first = await one.manager.put(agentStateType, at, body, {}, call);
    await other.manager.getNamed(agentStateType, at, { ...call, fresh: true });
    await gone(one, agentStateType, first.envelope.id);
    await expect(one.manager.getNamed(agentStateType, at, call)).rejects.toMatchObject({ code: 'record-not-found' }); // prettier-ignore
    const second = await other.manager.put(agentStateType, at, body, {}, call);
    expect(second).toMatchObject({ created: true });
    expect(second.envelope.id).not.toBe(first.envelope.id);
    expect((await one.manager.getNamed(agentStateType, at, call)).envelope.id).toBe(second.envelope.id);
    await expect(one.manager.get(agentStateType, first.envelope.id, call)).rejects.toMatchObject({ code: 'record-erased' }); // prettier-ignore
  });

  it('can be taken by who would only create, also where another process disposed of it', async () => {
    const world = new World();
    const [one, other] = [world.host(), world.host()];
    const at = { partition: 'cfo', name: 'cfo-1' };
    const { agent_id: _, role: __, ...body } = bodyOf(agentStateType) as Record<string, unknown>;
    const first = await other.manager.put(agentStateType, at, body, {}, call);
    await gone(one, agentStateType, first.envelope.id);
    expect(await other.manager.put(agentStateType, at, body, { onlyNew: true }, call)).toMatchObject({ created: true }); // prettier-ignore
  });
});
