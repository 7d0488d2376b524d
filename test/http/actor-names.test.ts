import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { canonicalJson, type Json } from '../../src/domain/canonical-json.js';
import { BLOB_CONTAINERS, partitionKey } from '../../src/storage/keys.js';
import { readRange } from '../../src/storage/range.js';
import { countingPorts, type CountingPorts } from '../support/counting-ports.js';
import { created, newTenant, vote, walk } from '../support/decisions.js';
import { httpHost, type HttpHost, type Reply } from '../support/http-harness.js';
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';

const AUDITOR = 'records.auditor';
const MAY_KNOW = 'records.auditor,records.sensitive-reader';
const ADA = 'ada.lovelace@example.com';
const EVE = 'eve/ünïcødé';
/** What every row of a table's partition comes after, and what it comes before. */
const EVERYTHING = { from: '!', to: '~' };

/** Names in answers to those who may know (audit-ledger.md, Events; docs/roles.md). */
describe.each(STORAGES)('names of actors $name', (kind) => {
  let storage: StorageUnderTest;
  let counting: CountingPorts;
  let tenant: string;
  let id: string;
  beforeAll(async () => {
    storage = await openStorage(kind);
    counting = countingPorts(storage.ports);
  });
  afterAll(() => storage.close());

  /** A host that remembers nothing. */
  const newHost = (): HttpHost => httpHost(counting.ports);
  const list = async (host: HttpHost, roles: string, query = ''): Promise<Reply> => {
    const reply = await host.get(`/audit-events?limit=100${query}`, { tenant, roles });
    expect(reply.status, reply.text).toBe(200);
    return reply;
  };
  const actorRows = () => readRange(storage.ports.tables, 'actors', partitionKey(tenant, 'actors'), EVERYTHING); // prettier-ignore

  beforeEach(async () => {
    tenant = newTenant();
    const host = newHost();
    id = (await created(host, {}, { tenant, actor: ADA })).envelope.id;
    for (const agent of ['a', 'b', 'c'])
      await host.post(`/decisions/${id}/votes`, vote(agent), { tenant, actor: EVE });
    await host.platform.sealer.sealTenant(tenant);
  });

  it('are beside their pseudonyms, in lists and single events, for who may know them alone', async () => {
    const host = newHost();
    const named = (await list(host, MAY_KNOW)).page.items;
    const names = named.map((event) => [event['action'], event['actor_name']]);
    expect(names).toEqual([
      ['vote', EVE],
      ['vote', EVE],
      ['vote', EVE],
      ['create', ADA],
    ]);
    const bare = named.map(({ actor_name: _, ...event }) => event);
    for (const roles of [
      AUDITOR,
      `${AUDITOR},records.privacy-officer`,
      `${AUDITOR},records.reader,records.writer,records.operator`,
    ])
      // prettier-ignore
      expect((await list(host, roles)).page.items).toEqual(bare);
    for (const event of named) {
      const path = `/audit-events/${String(event['event_id'])}`;
      expect((await host.get(path, { tenant, roles: MAY_KNOW })).json).toEqual(event);
      const { actor_name: _, ...without } = event;
      expect((await host.get(path, { tenant, roles: AUDITOR })).json).toEqual(without);
    }
  });

  it('are no part of what is logged', async () => {
    const { names } = await storage.ports.blobs.list(BLOB_CONTAINERS.audit, `${tenant}/`);
    const blobs = await Promise.all(names.map((name) => storage.ports.blobs.find(BLOB_CONTAINERS.audit, name))); // prettier-ignore
    const lines = blobs.map((blob) => Buffer.from(blob?.bytes ?? []).toString()).join('').trimEnd().split('\n'); // prettier-ignore
    const events = [...(await list(newHost(), MAY_KNOW)).page.items].reverse();
    const logged = events.map(({ actor_name: _, leaf_index: __, ...event }) => canonicalJson(event as Record<string, Json>)); // prettier-ignore
    expect(lines).toEqual(logged);
    expect(lines.join()).not.toMatch(/lovelace|ünïcødé/);
  });

  it('are looked for by who may know them, with other filters and page by page', async () => {
    const host = newHost();
    const [vote_] = (await list(host, MAY_KNOW)).page.items;
    const byName = await list(host, MAY_KNOW, `&actor=${encodeURIComponent(EVE)}`);
    expect(byName.page.items).toHaveLength(3);
    expect(byName.json).toEqual((await list(host, MAY_KNOW, `&actor=${String(vote_?.['actor'])}`)).json);
    const query = `/audit-events?limit=2&actor=${encodeURIComponent(EVE)}&event_type=record.action&resource_id=${id}`;
    const { ids, pages } = await walk(host, query, { tenant, roles: MAY_KNOW });
    expect([ids.length, pages]).toEqual([3, 2]);
    const none = await list(host, MAY_KNOW, `&actor=${encodeURIComponent(ADA)}&event_type=record.action`);
    expect(none.json).toEqual({ items: [], next_cursor: null });
  });

  it('that nobody has are answered as any name is to who may not know, and none is made', async () => {
    const host = newHost();
    const before = await actorRows();
    counting.reset();
    const nothing = { items: [], next_cursor: null };
    expect((await list(host, MAY_KNOW, '&actor=nobody')).json).toEqual(nothing);
    for (const name of ['nobody', ADA])
      expect((await list(host, AUDITOR, `&actor=${encodeURIComponent(name)}`)).json).toEqual(nothing);
    expect(counting.counts()['tables.commit']).toBeUndefined();
    expect(await actorRows()).toEqual(before);
    const elsewhere = await host.get(`/audit-events?actor=${encodeURIComponent(ADA)}`, { tenant: `${tenant}x`, roles: MAY_KNOW }); // prettier-ignore
    expect(elsewhere.json).toEqual(nothing);
  });

  it('are not looked up for who may not know, and once for who may', async () => {
    const host = newHost();
    const asked = () => counting.calls.filter(({ args }) => args[0] === 'actors').length;
    counting.reset();
    await list(host, AUDITOR, `&actor=${encodeURIComponent(ADA)}`);
    await list(host, AUDITOR);
    expect(asked()).toBe(0);
    await list(host, MAY_KNOW);
    expect(asked()).toBe(2);
    await list(host, MAY_KNOW);
    expect(asked()).toBe(2);
  });

  it('are gone once their mapping is, and the events stay', async () => {
    const before = (await list(newHost(), AUDITOR)).json;
    const rows = await actorRows();
    expect(rows.length).toBeGreaterThanOrEqual(4);
    for (const { rowKey } of rows)
      await storage.ports.tables.commit('actors', partitionKey(tenant, 'actors'), [{ kind: 'delete', rowKey, etag: '*' }]); // prettier-ignore
    const host = newHost();
    expect((await list(host, MAY_KNOW)).json).toEqual(before);
    expect((await list(host, MAY_KNOW, `&actor=${encodeURIComponent(ADA)}`)).page.items).toEqual([]);
  });

  it('are left out where their mapping is damaged, which is audited', async () => {
    const [first] = (await list(newHost(), MAY_KNOW)).page.items.slice(-1);
    const rowKey = `a:${String(first?.['actor'])}`;
    const damage = {
      kind: 'merge',
      rowKey,
      properties: { row_checksum: '0'.repeat(32) },
      etag: '*',
    } as const;
    await storage.ports.tables.commit('actors', partitionKey(tenant, 'actors'), [damage]);
    const host = newHost();
    const names = (await list(host, MAY_KNOW)).page.items.map((event) => event['actor_name']);
    expect(names).toEqual([EVE, EVE, EVE, undefined]);
    await host.platform.sealer.sealTenant(tenant);
    const [failed] = (await list(host, AUDITOR, '&event_type=integrity.failed')).page.items;
    expect(failed).toMatchObject({ resource_type: 'actor', resource_id: first?.['actor'], details: { what: 'row' } }); // prettier-ignore
  });
});
