import { beforeEach, describe, expect, it } from 'vitest';
import { AuditReader, type AuditQuery } from '../../src/audit/audit-reader.js';
import { newId } from '../../src/domain/ids.js';
import { dayOf, partitionKey, prefixRange } from '../../src/storage/keys.js';
import type { IntegrityFinding } from '../../src/storage/manager-types.js';
import type { Properties, StoragePorts } from '../../src/storage/ports.js';
import { withRowChecksum } from '../../src/storage/row-checksum.js';
import { seededEntropy } from '../support/entropy.js';
import { memoryPorts } from '../support/memory-ports.js';
import { caller } from '../support/platform.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { commitChanges, creates, DECISIONS, host, TENANT } from './support.js';

const START = Date.UTC(2026, 0, 10, 12);
const KEY = partitionKey(TENANT, dayOf(START));
const call = caller({ tenant: TENANT });
let ports: StoragePorts;
let reader: AuditReader;
let found: IntegrityFinding[];
let ids: readonly string[];

/** Three sealed events: of `dec_0`, `dec_1` and `dec_2`. */
beforeEach(async () => {
  const clock = new VirtualClock(START);
  ports = memoryPorts({ clock });
  const app = host(ports, clock);
  ids = await commitChanges(app, DECISIONS, creates(3, START));
  await app.sealer.sealTenant(TENANT);
  found = [];
  reader = new AuditReader({
    tables: ports.tables,
    directory: app.directory,
    clock,
    entropy: seededEntropy(),
    cursorKey: new Uint8Array(32).fill(1),
    onIntegrityFailure: async (finding) => void found.push(finding),
  });
});

async function alter(rowKey: string, properties: Properties): Promise<void> {
  await ports.tables.commit('auditevents', KEY, [{ kind: 'merge', rowKey, properties, etag: '*' }]);
}

/** Key of the event's row in an index. */
async function indexRow(prefix: string, id: string): Promise<string> {
  const page = await ports.tables.range('auditevents', KEY, { ...prefixRange(prefix), limit: 10 });
  return page.rows.find(({ rowKey }) => rowKey.endsWith(`:${id}`))?.rowKey ?? '';
}

async function listed(filters: AuditQuery['filters'] = {}): Promise<readonly string[]> {
  const page = await reader.list({ filters, limit: 10 }, call);
  expect(page.nextCursor).toBeNull();
  return page.items.map(({ event_id }) => event_id);
}

const finding = (id: string | undefined, what: string) => ({
  recordType: 'audit_event',
  id,
  revision: 0,
  what,
});

describe('an audit event', () => {
  it('is shown with its place in the log, in a list as by its id', async () => {
    const { items } = await reader.list({ filters: {}, limit: 10 }, call);
    expect(items.map(({ event_id, leaf_index }) => [event_id, leaf_index])).toEqual([
      [ids[2], 2],
      [ids[1], 1],
      [ids[0], 0],
    ]);
    for (const item of items) expect(await reader.get(item.event_id, call)).toEqual(item);
    expect(found).toEqual([]);
  });

  it('that was never sealed, is another tenant’s or has no such id is not found', async () => {
    const unknown = newId('evt', START, seededEntropy('unknown'));
    for (const id of [unknown, String(ids[0]).replace('evt', 'act'), 'nonsense', '']) {
      await expect(reader.get(id, call)).rejects.toMatchObject({ code: 'record-not-found' });
    }
    await expect(reader.get(String(ids[0]), caller({ tenant: 'other' }))).rejects.toMatchObject({
      code: 'record-not-found',
    });
  });

  it('whose own row was altered is an integrity failure, and reported', async () => {
    await alter(`r:${String(ids[1])}`, { event: '{}' });
    await expect(reader.get(String(ids[1]), call)).rejects.toMatchObject({ code: 'integrity-failure' });
    expect(found).toEqual([finding(ids[1], 'row')]);
  });

  it('is not shown from a row that has a checksum and no event', async () => {
    const rowKey = `r:${String(ids[1])}`;
    for (const event of ['{', '']) {
      const properties = withRowChecksum(KEY, rowKey, { event });
      await ports.tables.commit('auditevents', KEY, [{ kind: 'upsert', rowKey, properties }]);
      await expect(reader.get(String(ids[1]), call)).rejects.toMatchObject({ code: 'integrity-failure' });
    }
  });
});

