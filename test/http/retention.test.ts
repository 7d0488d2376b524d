import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { covenantType } from '../../src/records/covenant.js';
import { decisionType } from '../../src/records/decision.js';
import type { RowOperation } from '../../src/storage/ports.js';
import { DAY, World } from '../lifecycle/support.js';
import { runRound } from '../support/courier.js';
import { newTenant } from '../support/decisions.js';
import { caller, STORAGES, testPlatform } from '../support/platform.js';
import { bodyOf } from '../support/subjects.js';
import { useHttpHost } from '../support/use-http-host.js';
import { wrapPorts, type PortCall } from '../support/wrap-ports.js';

describe.each(STORAGES)('retention over HTTP $name', (kind) => {
  const { host, storage } = useHttpHost(kind);
  let tenant: string;
  beforeEach(() => (tenant = newTenant()));
  it('a record that was disposed of is 410, at every address it had', async () => {
    const made = await host.request('POST', '/decisions', { body: bodyOf(decisionType), tenant });
    const id = String(made.json['id']);
    const { manager, sealer } = testPlatform(storage.ports);
    const call = caller({ tenant });
    const order = { cause: 'retention', details: {}, mayGo: () => Promise.resolve(true) } as const;
    await manager.disposal.disposer.dispose(decisionType, id, order, call);
    await manager.disposal.clearer.clear(decisionType, tenant, id, {}, () => false);
    await sealer.sealTenant(tenant);
    const at = `/decisions/${id}`;
    for (const path of [at, `${at}/revisions`, `${at}/revisions/1`, `${at}/lineage`, `${at}/proof`, `${at}?as_of=2030-01-01T00:00:00Z`]) {
      const { status, json } = await host.get(path, { tenant });
      expect([path, status, json['type']]).toEqual([path, 410, expect.stringContaining('record-erased')]);
    }
    const vote = { agent: 'cfo', vote: 'approve', confidence: 1 };
    expect((await host.request('POST', `${at}/votes`, { body: vote, tenant })).status).toBe(410);
    expect((await host.get(at, { tenant: newTenant() })).status).toBe(404);
    expect((await host.get('/decisions', { tenant })).json['items']).toEqual([]);
    const hold = { scope: { record: { collection: 'decisions', id } }, reason: 'Too late.' };
    expect((await host.request('POST', '/holds', { body: hold, tenant })).status).toBe(410);
  }); // prettier-ignore

  it('a tenant sets longer, and is told where it may not', async () => {
    const put = (retention: unknown) => host.request('PUT', '/configuration', { body: { retention }, tenant }); // prettier-ignore
    const fine = await put({ decisions: { years: 10 }, conversations: { years: 1 } });
    expect([fine.status, fine.json['retention']]).toEqual([200, { decisions: { years: 10 }, conversations: { years: 1 } }]); // prettier-ignore
    for (const [retention, pointer] of [
      [{ decisions: { years: 6 } }, '/retention/decisions/years'],
      [{ metrics: { years: 1 } }, '/retention/metrics/years'],
      [{ decisions: { years: 101 } }, '/retention/decisions/years'],
      [{ conversations: { years: 0 } }, '/retention/conversations/years'],
      [{ decisions: { years: 7.5 } }, '/retention/decisions/years'],
      [{ covenants: { years: 50 } }, '/retention/covenants'],
      [{ 'audit-events': { years: 50 } }, '/retention/audit-events'],
      [{ nothing: { years: 50 } }, '/retention/nothing'],
      [{ decisions: { years: 10, from: 'x' } }, '/retention/decisions/from'],
      [{ decisions: 10 }, '/retention/decisions'],
    ] as const) {
      const { status, json } = await put(retention);
      const errors = json['errors'] as { pointer: string }[];
      expect([status, errors.map((one) => one.pointer)]).toEqual([422, [pointer]]);
    }
    const stands = await host.get('/configuration', { tenant });
    expect(stands.json['retention']).toEqual(fine.json['retention']);
  });

  it('what would go is reported by a dry run', async () => {
    const { status, json } = await host.request('POST', '/jobs/dispose/run?dry_run=true');
    expect([status, json['dry_run']]).toEqual([200, true]);
  });

  it('no method of any address deletes a covenant or an event', async () => {
    const made = await host.request('POST', '/covenants', { body: bodyOf(covenantType), tenant });
    const id = String(made.json['id']);
    await testPlatform(storage.ports).sealer.sealTenant(tenant);
    const events = (await host.get('/audit-events', { tenant })).json['items'] as { event_id: string }[]; // prettier-ignore
    const event = events[0]?.event_id ?? '';
    const addresses = ['/covenants', `/covenants/${id}`, `/covenants/${id}/revisions`, `/covenants/${id}/revisions/1`, '/audit-events', `/audit-events/${event}`, '/audit/log/checkpoint', '/audit/log/tile/0/000']; // prettier-ignore
    for (const address of addresses) {
      const { status } = await host.request('DELETE', address, { tenant });
      expect([address, status]).toEqual([address, 405]);
    }
    for (const address of addresses.slice(4))
      for (const method of ['PUT', 'PATCH'])
        expect((await host.request(method, address, { body: {}, tenant })).status).toBe(405);
    expect((await host.get(`/covenants/${id}`, { tenant })).status).toBe(200);
    expect((await host.get(`/audit-events/${event}`, { tenant })).status).toBe(200);
  });
});

