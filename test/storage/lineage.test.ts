import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseId } from '../../src/domain/ids.js';
import { fence } from '../../src/lifecycle/fence.js';
import { decisionType } from '../../src/records/decision.js';
import { metricType } from '../../src/records/metric.js';
import type { Platform } from '../../src/platform.js';
import { Budget } from '../../src/storage/backoff.js';
import { partitionKey, recordKey } from '../../src/storage/keys.js';
import type { Lineage } from '../../src/storage/lineage-reader.js';
import type { CallContext } from '../../src/storage/manager-types.js';
import type { Row, RowOperation, StoragePorts } from '../../src/storage/ports.js';
import { placeOf } from '../../src/storage/record-location.js';
import { countingPorts, type CountingPorts } from '../support/counting-ports.js';
import { newTenant } from '../support/decisions.js';
import { seededEntropy } from '../support/entropy.js';
import { caller, openStorage, STORAGES, testPlatform } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';
import { realClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';

const body = { decision_type: 'strategic', title: 'Open a second warehouse' };
const metric = { name: 'DSO', metric_type: 'duration', unit: 'days', current_value: 41 };
const from = (...ids: string[]) => ({ ...body, provenance: { source: 'test', derived_from: ids } });
/** The month of the time in an id. */
const monthOf = (id: string): string => new Date(parseId(id)?.ms ?? 0).toISOString().slice(0, 7);
/** Ids of July 2025 that end in `digit`. */
const strangers = (count: number, digit = '0'): string[] =>
  Array.from(
    { length: count },
    (_, n) => `dec_01980000-0000-7000-8000-${n.toString(16).padStart(11, '0')}${digit}`,
  );

describe.each(STORAGES)('links in storage $name', (kind) => {
  let storage: StorageUnderTest;
  beforeAll(async () => {
    storage = await openStorage(kind);
  });
  afterAll(() => storage.close());

  interface Warm {
    readonly counting: CountingPorts;
    readonly platform: Platform;
    readonly call: CallContext;
    decision(more?: object): Promise<string>;
  }

  /** A host that has written what it writes once; nothing is counted yet. */
  async function warm(): Promise<Warm> {
    const counting = countingPorts(storage.ports);
    const platform = testPlatform(counting.ports);
    const call = caller({ tenant: newTenant() });
    const decision = async (more: object = body) =>
      (await platform.manager.create(decisionType, more, call)).envelope.id;
    await decision();
    counting.reset();
    return { counting, platform, call, decision };
  }

  /** Transactions by table and number of rows. */
  const written = ({ calls }: CountingPorts): string[] =>
    calls
      .filter(({ method }) => method === 'commit')
      .map(({ args }) => `${String(args[0])} ${(args[2] as RowOperation[]).length}`)
      .sort();

  async function rowOf(
    id: string,
    { tenant }: CallContext,
    ports: StoragePorts = storage.ports,
  ): Promise<Row> {
    const ref = placeOf(decisionType, tenant, id, {});
    const row = await ports.tables.find(ref.table, partitionKey(tenant, ref.partition), recordKey(id));
    if (row === undefined) throw new Error(`there is no ${id}`);
    return row;
  }

  it('cost a create one transaction for each partition of what it links to, and nothing without links', async () => {
    const { counting, decision } = await warm();
    await decision(from());
    expect(counting.counts()).toEqual({ 'blobs.putOnce': 1, 'tables.commit': 1 });
    counting.reset();
    await decision(from(...strangers(3, '0'), ...strangers(2, '7')));
    expect(counting.counts()).toEqual({ 'blobs.putOnce': 1, 'tables.commit': 3 });
    expect(written(counting)).toEqual(['decisions 8', 'lineage 2', 'lineage 3']);
    counting.reset();
    await decision(from(...strangers(150)));
    expect(written(counting)).toEqual(['decisions 8', 'lineage 100', 'lineage 50']);
  });

  it('are written before what makes them, as they are documented', async () => {
    const { counting, decision, call } = await warm();
    const [ancestor = ''] = strangers(1, 'a');
    const id = await decision(from(ancestor));
    const tables = counting.calls.filter(({ method }) => method === 'commit').map(({ args }) => args[0]);
    expect(tables).toEqual(['lineage', 'decisions']);
    const key = `${call.tenant}:2025-07.a`;
    const row = await storage.ports.tables.find('lineage', key, `d:${ancestor}:${id}`);
    const partition = monthOf(id);
    expect(row?.properties).toEqual({ schema_version: '1.0', record_type: 'decision', table: 'decisions', partition, row_checksum: expect.any(String) as string }); // prettier-ignore
  });

  it('stand in the record row, which is without them what it always was', async () => {
    const { decision, call } = await warm();
    const links = strangers(1000);
    const columns = (row: Row): string[] =>
      Object.keys(row.properties).filter((name) => name.includes('link'));
    expect(columns(await rowOf(await decision(), call))).toEqual([]);
    const row = await rowOf(await decision(from(...links)), call);
    expect(columns(row)).toEqual(['links_0', 'links_1']);
    expect(JSON.parse(columns(row).map((name) => String(row.properties[name])).join(''))).toEqual(links); // prettier-ignore
  });

  it('cost a change only what it adds', async () => {
    const { counting, platform, decision, call } = await warm();
    const { manager } = platform;
    const id = await decision(from(...strangers(3)));
    counting.reset();
    const vote = { agent: 'cfo', vote: 'approve', confidence: 1 };
    await manager.act(decisionType, id, 'votes', vote, undefined, call);
    expect(counting.counts()).toEqual({ 'tables.find': 1, 'blobs.putOnce': 1, 'tables.commit': 1 });
    const note = async (ids: readonly string[]) => {
      const { etag } = await manager.get(decisionType, id, call);
      counting.reset();
      await manager.patch(decisionType, id, { metadata: { derived_from: ids } }, etag, call);
      return written(counting);
    };
    expect(await note(strangers(5))).toEqual(['decisions 8', 'lineage 2']);
    expect(await note(strangers(5))).toEqual(['decisions 8']);
    expect(await note([])).toEqual(['decisions 8']);
    expect(await note(strangers(1, '1'))).toEqual(['decisions 8', 'lineage 1']);
  });

  it('cost a batch one transaction for each partition of what its records link to', async () => {
    const { counting, platform, call } = await warm();
    const items = Array.from({ length: 12 }, () => from(...strangers(4), ...strangers(1, '9')));
    await platform.manager.createBatch(decisionType, items, call);
    expect(counting.counts()).toEqual({ 'blobs.putOnce': 1, 'tables.commit': 1 + 2 });
    expect(written(counting)).toEqual(['decisions 96', 'lineage 12', 'lineage 48']);
  });

  /** A tree of decisions over one metric: 1, 3 and 9 of them. */
  async function tree({ platform, decision, call }: Warm) {
    const root = (await platform.manager.create(metricType, metric, call)).envelope.id;
    const first = await decision(from(root));
    const second = await Promise.all([1, 2, 3].map(() => decision(from(first))));
    const third = await Promise.all(second.flatMap((id) => [1, 2, 3].map(() => decision(from(id)))));
    return { root, first, second, third };
  }

  it('are followed up by one point read a record, and one more for whose id does not tell, the first time', async () => {
    const host = await warm();
    const { third } = await tree(host);
    const sink = await host.decision(from(...third));
    const other = testPlatform(host.counting.ports);
    for (const first of [true, false]) {
      host.counting.reset();
      const found = await other.manager.lineage(
        decisionType,
        sink,
        { direction: 'up', depth: 10 },
        host.call,
      );
      expect([found.nodes.length, found.edges.length]).toEqual([1 + 9 + 3 + 1 + 1, 9 + 9 + 3 + 1]);
      expect(host.counting.counts()).toEqual({ 'tables.find': 15 + (first ? 1 : 0) });
    }
  });

  it('are followed down by one range read a record that is not at the last level, and one point read a record', async () => {
    const host = await warm();
    const { root } = await tree(host);
    const other = testPlatform(host.counting.ports);
    const sizes = [1, 1, 3, 9];
    const sum = (count: number): number => sizes.slice(0, count).reduce((total, size) => total + size, 0);
    for (const depth of [3, 2, 1, 4]) {
      host.counting.reset();
      const found = await other.manager.lineage(metricType, root, { direction: 'down', depth }, host.call);
      expect([found.nodes.length, found.truncated]).toEqual([sum(depth + 1), false]);
      // The metric's id does not tell its partition: one more, the first time.
      const lookups = depth === 3 ? 1 : 0;
      expect(host.counting.counts()).toEqual({ 'tables.range': sum(depth), 'tables.find': sum(depth + 1) + lookups }); // prettier-ignore
    }
  });

  it('are followed down to records whose ids do not tell by no read more', async () => {
    const host = await warm();
    const top = await host.decision();
    for (const n of [1, 2]) {
      const metadata = { derived_from: [top] };
      await host.platform.manager.create(metricType, { ...metric, name: `m${n}`, metadata }, host.call);
    }
    const other = testPlatform(host.counting.ports);
    host.counting.reset();
    const found = await other.manager.lineage(decisionType, top, { direction: 'down', depth: 1 }, host.call);
    expect(found.nodes).toHaveLength(3);
    expect(host.counting.counts()).toEqual({ 'tables.range': 1, 'tables.find': 3 });
  });

  it('are followed with at most a hundred reads of a kind a level, however many there are', async () => {
    const { counting, platform, decision, call } = await warm();
    const id = await decision(from(...strangers(1000)));
    counting.reset();
    const up = await platform.manager.lineage(decisionType, id, { direction: 'up', depth: 10 }, call);
    expect([up.nodes.length, up.truncated]).toEqual([101, true]);
    expect(counting.counts()).toEqual({ 'tables.find': 101 });
  });

  const below = async (platform: Platform, id: string, call: CallContext): Promise<Lineage> =>
    platform.manager.lineage(decisionType, id, { direction: 'down', depth: 10 }, call);

  it('are nothing until their record is committed, and one once it is', async () => {
    const { platform, decision, call } = await warm();
    const top = await decision();
    let dead = false;
    const dying = testPlatform(
      wrapPorts(storage.ports, (one, run) => {
        dead ||= one.method === 'commit' && one.args[0] === 'decisions';
        return dead ? new Promise(() => undefined) : run();
      }),
    );
    const keyed = { ...call, idempotency: { key: 'k', scope: 's', fingerprint: 'f' } };
    void dying.manager.create(decisionType, from(top), keyed);
    await expect.poll(() => dead, { timeout: 20_000 }).toBe(true);
    const key = partitionKey(call.tenant, `${monthOf(top)}.${top.slice(-1)}`);
    const rows = await storage.ports.tables.range('lineage', key, { from: `d:${top}:`, to: `d:${top};`, limit: 10 }); // prettier-ignore
    expect(rows.rows).toHaveLength(1);
    expect((await below(platform, top, call)).nodes.map(({ id }) => id)).toEqual([top]);
    // Another host does it, under an id of its own.
    const made = await testPlatform(storage.ports).manager.create(decisionType, from(top), call);
    const after = await below(platform, top, call);
    expect(after.nodes.map(({ id }) => id)).toEqual([top, made.envelope.id]);
    expect([after.edges, after.truncated]).toEqual([[{ from: made.envelope.id, to: top }], false]);
  });

  it('are found behind any number that were taken back', { timeout: 120_000 }, async () => {
    const { counting, platform, call, decision } = await warm();
    const top = await decision();
    const linked = { ...body, metadata: { derived_from: top } };
    const { items } = await platform.manager.createBatch(decisionType, Array.from({ length: 100 }, () => linked), call); // prettier-ignore
    for (const { id } of items) {
      const { etag } = await platform.manager.get(decisionType, id, call);
      await platform.manager.patch(decisionType, id, { metadata: { derived_from: null } }, etag, call);
    }
    const standing = await decision(linked);
    counting.reset();
    const found = await platform.manager.lineage(decisionType, top, { direction: 'down', depth: 1 }, call);
    expect(found.edges).toEqual([{ from: standing, to: top }]);
    expect([found.nodes.length, found.truncated]).toEqual([2, false]);
    expect(counting.counts()).toEqual({ 'tables.range': 1, 'tables.find': 1 + 101 });
  });

  it('outlive the fence of the collector', async () => {
    const { platform, decision, call } = await warm();
    const top = await decision();
    const id = await decision(from(top));
    const budget = new Budget(realClock, seededEntropy('fence'));
    await fence(storage.ports.tables, placeOf(decisionType, call.tenant, id, {}), id, budget);
    expect((await below(platform, top, call)).edges).toEqual([{ from: id, to: top }]);
  });

  it('are followed where the row of a link was altered, which is audited', async () => {
    const { platform, call, decision } = await warm();
    const top = await decision();
    const metadata = { derived_from: [top] };
    const made = await platform.manager.create(metricType, { ...metric, metadata }, call);
    const { id } = made.envelope;
    const key = partitionKey(call.tenant, `${monthOf(top)}.${top.slice(-1)}`);
    const rowKey = `d:${top}:${id}`;
    await storage.ports.tables.commit('lineage', key, [{ kind: 'merge', rowKey, properties: { partition: 'ratio' }, etag: '*' }]); // prettier-ignore
    const found = await below(testPlatform(storage.ports), top, call);
    expect(found.edges).toEqual([{ from: id, to: top }]);
    await platform.sealer.sealTenant(call.tenant);
    const page = await platform.auditReader.list({ filters: { event_type: 'integrity.failed' }, limit: 5 }, call); // prettier-ignore
    expect(page.items.map(({ resource_id, details }) => [resource_id, details['what']])).toEqual([[id, 'lineage row']]); // prettier-ignore
  });
});
