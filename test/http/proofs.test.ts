import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyEventProof, verifyRecordProof } from '../../src/audit/verifier/index.js';
import { bundleEntries, changedTiles, tilePath, TILE_WIDTH } from '../../src/audit/log/tiles.js';
import { leafHash } from '../../src/audit/merkle.js';
import type { StoragePorts } from '../../src/storage/ports.js';
import { countingPorts } from '../support/counting-ports.js';
import { aCovenant } from '../support/covenants.js';
import { created, newTenant, vote } from '../support/decisions.js';
import { httpHost, type HttpHost, type Reply } from '../support/http-harness.js';
import { TEST_LOG_KEYS } from '../support/log-keys.js';
import { writeOldDecision } from '../support/old-decision.js';
import { openStorage, STORAGES } from '../support/platform.js';
import { contentFaults, publishedFaults, seenIn } from '../support/published-log.js';
import type { StorageUnderTest } from '../support/storages.js';

const CONTACT = { name: 'Jo Voorbeeld', email: 'jo@meridian.example' };
const NAME = '/organization/contact/name';
const EMAIL = '/organization/contact/email';

describe.each(STORAGES)('proofs $name', (kind) => {
  let storage: StorageUnderTest;
  let host: HttpHost;
  const tenant = newTenant();
  const as = { tenant, roles: 'records.auditor' };
  const all = { tenant };
  const [vkey = ''] = TEST_LOG_KEYS.vkeys(tenant);
  let decision: string;
  let covenant: string;

  const log = (path: string): Promise<Reply> => host.get(`/audit/log/${path}`, as);
  const seal = (): Promise<unknown> => host.platform.sealer.sealTenant(tenant);

  beforeAll(async () => {
    storage = await openStorage(kind);
    host = httpHost(storage.ports);
    decision = `/decisions/${(await created(host, {}, all)).envelope.id}`;
    await host.post(`${decision}/votes`, vote('cfo'), all);
    const organization = { name: 'Meridian Cooperative', contact: CONTACT };
    covenant = `/covenants/${(await aCovenant(host, { organization }, all)).envelope.id}`;
  });
  afterAll(() => storage.close());

  it('are not there before the log is', async () => {
    const reply = await host.get(`${decision}/proof`, as);
    expect([reply.status, reply.code]).toEqual([409, 'not-yet-sealed']);
    expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0);
    for (const path of ['checkpoint', 'tile/0/000.p/1', 'tile/entries/000'])
      expect([(await log(path)).status, (await log(path)).code]).toEqual([404, 'record-not-found']);
    expect((await log('vkey')).text).toBe(`${vkey}\n`);
  });

  it('say of a change that waits that it waits, and of an event that never was that it is not there', async () => {
    const { stored } = {
      stored: await host.platform.manager.getStored(
        host.platform.registry.findByCollection('decisions') as never,
        decision.split('/')[2] as string,
        1,
        { tenant, actor: 'ada', correlationId: 'test' },
      ),
    };
    const waiting = await host.get(`/audit-events/${stored.eventId}/proof`, as);
    expect([waiting.status, waiting.code]).toEqual([409, 'not-yet-sealed']);
    expect(waiting.headers['retry-after']).toBeDefined();
    const never = await host.get('/audit-events/evt_01980000-0000-7000-8000-000000000000/proof', as);
    expect([never.status, never.code]).toEqual([404, 'record-not-found']);
    const external = await host.post(
      '/audit-events',
      {
        event_type: 'user.signed_in',
        action: 'sign-in',
        resource_type: 'user',
        resource_id: 'u',
        outcome: 'success',
      },
      all,
    );
    const posted = await host.get(`/audit-events/${String(external.json['event_id'])}/proof`, as);
    expect([posted.status, posted.code]).toEqual([409, 'not-yet-sealed']);
  });

  it('verify offline for every revision, sensitive values hidden', async () => {
    await seal();
    for (const [path, revision] of [
      [decision, 1],
      [decision, 2],
      [covenant, 1],
    ] as const) {
      const reply = await host.get(`${path}/proof?revision=${String(revision)}`, as);
      expect(reply.status, reply.text).toBe(200);
      const report = await verifyRecordProof(reply.text, { vkey });
      expect(report.verdict, JSON.stringify(report)).toBe('yes');
      expect(report.proven?.record).toMatchObject({ revision, disclosed: [] });
    }
    const reply = await host.get(`${covenant}/proof`, as);
    expect(reply.text).not.toContain(CONTACT.name);
    expect(reply.text).not.toContain(CONTACT.email);
    expect(reply.text).not.toContain('sealed');
  });

  it('disclose what is asked for, with its salt, and nothing else', async () => {
    const path = `${covenant}/proof?disclose=${encodeURIComponent(NAME)}`;
    const one = await host.get(path, all);
    expect(one.status, one.text).toBe(200);
    expect(one.text).toContain(CONTACT.name);
    expect(one.text).not.toContain(CONTACT.email);
    const report = await verifyRecordProof(one.text, { vkey });
    expect(report.verdict, JSON.stringify(report)).toBe('yes');
    expect(report.proven?.record?.disclosed).toEqual([NAME]);
    expect(report.proven?.record?.withheld).toContain(EMAIL);
    const both = await host.get(`${path}&disclose=${encodeURIComponent(EMAIL)}`, all);
    expect((await verifyRecordProof(both.text, { vkey })).proven?.record?.disclosed).toEqual([EMAIL, NAME]);
    const lied = one.text.replace(CONTACT.name, 'Somebody Else');
    expect((await verifyRecordProof(lied, { vkey })).verdict).toBe('no');
  });

  it('disclose only to who may see sensitive values, and only what is one', async () => {
    const path = `${covenant}/proof?disclose=${encodeURIComponent(NAME)}`;
    expect((await host.get(path, as)).status).toBe(403);
    expect((await host.get(path, { tenant, roles: 'records.auditor,records.reader' })).status).toBe(403);
    expect((await host.get(path, { tenant, roles: 'records.sensitive-reader' })).status).toBe(403);
    expect((await host.get(path, { tenant, roles: 'records.auditor,records.sensitive-reader' })).status).toBe(
      200,
    );
    for (const pointer of [
      '/organization/name',
      '',
      'x',
      '/nope',
      '/organization/contact',
      '/__proto__',
      '/organization/contact/name/$commitment',
    ]) {
      const reply = await host.get(`${covenant}/proof?disclose=${encodeURIComponent(pointer)}`, all);
      expect([pointer, reply.status, reply.code]).toEqual([pointer, 400, 'request-malformed']);
    }
  });

  it('of what is older than the encryption of its values shows them in clear, to who may see them alone', async () => {
    const { id } = await writeOldDecision(storage.ports, tenant);
    await seal();
    const path = `/decisions/${id}/proof`;
    const refused = await host.get(path, as);
    expect([refused.status, refused.code]).toEqual([403, 'forbidden']);
    expect(refused.text).not.toContain('grace');
    const reply = await host.get(path, { tenant, roles: 'records.auditor,records.sensitive-reader' });
    expect(reply.text).toContain('grace');
    const report = await verifyRecordProof(reply.text, { vkey });
    expect(report.verdict, JSON.stringify(report)).toBe('yes');
  });

  it.each([
    ['revision=0', 400],
    ['revision=x', 400],
    ['revision=1&revision=2', 400],
    ['surprise=1', 400],
    [Array.from({ length: 101 }, (_, n) => `disclose=/a${String(n)}`).join('&'), 400],
    ['revision=77', 404],
  ])('refuse %s', async (query, status) => {
    expect((await host.get(`${decision}/proof?${query}`, all)).status).toBe(status);
  });

  it('are for auditors, of the caller’s own tenant', async () => {
    for (const path of [
      `${decision}/proof`,
      '/audit/log/checkpoint',
      '/audit/log/tile/0/000',
      '/audit/log/vkey',
      '/audit-events/evt_1/proof',
    ]) {
      expect((await host.get(path, { tenant, roles: 'records.reader,records.writer' })).status).toBe(403);
      const other = await host.get(path, { tenant: newTenant() });
      expect(path.endsWith('vkey') ? 200 : 404).toBe(other.status);
    }
    expect((await host.get('/decisions/dec_1/proof', as)).status).toBe(404);
    expect((await host.get('/nothings/dec_1/proof', as)).status).toBe(404);
  });

  it('of an event verify offline', async () => {
    const { items } = (await host.get('/audit-events?limit=50', as)).page;
    for (const { event_id: id } of items) {
      const reply = await host.get(`/audit-events/${String(id)}/proof`, as);
      expect([reply.status, reply.headers['content-type']]).toEqual([200, 'text/plain; charset=utf-8']);
      const event = items.find((item) => item['event_id'] === id) as Record<string, unknown>;
      const { leaf_index, ...members } = event;
      expect(reply.text).toContain(`\nindex ${String(leaf_index)}\n`);
      const { canonicalJson } = await import('../../src/domain/canonical-json.js');
      const report = await verifyEventProof(canonicalJson(members as never), reply.text, { vkey });
      expect(report.verdict, JSON.stringify(report)).toBe('yes');
    }
  });

  it('come from a log that is served as tlog-tiles says', { timeout: 60_000 }, async () => {
    const sizes: number[] = [];
    for (const more of [1, 100, 100, 70]) {
      for (let at = 0; at < more; at += 50) {
        const items = Array.from({ length: Math.min(50, more - at) }, () => ({
          decision_type: 'strategic',
          title: 'Another',
        }));
        await host.post('/decisions/batch', { items }, all);
      }
      await seal();
      const checkpoint = await log('checkpoint');
      expect(checkpoint.headers['content-type']).toBe('text/plain; charset=utf-8');
      expect(checkpoint.headers['cache-control']).toBe('private, no-cache');
      const seen = seenIn(tenant, checkpoint.text);
      if (typeof seen === 'string') throw new Error(seen);
      sizes.push(seen.size);
    }
    const size = sizes.at(-1) as number;
    expect(size).toBeGreaterThan(TILE_WIDTH);
    const leaves: string[] = [];
    for (const { level, index, width } of changedTiles(0, size).filter(({ level }) => level === 'entries')) {
      const reply = await log(tilePath({ level, index, width }));
      leaves.push(...(bundleEntries(reply.bytes, width) ?? []).map((entry) => Buffer.from(entry).toString()));
    }
    expect(leaves).toHaveLength(size);
    const served = new Map<string, Uint8Array>();
    // Also what checkpoints before promised: partial tiles that are full by now, or were never stored in that width.
    for (const tile of [
      ...sizes.flatMap((one) => changedTiles(0, one)),
      { level: 0, index: 0, width: 33 },
      { level: 'entries', index: 0, width: 255 },
    ] as const) {
      const reply = await log(tilePath(tile));
      expect([tilePath(tile), reply.status]).toEqual([tilePath(tile), 200]);
      expect(reply.headers).toMatchObject({
        'content-type': 'application/octet-stream',
        'cache-control': 'private, max-age=31536000, immutable',
      });
      served.set(`${tenant}/${tilePath(tile)}`, reply.bytes);
    }
    expect(contentFaults(tenant, served, leaves)).toEqual([]);
    served.set(`${tenant}/checkpoint`, Buffer.from((await log('checkpoint')).text));
    expect(publishedFaults(tenant, served, leaves)).toEqual([]);
    expect(leafHash(leaves[0] as string)).toBe(
      Buffer.from(served.get(`${tenant}/tile/0/000`)?.subarray(0, 32) ?? []).toString('hex'),
    );
  });

  it.each([
    'tile/0/001',
    'tile/0/001.p/255',
    'tile/2/000.p/1',
    'tile/0/0',
    'tile/0/000.p/256',
    'tile/64/000',
    'tile/x/000',
    'tile/0/x001/000',
    'tile/0/000.p/0',
  ])('have no tile %s', async (path) => {
    const reply = await log(path);
    expect([reply.status, reply.code]).toEqual([404, 'record-not-found']);
  });

  it('still verify for what was proven before the log grew', async () => {
    const reply = await host.get(`${decision}/proof?revision=1`, as);
    expect((await verifyRecordProof(reply.text, { vkey })).verdict).toBe('yes');
  });

  it('cost two reads of the record, one of the event, and a few of the log, once the keys are known', async () => {
    const counted = countingPorts(storage.ports);
    const measured = httpHost(counted.ports);
    expect((await measured.get(`${decision}/proof`, as)).status).toBe(200);
    counted.reset();
    expect((await measured.get(`${decision}/proof`, as)).status).toBe(200);
    const counts = counted.counts();
    // The record row and the event's row; the detail, the checkpoint, and the tiles of both levels.
    expect(counts['tables.find']).toBe(2);
    expect(counts['blobs.find']).toBeLessThanOrEqual(2 + 4);
    expect(Object.keys(counts).sort()).toEqual(['blobs.find', 'tables.find']);
  });
});

describe('a log that somebody else has changed', () => {
  it('is not proven from: a tile that differs is an integrity failure', async () => {
    const kind = STORAGES[0] as (typeof STORAGES)[number];
    const storage = await openStorage(kind);
    const host = httpHost(storage.ports);
    const tenant = newTenant();
    const made = [await created(host, {}, { tenant }), await created(host, {}, { tenant })];
    await host.platform.sealer.sealTenant(tenant);
    const name = `${tenant}/tile/0/000.p/2`;
    const { blobs }: StoragePorts = storage.ports;
    const found = await blobs.find('ledger', name);
    const bytes = Uint8Array.from(found?.bytes ?? []);
    bytes[40] = (bytes[40] ?? 0) ^ 1;
    await blobs.swap('ledger', name, bytes, found?.etag);
    const reply = await host.get(`/decisions/${made[0]?.envelope.id ?? ''}/proof`, { tenant });
    expect([reply.status, reply.code]).toEqual([500, 'integrity-failure']);
    storage.close();
  });
});