/** Deletions, as they reach storage. */
const deletions = (calls: readonly PortCall[]): string[] =>
  calls.flatMap(({ port, method, args }) => {
    if (port === 'blobs' && method === 'delete') return [`${String(args[0])} ${String(args[1])}`];
    if (method !== 'commit') return [];
    const gone = (args[2] as RowOperation[]).filter(({ kind }) => kind === 'delete');
    return gone.map(({ rowKey }) => `${String(args[0])} ${rowKey}`);
  });

describe('in a thousand years of every job', () => {
  it('no covenant, no event and nothing of the log is deleted', async () => {
    const world = new World();
    const calls: PortCall[] = [];
    const recorded = wrapPorts(world.ports, (call, run) => {
      calls.push(call);
      return run();
    });
    const platform = testPlatform(recorded, { clock: world.clock });
    const { manager, jobs, sealer, sweeper } = platform;
    const call = caller();
    const { envelope } = await manager.create(covenantType, bodyOf(covenantType), call);
    for (let n = 0; n < 300; n += 100) await manager.createBatch(decisionType, Array.from({ length: 100 }, () => bodyOf(decisionType)), call); // prettier-ignore
    await sealer.sealTenant(call.tenant);
    const log = () => world.storage.contents().blobs.filter(({ container, name }) => container !== 'records' && !/\.p\/|\/stages\/|\/lease$/.test(name)); // prettier-ignore
    const before = log();
    for (const years of [1, 10, 100, 1000]) {
      world.clock.pass(years * 366 * DAY);
      for (const { name } of (await jobs.list()).items) await runRound(platform, recorded, name);
      await sweeper.sweep().catch(() => undefined);
      await sealer.sealTenant(call.tenant);
    }
    const gone = deletions(calls);
    expect(gone.filter((name) => name.startsWith('decisions i:'))).not.toEqual([]);
    expect(gone.filter((name) => name.startsWith('audit '))).toEqual([]);
    expect(gone.filter((name) => name.startsWith('ledger ') && !/\.p\/|\/stages\//.test(name))).toEqual([]);
    expect(gone.filter((name) => /^auditevents (?!o:)/.test(name))).toEqual([]);
    // Not that its partition may have pending events, which is no part of it.
    expect(gone.filter((name) => /^covenants (?!o:)/.test(name) || (name.includes(envelope.id) && !name.startsWith("system default:covenants:")))).toEqual([]); // prettier-ignore
    for (const { container, name } of before)
      expect(
        log().some((one) => one.container === container && one.name === name),
        name,
      ).toBe(true);
    expect((await manager.get(covenantType, envelope.id, call)).envelope.checksum).toBe(envelope.checksum);
  }, 60_000);

  it('the only pieces that delete blobs are these', () => {
    const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
    const deleting = files.filter((name) => readFileSync(join('src', name), 'utf8').includes('blobs.delete('));
    expect(deleting.sort()).toEqual(DELETING);
  }); // prettier-ignore
});

const DELETING = [
  // A tile that is made anew, stages that are finished, tiles that are full now.
  'audit/fsck/repair-tiles.ts',
  'audit/ledger-store.ts',
  'audit/log-store.ts',
  // All of the container `records`.
  'lifecycle/collect-orphans.ts',
  'storage/history-disposer.ts',
  'storage/record-archiver.ts',
  'storage/record-clearer.ts',
  'storage/rehydrator.ts',
  'storage/series-archiver.ts',
  'storage/stream-archiver.ts',
];
