import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/domain/limits.js';
import type { Lineage } from '../../src/storage/lineage-reader.js';
import { partitionKey, recordKey } from '../../src/storage/keys.js';
import { voidRow } from '../../src/storage/void-row.js';
import { created, MINIMAL, newTenant, vote } from '../support/decisions.js';
import { httpHost, type HttpHost, type Reply } from '../support/http-harness.js';
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';

const METRIC = { name: 'DSO', metric_type: 'duration', unit: 'days', current_value: 41 };
const EXECUTION = { workflow_name: 'invoice-approval', version: '1' };
const from = (...ids: string[]): object => ({ provenance: { source: 'test', derived_from: ids } });
const noted = (...ids: string[]): object => ({ metadata: { derived_from: ids } });
/** An id that nobody was given. */
const stranger = (n: number, prefix = 'dec'): string =>
  `${prefix}_01980000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`;

/** What is compared: which nodes at which depth, which links. */
function shapeOf(reply: Reply) {
  expect(reply.status, reply.text).toBe(200);
  const lineage = reply.json as unknown as Lineage;
  return {
    nodes: lineage.nodes.map(({ id, depth }) => [id, depth]).sort(),
    edges: lineage.edges.map((edge) => [edge.from, edge.to]).sort(),
    truncated: lineage.truncated,
  };
}
const lineageOf = (reply: Reply): Lineage => reply.json as unknown as Lineage;
const shape = (
  nodes: readonly (readonly [string, number])[],
  edges: readonly (readonly [string, string])[],
) => ({
  nodes: [...nodes].sort(),
  edges: [...edges].sort(),
  truncated: false,
});