describe('a list of audit events', () => {
  it('shows an event from its own row where its index row was altered, and reports it', async () => {
    await alter(await indexRow('i:all:', String(ids[1])), { leaf_index: 7 });
    const { items } = await reader.list({ filters: {}, limit: 10 }, call);
    expect(items.map(({ leaf_index }) => leaf_index)).toEqual([2, 1, 0]);
    expect(found).toEqual([finding(ids[1], 'index row')]);
  });

  it('leaves out an event whose rows were both altered, or whose own row is gone', async () => {
    for (const id of ids.slice(0, 2)) await alter(await indexRow('i:all:', id), { leaf_index: 7 });
    await alter(`r:${String(ids[0])}`, { leaf_index: 7 });
    const gone = { kind: 'delete', rowKey: `r:${String(ids[1])}`, etag: '*' } as const;
    await ports.tables.commit('auditevents', KEY, [gone]);
    expect(await listed()).toEqual([ids[2]]);
    expect(found).toEqual([finding(ids[1], 'index row'), finding(ids[0], 'index row')]);
    expect(await listed({ severity: 'info' })).toEqual([ids[2]]);
  });

  it('believes nothing that an altered index row says of the filters', async () => {
    const lie = { event: JSON.stringify({ resource_id: 'dec_0', severity: 'critical' }) };
    await alter(await indexRow('i:event_type:', String(ids[0])), lie);
    const filters = { event_type: 'record.created' };
    expect(await listed({ ...filters, severity: 'critical' })).toEqual([]);
    expect(await listed({ ...filters, severity: 'info' })).toEqual([...ids].reverse());
    expect(await listed({ ...filters, outcome: 'failure' })).toEqual([]);
  });

  it('is read from the index that says most, and from that of all where no filter has one', async () => {
    const both = { resource_id: 'dec_1', event_type: 'record.created' };
    // The row of the less selective index is gone: nobody looks there.
    const gone = { kind: 'delete', rowKey: await indexRow('i:event_type:', String(ids[1])), etag: '*' } as const; // prettier-ignore
    await ports.tables.commit('auditevents', KEY, [gone]);
    expect(await listed(both)).toEqual([ids[1]]);
    expect(await listed({ severity: 'info' })).toEqual([...ids].reverse());
    expect(await listed({ event_type: 'record.created' })).toEqual([ids[2], ids[0]]);
    for (const id of ids) {
      const rowKey = await indexRow('i:all:', id);
      await ports.tables.commit('auditevents', KEY, [{ kind: 'delete', rowKey, etag: '*' }]);
    }
    expect(await listed()).toEqual([]);
    expect(await listed({ actor: 'act_00000000-0000-7000-8000-000000000000' })).toHaveLength(3);
  });

  it('goes on by a cursor for the same filters, in whatever order they are named, and for no others', async () => {
    const filters = { severity: 'info', event_type: 'record.created' } as const;
    const first = await reader.list({ filters, limit: 2 }, call);
    const cursor = first.nextCursor ?? '';
    const turned = { event_type: filters.event_type, severity: filters.severity };
    const second = await reader.list({ filters: turned, limit: 2, cursor }, call);
    expect(second.items.map(({ event_id }) => event_id)).toEqual([ids[0]]);
    for (const other of [
      { filters: {}, limit: 2, cursor },
      { filters, fromMs: 1, limit: 2, cursor },
      { filters, toMs: START + 9, limit: 2, cursor },
    ]) {
      await expect(reader.list(other, call)).rejects.toMatchObject({ code: 'request-malformed' });
    }
  });
});
