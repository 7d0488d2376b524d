import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everySubjectOf } from '../../src/domain/held.js';
import { LIMITS } from '../../src/domain/limits.js';
import type { RecordData, RecordType } from '../../src/domain/record-type.js';
import type { Platform } from '../../src/platform.js';
import { agentStateType } from '../../src/records/agent-state.js';
import { covenantType } from '../../src/records/covenant.js';
import { decisionType } from '../../src/records/decision.js';
import { metricType } from '../../src/records/metric.js';
import {
  activeKey,
  COUNT_KEY,
  holdKey,
  HOLDS_TABLE,
  holdsPartitionKey,
} from '../../src/storage/hold-rows.js';
import { partitionKey, recordKey } from '../../src/storage/keys.js';
import { StorageFault, type Properties, type Row, type RowOperation } from '../../src/storage/ports.js';
import { withRowChecksum } from '../../src/storage/row-checksum.js';
import { COVENANT } from '../support/covenants.js';
import { countingPorts, type CountingPorts } from '../support/counting-ports.js';
import { newTenant } from '../support/decisions.js';
import { REASON, WHOLE } from '../support/holds.js';
import { inTime } from '../support/in-time.js';
import { caller, openStorage, STORAGES, testPlatform } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';

const DECISION = { decision_type: 'strategic', title: 'Open a second warehouse' };
const ON_HOLD = { code: 'record-on-hold' };
const BROKEN = { code: 'integrity-failure' };

