import { beforeAll, describe, expect, it } from 'vitest';
import { verifyStored, type StoredEnvelope } from '../../src/domain/envelope.js';
import { isFault } from '../../src/storage/ports.js';
import { LONG } from '../lifecycle/archive-world.js';
import { DAY, VOTE } from '../lifecycle/support.js';
import { newTenant } from '../support/decisions.js';
import { STORAGES } from '../support/platform.js';
import { useHttpHost } from '../support/use-http-host.js';

const COUNT = 22;

describe.each(STORAGES)('records in the archive $name', (kind) => {
  const { storage, host } = useHttpHost(kind);
  const tenant = newTenant();
  const as = { tenant };
  const ids: string[] = [];
  const checksums: string[] = [];
  const proofs: string[] = [];

  const archive = async () => {
    const { platform } = host;
    await platform.jobs.start('index-subjects');
    const { outcome, counts } = await platform.jobs.start('archive');
    expect(outcome).toBe('done');
    return counts;
  };
  /** Ages are told by the clock of the service, which is not that of the host. */
  const serviceTime = async (): Promise<number> => {
    const row = { kind: 'upsert', rowKey: 'clock', properties: {} } as const;
    await storage.ports.tables.commit('system', '_system:test', [row]);
    return (await storage.ports.tables.find('system', '_system:test', 'clock'))?.timestampMs ?? 0;
  };
  const packs = async () => {
    const { names } = await storage.ports.blobs.list('records', `${tenant}/decision/_packs/`);
    return names;
  };

  beforeAll(async () => {
    const created = new Date((await serviceTime()) - 100 * DAY).toISOString();
    const inputs = { context: LONG };
    for (let at = 0; at < COUNT; at += 1) {
      const body = { decision_type: 'strategic', title: `Old ${String(at)}`, created_at: created, inputs };
      const made = await host.post('/decisions', body, as);
      expect(made.status, made.text).toBe(201);
      ids.push(made.envelope.id);
    }
    const voted = await host.post(`/decisions/${ids[0] ?? ''}/votes`, VOTE, as);
    expect(voted.status).toBe(200);
    for (const id of ids) checksums.push((await host.get(`/decisions/${id}`, as)).envelope.checksum);
    await host.platform.sealer.sealTenant(tenant);
    for (const id of ids.slice(0, 2)) {
      const proof = await host.get(`/decisions/${id}/proof`, as);
      expect(proof.status, proof.text).toBe(200);
      proofs.push(proof.text);
    }
  });

  it('are read like any other while they are cool, and written', async () => {
    expect(await archive()).toMatchObject({ moved: COUNT + 1, packs: 1, damaged: 0 });
    const [pack] = await packs();
    expect(await storage.ports.blobs.blockState('records', pack ?? '')).toMatchObject({ tier: 'cool' });
    for (const [at, id] of ids.entries()) {
      const read = await host.get(`/decisions/${id}`, as);
      expect([read.status, read.envelope.tier, read.envelope.checksum]).toEqual([200, 'cool', checksums[at]]);
    }
    const first = await host.get(`/decisions/${ids[0] ?? ''}/revisions/1`, as);
    expect([first.status, first.envelope.tier]).toEqual([200, 'cool']);
    const changed = await host.post(`/decisions/${ids[2] ?? ''}/votes`, VOTE, as);
    expect([changed.status, changed.envelope.tier, changed.envelope.revision]).toEqual([200, 'hot', 2]);
    const { page } = await host.get('/decisions?limit=100', as);
    expect(page.items.map(({ tier }) => tier).sort()).toEqual([
      ...Array<string>(COUNT - 1).fill('cool'),
      'hot',
    ]);
  });

  it('answer 409 with the way back once the blob is archived, whatever was kept in memory', async () => {
    expect(await archive()).toMatchObject({ archived: COUNT + 1, archivedPacks: 1, waiting: 1 });
    const [pack = ''] = await packs();
    const refused = await storage.ports.blobs.find('records', pack).catch((error: unknown) => error);
    expect(isFault(refused, 'archived')).toBe(true);
    const id = ids[0] ?? '';
    for (const path of ['', '/revisions/1', '/revisions/2', `?as_of=${new Date().toISOString()}`, '/proof']) {
      const read = await host.get(`/decisions/${id}${path}`, as);
      expect([read.status, read.code], path).toEqual([409, 'record-archived']);
      expect(read.problem.rehydrate).toBe(`/api/decisions/${id}/rehydrate`);
    }
    const voted = await host.post(`/decisions/${id}/votes`, { ...VOTE, agent: 'cto' }, as);
    expect([voted.status, voted.code]).toEqual([409, 'record-archived']);
    const { page } = await host.get('/decisions?limit=100', as);
    expect(page.items.find((one) => one['id'] === id)).toMatchObject({ tier: 'archive', title: 'Old 0' });
    const revisions = await host.get(`/decisions/${id}/revisions`, as);
    expect(revisions.heads.map(({ tier }) => tier)).toEqual(['archive', 'archive']);
    // What was written since is hot; what was before it is not.
    expect((await host.get(`/decisions/${ids[2] ?? ''}`, as)).status).toBe(200);
    expect((await host.get(`/decisions/${ids[2] ?? ''}/revisions/1`, as)).code).toBe('record-archived');
  });

  it('come back when they are asked for, with the same checksum and the same proof, and are still in the archive', async () => {
    const id = ids[0] ?? '';
    const asked = await host.post(`/decisions/${id}/rehydrate`, { priority: 'high' }, as);
    expect([asked.status, asked.json['problem']], asked.text).toEqual([202, null]);
    const { location = '' } = asked.headers;
    const polled = await host.get(location.slice('/api'.length), as);
    expect(polled.json).toMatchObject({ status: 'succeeded', record_id: id });
    const again = await host.post(`/decisions/${id}/rehydrate`, {}, as);
    expect([again.status, again.headers['location']]).toEqual([202, location]);
    const read = await host.get(`/decisions/${id}`, as);
    expect([read.status, read.envelope.tier, read.envelope.checksum]).toEqual([200, 'archive', checksums[0]]);
    const [pack = ''] = await packs();
    expect(await storage.ports.blobs.blockState('records', pack)).toMatchObject({ tier: 'archive' });
    const proof = await host.get(`/decisions/${id}/proof`, as);
    const [before, now] = [
      JSON.parse(proofs[0] ?? '') as { event: string; envelope: StoredEnvelope },
      proof.json,
    ] as const;
    expect([proof.status, now['event'], now['envelope']]).toEqual([200, before.event, before.envelope]);
    expect(verifyStored(Buffer.from(JSON.stringify(now['envelope'])), before.envelope)).not.toHaveProperty(
      'broken',
    );
    // One that nobody asked for is where it was.
    expect((await host.get(`/decisions/${ids[1] ?? ''}`, as)).code).toBe('record-archived');
    // What can be read can be built on.
    const voted = await host.post(`/decisions/${id}/votes`, { ...VOTE, agent: 'cto' }, as);
    expect([voted.status, voted.envelope.revision, voted.envelope.tier]).toEqual([200, 3, 'hot']);
  });

  it('are told of in the audit trail', async () => {
    await host.platform.sealer.sealTenant(tenant);
    const { items } = (await host.get(`/audit-events?resource_id=${ids[0] ?? ''}`, as)).json as { items: Record<string, unknown>[] }; // prettier-ignore
    const told = items.map(({ event_type: type, details }) => ({ type, ...(details as object) }));
    expect(told.filter(({ type }) => type === 'record.archived')).toEqual([
      expect.objectContaining({ from: 'cool', to: 'archive', revisions: { from: 1, to: 2, count: 2 } }),
      expect.objectContaining({ from: 'hot', to: 'cool', revisions: { from: 1, to: 2, count: 2 } }),
    ]);
    expect(told.filter(({ type }) => type === 'record.rehydrated')).toEqual([
      expect.objectContaining({ priority: 'high', packs: 1 }),
    ]);
  });

  it('are asked for by who may, in words that are known, and only where there is something to bring back', async () => {
    const [id = '', hot = ''] = [ids[1], ids[2]];
    const ask = (body: unknown, at = id, more = {}) =>
      host.post(`/decisions/${at}/rehydrate`, body, { ...as, ...more });
    expect((await ask({ priority: 'soon' })).pointers).toEqual(['/priority']);
    expect((await ask({ haste: true })).pointers).toEqual(['/haste']);
    expect((await ask({}, id, { roles: 'records.reader' })).status).toBe(403);
    expect((await ask({}, id, { tenant: newTenant() })).status).toBe(404);
    expect((await ask({}, hot)).status).toBe(202);
    const fresh = await host.post('/decisions', { decision_type: 'strategic', title: 'New' }, as);
    expect((await ask({}, fresh.envelope.id)).code).toBe('transition-not-allowed');
    expect((await ask({}, id, { roles: 'records.operator' })).status).toBe(202);
  });
});