describe.each(STORAGES)('GET /{collection}/{id}/lineage $name', (kind) => {
  let storage: StorageUnderTest;
  let host: HttpHost;
  let tenant: string;

  beforeAll(async () => {
    storage = await openStorage(kind);
    host = httpHost(storage.ports);
  });
  beforeEach(() => {
    tenant = newTenant();
  });
  afterAll(() => storage.close());

  async function made(collection: string, body: object): Promise<string> {
    const reply = await host.post(`/${collection}`, body, { tenant });
    expect(reply.status, reply.text).toBe(201);
    return reply.envelope.id;
  }
  const decision = (more: object = {}): Promise<string> => made('decisions', { ...MINIMAL, ...more });
  const ask = (path: string, on = host): Promise<Reply> => on.get(path, { tenant });
  async function note(id: string, ids: readonly string[]): Promise<void> {
    const { etag } = await host.get(`/decisions/${id}`, { tenant });
    const reply = await host.patch(`/decisions/${id}`, noted(...ids), etag, { tenant });
    expect(reply.status, reply.text).toBe(200);
  }

  it('goes up and down across types, from any record, on this host and on another', async () => {
    const agent = await made('agents', { role: 'cfo', agent_id: 'a', status: 'idle' });
    const metric = await made('metrics', METRIC);
    const first = await decision(from(metric, agent));
    const run = await made('workflow-executions', { ...EXECUTION, ...noted(first) });
    const second = await decision({ ...from(first, metric), ...noted(run) });
    const late = await made('metrics', { ...METRIC, name: 'late', metadata: { derived_from: second } });
    const edges = [[first, metric], [first, agent], [run, first], [second, first], [second, metric], [second, run], [late, second]] as const; // prettier-ignore
    for (const on of [host, httpHost(storage.ports)]) {
      expect(shapeOf(await ask(`/metrics/${late}/lineage`, on))).toEqual(
        shape([[late, 0], [second, 1], [first, 2], [metric, 2], [run, 2], [agent, 3]], edges), // prettier-ignore
      );
      expect(shapeOf(await ask(`/metrics/${metric}/lineage?direction=down`, on))).toEqual(
        shape([[metric, 0], [first, 1], [second, 1], [run, 2], [late, 2]], edges.filter(([, to]) => to !== agent)), // prettier-ignore
      );
      expect(shapeOf(await ask(`/agents/${agent}/lineage?direction=down&depth=1`, on))).toEqual(
        shape([[agent, 0], [first, 1]], [[first, agent]]), // prettier-ignore
      );
      expect(shapeOf(await ask(`/agents/${agent}/lineage?direction=up`, on))).toEqual(
        shape([[agent, 0]], []),
      );
    }
  });

  it('shows of each record what its list shows, and says what was asked', async () => {
    const metric = await made('metrics', METRIC);
    const id = await decision(from(metric, stranger(1)));
    const { root, direction, depth, nodes } = lineageOf(await ask(`/decisions/${id}/lineage`));
    expect([root, direction, depth]).toEqual([id, 'up', 10]);
    const [item] = (await ask('/decisions')).page.items;
    const [other] = (await ask('/metrics')).page.items;
    expect(nodes).toEqual([
      { ...item, depth: 0, missing: false },
      { ...other, depth: 1, missing: false },
      { id: stranger(1), depth: 1, missing: true },
    ]);
    const down = lineageOf(await ask(`/metrics/${metric}/lineage?direction=down&depth=3`));
    expect([down.direction, down.depth, down.truncated]).toEqual(['down', 3, false]);
  });

  it('goes as deep as it is asked, and ten at most', async () => {
    const ids = [await decision()];
    for (let n = 1; n <= 12; n += 1) ids.push(await decision(from(ids.at(-1) as string)));
    const last = ids.at(-1) as string;
    for (const depth of [1, 2, 9, 10]) {
      const found = lineageOf(await ask(`/decisions/${last}/lineage?depth=${depth}`));
      expect(found.nodes.map((node) => node.id)).toEqual(ids.slice(-depth - 1).reverse());
      const down = lineageOf(await ask(`/decisions/${ids[0] ?? ''}/lineage?direction=down&depth=${depth}`));
      expect(down.nodes.map((node) => node.id)).toEqual(ids.slice(0, depth + 1));
      expect([found.truncated, down.truncated]).toEqual([false, false]);
    }
    expect(lineageOf(await ask(`/decisions/${last}/lineage`)).nodes).toHaveLength(11);
  });

  it('marks what is linked to and not there: never made, of no type, another tenant’s, fenced off', async () => {
    const theirs = (await created(host, {}, { tenant: newTenant() })).envelope.id;
    const fenced = stranger(3);
    await storage.ports.tables.commit('decisions', partitionKey(tenant, '2025-07'), [
      voidRow(partitionKey(tenant, '2025-07'), fenced),
    ]);
    const gone = [stranger(1), stranger(2, 'met'), stranger(2, 'zzz'), stranger(4, 'evt'), theirs, fenced];
    const id = await decision(from(...gone));
    const { nodes, edges } = lineageOf(await ask(`/decisions/${id}/lineage`));
    expect(nodes.slice(1)).toEqual(gone.map((one) => ({ id: one, depth: 1, missing: true })));
    expect(edges).toEqual(gone.map((to) => ({ from: id, to })));
  });

  it('ends where a cycle closes, and takes no link of a record to itself', async () => {
    const a = await decision();
    const b = await decision(from(a));
    const c = await decision(from(b));
    await note(a, [c, a]);
    const edges = [[b, a], [c, b], [a, c]] as const; // prettier-ignore
    expect(shapeOf(await ask(`/decisions/${a}/lineage`))).toEqual(shape([[a, 0], [c, 1], [b, 2]], edges)); // prettier-ignore
    expect(shapeOf(await ask(`/decisions/${a}/lineage?direction=down`))).toEqual(shape([[a, 0], [b, 1], [c, 2]], edges)); // prettier-ignore
    expect(shapeOf(await ask(`/decisions/${a}/lineage?depth=1`))).toEqual(shape([[a, 0], [c, 1]], [[a, c]])); // prettier-ignore
  });

  it('follows a link that is added, taken back and added again, and keeps it through other changes', async () => {
    const a = await decision();
    const b = await decision(noted());
    const below = async () => shapeOf(await ask(`/decisions/${a}/lineage?direction=down`)).nodes;
    const alone = [[a, 0]];
    const both = [[a, 0], [b, 1]].sort(); // prettier-ignore
    expect(await below()).toEqual(alone);
    await note(b, [a]);
    expect(await below()).toEqual(both);
    expect((await host.post(`/decisions/${b}/votes`, vote('cfo'), { tenant })).status).toBe(200);
    expect(await below()).toEqual(both);
    await note(b, []);
    expect(await below()).toEqual(alone);
    expect(shapeOf(await ask(`/decisions/${b}/lineage`)).nodes).toEqual([[b, 0]]);
    await note(b, [a]);
    expect(await below()).toEqual(both);
  });

  it('keeps the links of a metric whose summary follows its values', async () => {
    const a = await decision();
    const metric = await made('metrics', { ...METRIC, ...noted(a) });
    const later = new Date(Date.now() + 60_000).toISOString();
    const values = { values: [{ value: 7, timestamp: later }] };
    expect((await host.post(`/metrics/${metric}/values`, values, { tenant })).status).toBe(200);
    const type = host.platform.registry.findByCollection('metrics');
    if (type === undefined) throw new Error('there are no metrics');
    await host.platform.manager.digestParts(type, tenant, metric);
    const below = lineageOf(await ask(`/decisions/${a}/lineage?direction=down`));
    expect(below.nodes[1]).toMatchObject({ id: metric, current_value: 7 });
    expect(shapeOf(await ask(`/metrics/${metric}/lineage`)).edges).toEqual([[metric, a]]);
  });

  it('knows links of batches, of promises and of concurrent hosts', async () => {
    const a = await decision();
    const items = Array.from({ length: 30 }, (_, n) => ({ ...METRIC, name: `m${n}`, metric_type: n % 2 === 0 ? 'gauge' : 'ratio', ...noted(a) })); // prettier-ignore
    const batch = await host.post('/metrics/batch', { items }, { tenant, key: 'k' });
    expect(batch.status, batch.text).toBe(201);
    const again = await httpHost(storage.ports).post('/metrics/batch', { items }, { tenant, key: 'k' });
    expect([again.status, again.text]).toEqual([201, batch.text]);
    const hosts = [host, httpHost(storage.ports), httpHost(storage.ports)];
    const others = await Promise.all(hosts.map((on) => created(on, from(a), { tenant })));
    const id = 'dec_019b0000-0000-7000-8000-000000000000';
    const type = host.platform.registry.findByCollection('decisions');
    if (type === undefined) throw new Error('there are no decisions');
    const call = { tenant, actor: 'a', correlationId: 'c' };
    await host.platform.manager.createPromised(type, { ...MINIMAL, ...from(a) }, { id, createdMs: 0x019b00000000 }, call); // prettier-ignore
    const found = shapeOf(await ask(`/decisions/${a}/lineage?direction=down`));
    const expected = [...batch.heads, ...others.map(({ envelope }) => envelope)].map((head) => head.id).concat(id); // prettier-ignore
    expect(found.nodes).toEqual([[a, 0], ...expected.map((one) => [one, 1])].sort());
    expect(found.edges).toEqual(expected.map((one) => [one, a]).sort());
  });

  it('shows the link of whoever won, where two hosts changed a record at once', async () => {
    const [a, b, c] = [await decision(), await decision(), await decision()];
    const { etag } = await ask(`/decisions/${c}`);
    const writers = [[host, a], [httpHost(storage.ports), b]] as const; // prettier-ignore
    const replies = await Promise.all(
      writers.map(([on, to]) => on.patch(`/decisions/${c}`, noted(to), etag, { tenant })),
    );
    expect(replies.map((reply) => reply.status).sort()).toEqual([200, 412]);
    const won = replies[0]?.status === 200 ? a : b;
    for (const to of [a, b]) {
      const found = shapeOf(await ask(`/decisions/${to}/lineage?direction=down`)).nodes;
      expect(found).toEqual(to === won ? [[to, 0], [c, 1]].sort() : [[to, 0]]); // prettier-ignore
    }
    expect(shapeOf(await ask(`/decisions/${c}/lineage`)).edges).toEqual([[c, won]]);
  });

  it('is of one tenant alone', async () => {
    const a = await decision();
    await decision(from(a));
    const theirs = newTenant();
    await created(host, from(a), { tenant: theirs });
    expect(shapeOf(await ask(`/decisions/${a}/lineage?direction=down`)).nodes).toHaveLength(2);
    expect((await host.get(`/decisions/${a}/lineage?direction=down`, { tenant: theirs })).status).toBe(404);
  });

  it('looks at a hundred records a step, and says when there were more', async () => {
    const a = await decision();
    const ids: string[] = [];
    for (const size of [100, 1]) {
      const items = Array.from({ length: size }, () => ({ ...MINIMAL, ...from(a) }));
      const batch = await host.post('/decisions/batch', { items }, { tenant });
      expect(batch.status, batch.text).toBe(201);
      ids.push(...batch.heads.map((head) => head.id));
      const down = shapeOf(await ask(`/decisions/${a}/lineage?direction=down`));
      expect([down.nodes.length, down.edges.length, down.truncated]).toEqual([101, 100, size === 1]);
    }
    const sink = await decision(from(...ids));
    const up = lineageOf(await ask(`/decisions/${sink}/lineage`));
    // The hundred of them all lead to one.
    expect([up.nodes.length, up.truncated, up.nodes.at(-1)]).toEqual([102, true, expect.objectContaining({ id: a, depth: 2 })]); // prettier-ignore
  });

  it('takes a thousand links and no more, of a batch five thousand, says where, and stores nothing', async () => {
    const many = (count: number, shift = 0): string[] => Array.from({ length: count }, (_, n) => stranger(n + shift)); // prettier-ignore
    const full = await decision(noted(...many(LIMITS.links)));
    const up = lineageOf(await ask(`/decisions/${full}/lineage`));
    expect([up.nodes.length, up.truncated]).toEqual([101, true]);
    const last = stranger(LIMITS.links - 1);
    const reply = await host.post(
      '/decisions',
      { ...MINIMAL, ...noted(...many(LIMITS.links + 1)) },
      { tenant },
    );
    expect([reply.status, reply.code, reply.pointers]).toEqual([422, 'record-invalid', [`/metadata/derived_from/${LIMITS.links}`]]); // prettier-ignore
    const { etag } = await ask(`/decisions/${full}`);
    const patched = await host.patch(`/decisions/${full}`, noted(...many(LIMITS.links + 1)), etag, {
      tenant,
    });
    expect([patched.status, patched.pointers]).toEqual([422, [`/metadata/derived_from/${LIMITS.links}`]]);
    const items = Array.from({ length: 6 }, (_, n) => ({ ...MINIMAL, ...noted(...many(999, n)) }));
    const batch = await host.post('/decisions/batch', { items }, { tenant });
    expect([batch.status, batch.pointers]).toEqual([422, ['/items/5']]);
    expect((await ask('/decisions')).page.items.map((item) => item['id'])).toEqual([full]);
    const after = await host.patch(`/decisions/${full}`, noted(last, stranger(5000)), etag, { tenant });
    expect(after.status).toBe(200);
    expect(lineageOf(await ask(`/decisions/${full}/lineage`)).nodes.map((node) => node.id)).toEqual([full, last, stranger(5000)]); // prettier-ignore
  });

  it('marks a damaged record, audits it, and shows the others; a damaged root is integrity-failure', async () => {
    const a = await decision();
    const b = await decision(from(a));
    const c = await decision(from(b, a));
    const { envelope } = await ask(`/decisions/${b}`);
    const key = partitionKey(tenant, String(envelope.data['created_at']).slice(0, 7));
    const rowKey = recordKey(b);
    await storage.ports.tables.commit('decisions', key, [{ kind: 'merge', rowKey, properties: { links_0: '[]' }, etag: '*' }]); // prettier-ignore
    const up = lineageOf(await ask(`/decisions/${c}/lineage`));
    expect(up.nodes.slice(1, 3)).toEqual([
      { id: b, depth: 1, missing: false, damaged: true },
      expect.objectContaining({ id: a, depth: 1, missing: false, title: MINIMAL.title }),
    ]);
    const down = lineageOf(await ask(`/decisions/${a}/lineage?direction=down`));
    expect(down.nodes.map((node) => [node.id, node.damaged]).sort()).toEqual([[a, undefined], [b, true], [c, undefined]].sort()); // prettier-ignore
    const root = await ask(`/decisions/${b}/lineage`);
    expect([root.status, root.code]).toEqual([500, 'integrity-failure']);
    await host.platform.sealer.sealTenant(tenant);
    const events = (await ask('/audit-events?event_type=integrity.failed')).page.items;
    expect(events.map((event) => event['resource_id'])).toEqual([b]);
  });

  it('refuses what it does not know', async () => {
    const a = await decision();
    const bad = ['direction=sideways', 'direction=', 'depth=0', 'depth=11', 'depth=-1', 'depth=1.0', 'depth=', 'depth=1e1', 'limit=5', 'depth=1&depth=2']; // prettier-ignore
    for (const query of bad) {
      const reply = await ask(`/decisions/${a}/lineage?${query}`);
      expect([reply.status, reply.code], query).toEqual([400, 'request-malformed']);
    }
    for (const path of [
      `/decisions/${stranger(1)}`,
      '/decisions/nonsense',
      `/metrics/${a}`,
      '/agents/nobody',
    ]) {
      const reply = await ask(`${path}/lineage`);
      expect([reply.status, reply.code], path).toEqual([404, 'record-not-found']);
    }
    expect((await host.get(`/decisions/${a}/lineage`, { tenant, roles: 'audit.reader' })).status).toBe(403);
  });
});