describe.each(STORAGES)('the book of holds $name', (kind) => {
  let storage: StorageUnderTest;
  beforeAll(async () => {
    storage = await openStorage(kind);
  });
  afterAll(() => storage.close());

  /** A process, and what it asks of storage. */
  function host(clock?: VirtualClock): Platform & { readonly counting: CountingPorts } {
    const counting = countingPorts(storage.ports);
    return { ...testPlatform(counting.ports, clock === undefined ? {} : { clock }), counting };
  }
  const callOf = (tenant = newTenant()) => caller({ tenant });
  const on = (scope: object) => ({ scope, reason: REASON });
  /** The record row, from where its lists or its lookups say it is. */
  async function rowOf(type: RecordType, tenant: string, id: string): Promise<Row> {
    const lookup = await storage.ports.tables.find('lookups', partitionKey(tenant, new Date(idMs(id)).toISOString().slice(0, 7)), recordKey(id)); // prettier-ignore
    const partition = lookup?.properties['partition'] ?? (type.partition.kind === 'own' ? id : new Date(idMs(id)).toISOString().slice(0, 7)); // prettier-ignore
    const row = await storage.ports.tables.find(type.table, partitionKey(tenant, String(partition)), recordKey(id)); // prettier-ignore
    if (row === undefined) throw new Error(`no row of ${id}`);
    return row;
  }
  const idMs = (id: string): number => Number.parseInt(id.split('_')[1]?.replaceAll('-', '').slice(0, 12) ?? '', 16); // prettier-ignore
  async function factsOf(
    { holds }: Platform,
    type: RecordType,
    tenant: string,
    id: string,
    data: RecordData,
  ) {
    return holds.factsOf(type, tenant, await rowOf(type, tenant, id), everySubjectOf(data, type.subjects));
  }
  const change = (tenant: string, rowKey: string, properties: Properties | undefined) =>
    storage.ports.tables.commit(HOLDS_TABLE, holdsPartitionKey(tenant), [
      properties === undefined
        ? { kind: 'delete', rowKey, etag: '*' }
        : { kind: 'merge', rowKey, properties, etag: '*' },
    ]);
  const counted = (tenant: string, active: number) =>
    change(tenant, COUNT_KEY, withRowChecksum(holdsPartitionKey(tenant), COUNT_KEY, { active, schema_version: '1.0' })); // prettier-ignore

  it('finds what each kind of hold covers of records as they are stored, and frees it with the release', async () => {
    const here = host();
    const call = callOf();
    const { tenant } = call;
    const made = await here.manager.create(decisionType, { ...DECISION, created_at: '2026-03-10T12:00:00Z', created_by: 'Zoë', metadata: { subject_ids: ['grace', 17] } }, call); // prettier-ignore
    const facts = await factsOf(here, decisionType, tenant, made.envelope.id, made.envelope.data);
    expect(facts).toMatchObject({ collection: 'decisions', id: made.envelope.id, createdMs: Date.UTC(2026, 2, 10, 12) }); // prettier-ignore
    const period = (from: string, to: string) => ({ from: `2026-03-${from}T12:00:00Z`, to: `2026-03-${to}T12:00:00Z` }); // prettier-ignore
    const scopes: readonly (readonly [object, boolean])[] = [
      [{ record: { collection: 'decisions', id: made.envelope.id } }, true],
      [{ subject: 'grace' }, true],
      [{ subject: '17' }, true],
      // The other spelling of the same name.
      [{ subject: 'Zoë'.normalize('NFD') }, true],
      [{ subject: 'ada' }, false],
      [{ query: { collection: 'decisions', all: true } }, true],
      [{ query: { collection: 'metrics', all: true } }, false],
      [{ query: { collection: 'decisions', ...period('10', '11') } }, true],
      [{ query: { collection: 'decisions', ...period('09', '10') } }, false],
      [{ query: { collection: 'decisions', field: { created_by: 'Zoë' } } }, true],
      [{ query: { collection: 'decisions', field: { created_by: 'zoë' } } }, false],
      [{ query: { collection: 'decisions', field: { status: 'queued', decision_type: 'strategic' } } }, true],
      [{ query: { collection: 'decisions', field: { status: 'completed' } } }, false],
    ];
    for (const [scope, covered] of scopes) {
      const { hold } = await here.holds.place(on(scope), call);
      const asked = here.holds.assertFree(tenant, facts);
      if (covered)
        await expect(asked).rejects.toMatchObject({ ...ON_HOLD, message: `The record is on legal hold: ${hold.hold_id}.`, evidence: { holds: hold.hold_id } }); // prettier-ignore
      else await expect(asked, JSON.stringify(scope)).resolves.toBeUndefined();
      await here.holds.release(hold.hold_id, { reason: 'Over.' }, call);
      await expect(here.holds.assertFree(tenant, facts)).resolves.toBeUndefined();
    }
  });

  it('knows records of every kind of partition by their rows, and by the rows that list them', async () => {
    const here = host();
    const call = callOf();
    const { tenant } = call;
    const agent = await here.manager.create(agentStateType, { role: 'cfo', agent_id: 'one', status: 'idle' }, call); // prettier-ignore
    const metric = await here.manager.create(metricType, { name: 'm', metric_type: 'gauge', unit: '1', current_value: 1 }, call); // prettier-ignore
    const covenant = await here.manager.create(covenantType, COVENANT, call);
    const decision = await here.manager.create(decisionType, DECISION, call);
    const all = [
      [agentStateType, agent, { role: 'cfo', status: 'idle' }],
      [metricType, metric, { metric_type: 'gauge', name: 'm' }],
      [covenantType, covenant, { status: covenant.envelope.data['status'] }],
      [decisionType, decision, { created_by: call.actor }],
    ] as const;
    for (const [type, { envelope }, field] of all) {
      const { hold } = await here.holds.place(on({ query: { collection: type.collection, field } }), call);
      const facts = await factsOf(here, type, tenant, envelope.id, envelope.data);
      await expect(here.holds.assertFree(tenant, facts)).rejects.toMatchObject(ON_HOLD);
      const row = await rowOf(type, tenant, envelope.id);
      const [index = ''] = JSON.parse(String(row.properties['index_keys'])) as string[];
      const listedIn = type.partition.kind === 'own' ? partitionKey(tenant, type.partition.listedIn) : row.partitionKey; // prettier-ignore
      const listed = await storage.ports.tables.find(type.table, listedIn, index);
      expect(await here.holds.factsOf(type, tenant, listed ?? row, everySubjectOf(envelope.data, type.subjects)), type.table).toEqual(facts); // prettier-ignore
      expect(listed).toBeDefined();
      await here.holds.release(hold.hold_id, { reason: 'Over.' }, call);
    }
  });

  it('takes no row for what it says that is not what was written, or not a record of that type', async () => {
    const here = host();
    const call = callOf();
    const { tenant } = call;
    const { envelope } = await here.manager.create(decisionType, DECISION, call);
    const row = await rowOf(decisionType, tenant, envelope.id);
    const altered = { ...row, properties: { ...row.properties, status: 'failed' } };
    await expect(here.holds.factsOf(decisionType, tenant, altered, [])).rejects.toMatchObject({ ...BROKEN, evidence: { id: envelope.id, what: 'row' } }); // prettier-ignore
    await expect(here.holds.factsOf(metricType, tenant, row, [])).rejects.toMatchObject(BROKEN);
    expect(await here.holds.factsOf(decisionType, tenant, row, [])).toMatchObject({ id: envelope.id });
  });

  it('holds a subject, and whatever would be lost with its key', async () => {
    const here = host();
    const call = callOf();
    const { tenant } = call;
    const { envelope } = await here.manager.create(decisionType, { ...DECISION, created_by: 'ada' }, call);
    const facts = await factsOf(here, decisionType, tenant, envelope.id, envelope.data);
    expect(await here.holds.subjectHeld(tenant, 'ada')).toBe(false);
    await here.holds.assertErasable(tenant, 'ada', [facts]);
    const whole = (await here.holds.place(WHOLE, call)).hold.hold_id;
    // Nothing is on her, but on what is sealed under her key.
    expect(await here.holds.subjectHeld(tenant, 'ada')).toBe(false);
    await here.holds.assertErasable(tenant, 'ada', []);
    await expect(here.holds.assertErasable(tenant, 'ada', [facts])).rejects.toMatchObject({ ...ON_HOLD, message: `The subject is on legal hold: ${whole}.` }); // prettier-ignore
    const own = (await here.holds.place(on({ subject: 'ada' }), call)).hold.hold_id;
    expect(await here.holds.subjectHeld(tenant, 'ada')).toBe(true);
    expect(await here.holds.subjectHeld(tenant, 'bob')).toBe(false);
    expect(await here.holds.subjectHeld(newTenant(), 'ada')).toBe(false);
    await expect(here.holds.assertErasable(tenant, 'ada', [])).rejects.toMatchObject({ evidence: { holds: own, count: 1 } }); // prettier-ignore
    const error = here.holds.assertErasable(tenant, 'ada', [facts, facts]);
    await expect(error).rejects.toMatchObject({ evidence: { count: 2 } });
  });

  it('holds what comes after the hold as well', async () => {
    const here = host();
    const call = callOf();
    await here.holds.place(on({ subject: 'grace' }), call);
    const { envelope } = await here.manager.create(decisionType, { ...DECISION, metadata: { subject_id: 'grace' } }, call); // prettier-ignore
    const facts = await factsOf(here, decisionType, call.tenant, envelope.id, envelope.data);
    await expect(here.holds.assertFree(call.tenant, facts)).rejects.toMatchObject(ON_HOLD);
  });

  it('asks storage every five seconds at most, and at once where it is to be fresh or has changed it', async () => {
    const call = callOf();
    const { tenant } = call;
    const clock = new VirtualClock(Date.now());
    const [here, there] = [host(clock), host()];
    const seen = async (fresh?: boolean) => (await here.holds.activeOf(tenant, { ...(fresh === undefined ? {} : { fresh }) })).length; // prettier-ignore
    expect(await Promise.all([seen(), seen(), seen()])).toEqual([0, 0, 0]);
    expect(here.counting.counts()).toEqual({ 'tables.range': 1 });
    await there.holds.place(WHOLE, call);
    await clock.advance(LIMITS.holdsKeptMs);
    expect(await seen()).toBe(0);
    expect(await seen(true)).toBe(1);
    expect(here.counting.counts()).toEqual({ 'tables.range': 2 });
    await there.holds.place(WHOLE, call);
    expect(await seen()).toBe(1);
    await clock.advance(LIMITS.holdsKeptMs + 1);
    expect(await seen()).toBe(2);
    const { hold } = await here.holds.place(WHOLE, call);
    expect(await seen()).toBe(3);
    await here.holds.release(hold.hold_id, { reason: 'Over.' }, call);
    expect(await seen()).toBe(2);
  });

  it('costs what is said', async () => {
    const here = host();
    const call = callOf();
    const { tenant } = call;
    const { envelope } = await here.manager.create(decisionType, DECISION, call);
    const first = (await here.holds.place(on({ subject: 'ada' }), call)).hold.hold_id;
    const facts = await factsOf(here, decisionType, tenant, envelope.id, envelope.data);
    const rows = (): number[] => here.counting.calls.filter(({ method }) => method === 'commit').map(({ args }) => (args[2] as RowOperation[]).length); // prettier-ignore
    const costs = async (work: () => Promise<unknown>) => {
      here.counting.reset();
      await work();
      return [here.counting.counts(), rows()];
    };
    const keyed = (key: string) => ({ ...call, idempotency: { key, scope: 's', fingerprint: 'f' } });
    expect(await costs(() => here.holds.place(on({ subject: 'ada' }), call))).toEqual([{ 'tables.find': 1, 'tables.commit': 1 }, [5]]); // prettier-ignore
    expect(await costs(() => here.holds.place(on({ record: { collection: 'decisions', id: envelope.id } }), call))).toEqual([{ 'tables.find': 2, 'tables.commit': 1 }, [5]]); // prettier-ignore
    expect(await costs(() => here.holds.place(on({ subject: 'ada' }), keyed('a')))).toEqual([{ 'tables.find': 1, 'tables.commit': 2 }, [1, 5]]); // prettier-ignore
    expect(await costs(() => here.holds.get(first, call))).toEqual([{ 'tables.find': 1 }, []]);
    expect(await costs(() => here.holds.list({ state: 'active', limit: 50 }, call))).toEqual([{ 'tables.range': 1 }, []]); // prettier-ignore
    expect(await costs(() => here.holds.release(first, { reason: 'Over.' }, call))).toEqual([{ 'tables.find': 2, 'tables.commit': 1 }, [5]]); // prettier-ignore
    const free = () => here.holds.assertFree(tenant, { ...facts, id: 'dec_other', subjects: [] });
    expect(await costs(free)).toEqual([{ 'tables.range': 1 }, []]);
    expect(await costs(() => here.holds.assertErasable(tenant, 'bob', []))).toEqual([{ 'tables.range': 1 }, []]); // prettier-ignore
    const cached = () =>
      here.holds.assertFree(tenant, { ...facts, id: 'dec_other', subjects: [] }, { fresh: false });
    expect(await costs(cached)).toEqual([{}, []]);
  });

  it('has as many in force as there may be, and no more, whoever places them', async () => {
    const hosts = [host(), host(), host()] as const;
    const call = callOf();
    const { hold } = await hosts[0].holds.place(WHOLE, call);
    await counted(call.tenant, LIMITS.activeHolds - 1);
    const racing = await Promise.allSettled(hosts.map(({ holds }) => holds.place(WHOLE, call)));
    expect(racing.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const refusals = racing.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
    for (const refusal of refusals) expect(refusal).toMatchObject({ code: 'transition-not-allowed', message: expect.stringContaining('1000 holds in force') as string }); // prettier-ignore
    // A release makes room.
    await hosts[1].holds.release(hold.hold_id, { reason: 'Over.' }, call);
    await hosts[2].holds.place(WHOLE, call);
    await expect(hosts[0].holds.place(WHOLE, call)).rejects.toMatchObject({ code: 'transition-not-allowed' });
  });

  it('lets all land that are placed at once, and one release of many', async () => {
    const hosts = [host(), host(), host()];
    const call = callOf();
    const placed = await Promise.all(hosts.map(({ holds }) => holds.place(WHOLE, call)));
    const active = await host().holds.activeOf(call.tenant);
    expect(active.map(({ holdId }) => holdId).sort()).toEqual(placed.map(({ hold }) => hold.hold_id).sort());
    const id = placed[0]?.hold.hold_id ?? '';
    const racing = await Promise.allSettled(hosts.map(({ holds }) => holds.release(id, { reason: 'Over.' }, call))); // prettier-ignore
    expect(racing.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await host().holds.activeOf(call.tenant)).toHaveLength(2);
  });

  it.each([
    ['a hold that was altered', async (tenant: string, id: string) => change(tenant, activeKey(id), { scope: '{"kind":"subject","subject":"x"}' })],
    ['a hold that is gone', async (tenant: string, id: string) => change(tenant, activeKey(id), undefined)],
    ['a count that was altered', async (tenant: string) => change(tenant, COUNT_KEY, { active: 0 })],
    ['a count that is gone', async (tenant: string) => change(tenant, COUNT_KEY, undefined)],
  ] as const)('takes %s for damage and nothing for free', async (_, damage) => {
    const here = host();
    const call = callOf();
    const { tenant } = call;
    const { hold } = await here.holds.place(WHOLE, call);
    const { envelope } = await here.manager.create(metricType, { name: 'm', metric_type: 'gauge', unit: '1', current_value: 1 }, call); // prettier-ignore
    const facts = await factsOf(here, metricType, tenant, envelope.id, envelope.data);
    await here.holds.assertFree(tenant, facts, { fresh: true });
    await damage(tenant, hold.hold_id);
    await expect(here.holds.assertFree(tenant, facts, { fresh: true })).rejects.toMatchObject(BROKEN);
    await expect(here.holds.assertErasable(tenant, 'ada', [])).rejects.toMatchObject(BROKEN);
    await here.sealer.sealTenant(tenant);
    const { items } = await here.auditReader.list({ filters: { event_type: 'integrity.failed' }, limit: 10 }, call); // prettier-ignore
    expect(items[0]).toMatchObject({ resource_type: 'hold' });
  }); // prettier-ignore

  it('shows no hold that was altered, says so, and shows the others', async () => {
    const here = host();
    const call = callOf();
    const [one, other] = [await here.holds.place(WHOLE, call), await here.holds.place(on({ subject: 'ada' }), call)]; // prettier-ignore
    const id = one.hold.hold_id;
    await change(call.tenant, holdKey(id), { state: 'released' });
    await expect(here.holds.get(id, call)).rejects.toMatchObject(BROKEN);
    await expect(here.holds.release(id, { reason: 'Over.' }, call)).rejects.toMatchObject(BROKEN);
    const { items } = await here.holds.list({ state: 'all', limit: 10 }, call);
    expect(items).toEqual([other.hold]);
    await here.sealer.sealTenant(call.tenant);
    const found = await here.auditReader.list({ filters: { event_type: 'integrity.failed' }, limit: 10 }, call); // prettier-ignore
    expect(found.items[0]).toMatchObject({ resource_type: 'hold', resource_id: id, details: { what: 'hold row' } }); // prettier-ignore
  });

  it('shows no sealed reason of another hold', async () => {
    const here = host();
    const call = callOf();
    const { tenant } = call;
    const ids = [(await here.holds.place(WHOLE, call)).hold.hold_id, (await here.holds.place(WHOLE, call)).hold.hold_id]; // prettier-ignore
    const [a, b] = await Promise.all(ids.map((id) => storage.ports.tables.find(HOLDS_TABLE, holdsPartitionKey(tenant), holdKey(id)))); // prettier-ignore
    const { row_checksum: _, ...mine } = a?.properties ?? {};
    const moved = { ...mine, sealed_0: b?.properties['sealed_0'] ?? '' };
    const rowKey = holdKey(ids[0] ?? '');
    await change(tenant, rowKey, withRowChecksum(holdsPartitionKey(tenant), rowKey, moved));
    await expect(here.holds.get(ids[0] ?? '', call)).rejects.toMatchObject(BROKEN);
  });

  it('fails, and nothing is destroyed, while storage does not answer', async () => {
    const clock = new VirtualClock(Date.now());
    const deaf = wrapPorts(storage.ports, ({ args }, run) =>
      args[0] === HOLDS_TABLE ? Promise.reject(new StorageFault('unavailable', 'no answer')) : run(),
    );
    const { holds } = testPlatform(deaf, { clock });
    const call = callOf();
    for (const work of [
      () => holds.activeOf(call.tenant),
      () => holds.subjectHeld(call.tenant, 'ada'),
      () => holds.place(WHOLE, call),
    ])
      // prettier-ignore
      await expect(inTime<unknown>(clock, work())).rejects.toMatchObject({ code: 'storage-unavailable' });
  });
});
