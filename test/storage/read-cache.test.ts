import { describe, expect, it } from 'vitest';
import type { RecordType } from '../../src/domain/record-type.js';
import { agentStateType } from '../../src/records/agent-state.js';
import { decisionType } from '../../src/records/decision.js';
import { metricType } from '../../src/records/metric.js';
import { workflowExecutionType } from '../../src/records/workflow-execution.js';
import type { StoredRecord } from '../../src/storage/manager-types.js';
import { StorageFault } from '../../src/storage/ports.js';
import { noCounts } from '../../src/storage/timed-cache.js';
import { countingPorts } from '../support/counting-ports.js';
import { newTenant } from '../support/decisions.js';
import { inTime } from '../support/in-time.js';
import { caller, openStorage, STORAGES, testPlatform } from '../support/platform.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts, type PortCall } from '../support/wrap-ports.js';

const MINUTE = 60_000;
const at = { partition: 'cfo', name: 'cfo-1' };
const agent = { role: 'cfo', agent_id: 'cfo-1', status: 'idle' };
const workflow = workflowExecutionType.example as object;
const CACHED: readonly (readonly [RecordType, number])[] = [
  [agentStateType, 5 * MINUTE],
  [workflowExecutionType, MINUTE],
  [metricType, 5 * MINUTE],
];

/** REQ-STO-019 through the manager; hosts have a clock of their own, which stands still. */
describe.each(STORAGES)('records in memory $name', (kind) => {
  async function stage() {
    const storage = await openStorage(kind);
    const call = caller({ tenant: newTenant() });
    const fresh = { ...call, fresh: true };
    const host = () => {
      const clock = new VirtualClock(Date.now());
      const gate = { held: undefined as ((call: PortCall) => Promise<void> | undefined) | undefined };
      const counting = countingPorts(
        wrapPorts(storage.ports, async (port, run) => {
          const result = await run();
          await gate.held?.(port);
          return result;
        }),
      );
      return { ...testPlatform(counting.ports, { clock }), clock, counting, gate };
    };
    const here = host();
    await here.configurations.of(call);
    return { storage, call, fresh, here, host };
  }
  const revisionOf = ({ envelope }: StoredRecord) => envelope.revision;

  it.each(CACHED.map(([type, ttlMs]) => ({ type, ttlMs, name: type.recordType })))(
    '$name: a second read is free for $ttlMs ms, and another host’s write is seen after that',
    async ({ type, ttlMs }) => {
      const { call, fresh, here, host } = await stage();
      const { manager, counting, clock } = here;
      const made = await manager.create(type, type.example, call);
      const { id } = made.envelope;
      const first = await manager.get(type, id, call);
      expect(first).toMatchObject({ envelope: made.envelope, served: { reason: 'miss' } });
      counting.reset();
      await clock.advance(ttlMs - 1);
      const second = await manager.get(type, id, call);
      expect([second.envelope, second.etag, second.served]).toEqual([first.envelope, first.etag, { reason: 'hit', ageMs: ttlMs - 1 }]); // prettier-ignore
      expect(counting.calls).toEqual([]);
      const there = host().manager;
      const member = Object.keys(type.example as object).find((name) => !type.immutable.includes(name)) ?? '';
      const same = { [member]: (type.example as Record<string, unknown>)[member] };
      await there.patch(type, id, same, made.etag, call);
      expect(revisionOf(await manager.get(type, id, call))).toBe(1);
      expect(revisionOf(await manager.get(type, id, fresh))).toBe(2);
      expect(revisionOf(await manager.get(type, id, call))).toBe(2);
      const changed = await there.patch(type, id, same, '*', call);
      await clock.advance(ttlMs + 1);
      const late = await manager.get(type, id, call);
      expect([revisionOf(late), late.etag, late.served?.reason]).toEqual([3, changed.etag, 'stale']);
    },
  );

  it('decisions are read from storage each time', async () => {
    const { call, here } = await stage();
    const { manager, counting } = here;
    const { id } = (await manager.create(decisionType, decisionType.example, call)).envelope;
    await manager.get(decisionType, id, call);
    counting.reset();
    const read = await manager.get(decisionType, id, call);
    expect(counting.counts()).toEqual({ 'tables.find': 1, 'blobs.find': 1 });
    expect([read.served, Object.isFrozen(read.envelope)]).toEqual([undefined, false]);
    expect(manager.cacheStatistics()['decision']).toBeUndefined();
  });

  it('a workflow that has ended is not kept, nor one that ends', async () => {
    const { call, here } = await stage();
    const { manager, counting } = here;
    const ended = await manager.create(workflowExecutionType, { ...workflow, status: 'completed' }, call);
    for (let n = 0; n < 2; n += 1) {
      counting.reset();
      expect((await manager.get(workflowExecutionType, ended.envelope.id, call)).served?.reason).toBe('miss');
      expect(counting.calls.length).toBeGreaterThan(0);
    }
    const { envelope } = await manager.create(workflowExecutionType, { ...workflow, status: 'running' }, call); // prettier-ignore
    const read = () => manager.get(workflowExecutionType, envelope.id, call);
    const running = await read();
    expect((await read()).served?.reason).toBe('hit');
    await manager.patch(workflowExecutionType, envelope.id, { status: 'completed' }, running.etag, call);
    for (let n = 0; n < 2; n += 1) {
      const found = await read();
      expect([found.envelope.data['status'], found.served?.reason]).toEqual(['completed', 'miss']);
    }
  });

  it('what this host writes it sees at once: creates, PUTs, PATCHes, parts, a promised create', async () => {
    const { call, here } = await stage();
    const { manager } = here;
    const named = () => manager.getNamed(agentStateType, at, call);
    await expect(named()).rejects.toMatchObject({ code: 'record-not-found' });
    const made = await manager.put(agentStateType, at, { status: 'idle' }, {}, call);
    const { id } = made.envelope;
    const both = async () => [await named(), await manager.get(agentStateType, id, call)].map(revisionOf);
    expect(await both()).toEqual([1, 1]);
    await manager.put(agentStateType, at, { status: 'busy' }, {}, call);
    expect(await both()).toEqual([2, 2]);
    await manager.patch(agentStateType, id, { status: 'idle' }, (await named()).etag, call);
    expect(await both()).toEqual([3, 3]);

    const { envelope } = await manager.create(metricType, metricType.example, call);
    const value = async () =>
      (await manager.get(metricType, envelope.id, call)).envelope.data['current_value'];
    expect([await value(), await value()]).toEqual([41.5, 41.5]);
    await manager.addPart(metricType, envelope.id, 'values', { values: [{ value: 7 }] }, undefined, call);
    expect([await value(), await value()]).toEqual([7, 7]);

    const run = (await manager.create(workflowExecutionType, { ...workflow, status: 'running' }, call)).envelope.id; // prettier-ignore
    const steps = async () => Object.keys((await manager.get(workflowExecutionType, run, call)).envelope.data['step_results'] as object); // prettier-ignore
    for (const step of [0, 1, 2]) {
      expect(await steps()).toHaveLength(step);
      const name = `s${step}`;
      await manager.addPart(workflowExecutionType, run, 'steps', { step_id: name, step_name: name, status: 'running' }, undefined, call); // prettier-ignore
    }
    expect(await steps()).toEqual(['s0', 's1', 's2']);

    const ids = (await manager.createBatch(agentStateType, [{ ...agent, agent_id: 'b' }], call)).items;
    expect(revisionOf(await manager.get(agentStateType, ids[0]?.id ?? '', call))).toBe(1);
    const promised = { id: 'agt_019b0000-0000-7000-8000-0000000000a1', createdMs: Date.now() };
    const early = manager.get(agentStateType, promised.id, call);
    await expect(early).rejects.toMatchObject({ code: 'record-not-found' });
    await manager.createPromised(agentStateType, { ...agent, agent_id: 'p' }, promised, call);
    expect(revisionOf(await manager.get(agentStateType, promised.id, call))).toBe(1);
  });

  it('a read that was under way when this host wrote is neither kept nor given to who comes after the write', async () => {
    const { call, here } = await stage();
    const { manager, gate } = here;
    const { id } = (await manager.put(agentStateType, at, { status: 'old' }, {}, call)).envelope;
    // The first read of a blob has its answer, and does not get it until the write was answered.
    let release: () => void = () => undefined;
    const reached = new Promise<void>((reach) => {
      gate.held = ({ port, method }) => {
        if (port !== 'blobs' || method !== 'find') return undefined;
        gate.held = undefined;
        reach();
        return new Promise((resolve) => (release = resolve));
      };
    });
    const under = manager.get(agentStateType, id, call);
    await reached;
    const written = await manager.put(agentStateType, at, { status: 'new' }, {}, call);
    const after = await manager.get(agentStateType, id, call);
    expect([after.envelope.data['status'], after.etag]).toEqual(['new', written.etag]);
    release();
    expect((await under).envelope.data['status']).toBe('old');
    const later = await manager.get(agentStateType, id, call);
    expect([later.envelope.data['status'], later.served?.reason]).toEqual(['new', 'hit']);
  });

  it('what may have been written, and what another host was found to have written, is read anew', async () => {
    const { call, fresh, here, host } = await stage();
    const { manager, clock, gate } = here;
    const made = await manager.put(agentStateType, at, { status: 'one' }, {}, call);
    const { id } = made.envelope;
    const status = async (as = call) => (await manager.get(agentStateType, id, as)).envelope.data['status'];
    expect(await status()).toBe('one');
    // It is committed, and every answer from then on is lost.
    gate.held = ({ method, args }) => {
      if (method !== 'commit' || args[0] !== 'agents') return undefined;
      gate.held = () => Promise.reject(new StorageFault('unavailable', 'no answer'));
      return gate.held({ port: 'tables', method, args });
    };
    const lost = inTime(clock, manager.put(agentStateType, at, { status: 'two' }, {}, call));
    await expect(lost).rejects.toMatchObject({ code: 'storage-unavailable' });
    gate.held = undefined;
    expect(await status()).toBe('two');
    const there = host().manager;
    for (const [n, conflicting] of [
      () => manager.patch(agentStateType, id, { status: 'x' }, made.etag, call),
      () => manager.put(agentStateType, at, { status: 'x' }, { ifMatch: made.etag }, call),
      () => manager.put(agentStateType, at, { status: 'x' }, { onlyNew: true }, call),
    ].entries()) {
      const before = await status();
      await there.put(agentStateType, at, { status: `there ${n}` }, {}, call);
      expect(await status()).toBe(before);
      await expect(conflicting()).rejects.toMatchObject({ code: 'version-conflict' });
      expect(await status()).toBe(`there ${n}`);
    }
    expect(await status(fresh)).toBe('there 2');
  });

  it('many that read at once cost what one does', async () => {
    const { call, here } = await stage();
    const { manager, counting } = here;
    const { id } = (await manager.create(metricType, metricType.example, call)).envelope;
    counting.reset();
    const reads = await Promise.all(Array.from({ length: 25 }, () => manager.get(metricType, id, call)));
    // Where the record is, the record, and how many values it has.
    expect(counting.counts()).toEqual({ 'tables.find': 3, 'blobs.find': 1 });
    expect(new Set(reads.map(({ etag }) => etag)).size).toBe(1);
    expect(manager.cacheStatistics()).toMatchObject({ metric: { ...noCounts(), misses: 1, shared: 24 } });
  });

  it('belongs to its tenant and its type', async () => {
    const { call, here } = await stage();
    const { manager } = here;
    const { id } = (await manager.create(agentStateType, agent, call)).envelope;
    await manager.get(agentStateType, id, call);
    const missing = { code: 'record-not-found' };
    await expect(manager.get(agentStateType, id, caller({ tenant: newTenant() }))).rejects.toMatchObject(missing); // prettier-ignore
    await expect(manager.get(metricType, id, call)).rejects.toMatchObject(missing);
    await expect(manager.get(workflowExecutionType, id, call)).rejects.toMatchObject(missing);
    expect((await manager.get(agentStateType, id, call)).served?.reason).toBe('hit');
  });

  it('is given to many and changed by none', async () => {
    const { call, here } = await stage();
    const { manager } = here;
    const { id } = (await manager.create(agentStateType, { ...agent, configuration: { a: [{ b: 1 }] } }, call)).envelope; // prettier-ignore
    for (let n = 0; n < 2; n += 1) {
      const { envelope } = await manager.get(agentStateType, id, call);
      const { configuration } = envelope.data as { configuration: { a: { b: number }[] } };
      expect(() => (envelope.data['status'] = 'x')).toThrow(TypeError);
      expect(() => configuration.a.push({ b: 2 })).toThrow(TypeError);
      expect(() => Object.assign(configuration.a[0] ?? {}, { b: 2 })).toThrow(TypeError);
    }
    // It is no obstacle to a change, whose own read is another one.
    await manager.patch(agentStateType, id, { configuration: { a: [] } }, '*', call);
    expect((await manager.get(agentStateType, id, call)).envelope.data['configuration']).toEqual({ a: [] });
  });

  it('is counted', async () => {
    const { call, fresh, here } = await stage();
    const { manager } = here;
    const { id } = (await manager.create(agentStateType, agent, call)).envelope;
    const read = (as = call) => manager.get(agentStateType, id, as);
    await read();
    await read();
    await read(fresh);
    await manager.patch(agentStateType, id, { status: 'busy' }, '*', call);
    await read();
    expect(manager.cacheStatistics()).toEqual({
      agent_state: { hits: 1, misses: 2, shared: 0, bypassed: 1, invalidated: 1, evicted: 0 },
      tenant_configuration: { hits: 4, misses: 1, shared: 0, bypassed: 0, invalidated: 0, evicted: 0 },
    });
  });
});
