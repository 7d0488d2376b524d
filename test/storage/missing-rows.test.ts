import { beforeAll, describe, expect, it } from 'vitest';
import { decisionType } from '../../src/records/decision.js';
import { partitionKey, revisionKey } from '../../src/storage/keys.js';
import { placeOf } from '../../src/storage/record-location.js';
import { caller, openStorage, STORAGES, testPlatform } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';
import { wrapPorts } from '../support/wrap-ports.js';

const body = { decision_type: 'strategic', title: 'Open a second warehouse' };

describe.each(STORAGES)('rows that somebody removed or altered $name', (kind) => {
  let storage: StorageUnderTest;
  const call = caller();
  beforeAll(async () => {
    storage = await openStorage(kind);
  });

  async function withoutRevision(revision: number) {
    const platform = testPlatform(storage.ports);
    const { id } = (await platform.manager.create(decisionType, body, call)).envelope;
    const stored: string[] = [];
    for (const agent of ['a', 'b', 'c']) {
      const vote = { agent, vote: 'approve', confidence: 1 };
      stored.push(
        (await platform.manager.act(decisionType, id, 'votes', vote, undefined, call)).envelope.stored_at,
      );
    }
    const ref = placeOf(decisionType, 'default', id, {});
    const rowKey = revisionKey(id, revision);
    await storage.ports.tables.commit(ref.table, partitionKey('default', ref.partition), [
      { kind: 'delete', rowKey, etag: '*' },
    ]);
    return { platform, id, stored };
  }

  it('are noticed in a list of revisions, wherever the gap is and whatever the page', async () => {
    for (const gone of [1, 2, 4]) {
      const { platform, id } = await withoutRevision(gone);
      for (const limit of [1, 2, 10]) {
        const walk = async (): Promise<number> => {
          let cursor: string | undefined;
          let pages = 0;
          do {
            const page = await platform.manager.listRevisions(decisionType, id, { limit, cursor }, call);
            cursor = page.nextCursor ?? undefined;
            pages += 1;
          } while (cursor !== undefined);
          return pages;
        };
        await expect(walk()).rejects.toMatchObject({
          code: 'integrity-failure',
          evidence: { id, revision: gone },
        });
      }
    }
  });

  it('are not found when they never were, and an integrity failure when they were', async () => {
    const { platform, id, stored } = await withoutRevision(2);
    const get = (revision: number) => platform.manager.getRevision(decisionType, id, revision, call);
    await expect(get(2)).rejects.toMatchObject({ code: 'integrity-failure' });
    await expect(get(5)).rejects.toMatchObject({ code: 'record-not-found' });
    const asOf = platform.manager.getAsOf(decisionType, id, String(stored[0]), call);
    await expect(asOf).rejects.toMatchObject({ code: 'integrity-failure' });
    expect((await platform.manager.get(decisionType, id, call)).envelope.revision).toBe(4);
  });

  it('are not taken for removed when they were written while they were looked for', async () => {
    const platform = testPlatform(storage.ports);
    const { id } = (await platform.manager.create(decisionType, body, call)).envelope;
    const vote = { agent: 'a', vote: 'approve', confidence: 1 };
    let looked = false;
    const reading = wrapPorts(storage.ports, async (asked, run) => {
      const found = await run();
      if (!looked && asked.method === 'find' && asked.args[2] === revisionKey(id, 2)) {
        looked = true;
        await platform.manager.act(decisionType, id, 'votes', vote, undefined, call);
      }
      return found;
    });
    const read = await testPlatform(reading).manager.getRevision(decisionType, id, 2, call);
    expect([looked, read.envelope.revision]).toEqual([true, 2]);
  });

  it('do not hide a record from a filtered list: a damaged index row is answered from the record row', async () => {
    const platform = testPlatform(storage.ports);
    const mine = caller({ tenant: 'damaged' });
    const { id } = (await platform.manager.create(decisionType, body, mine)).envelope;
    const ref = placeOf(decisionType, 'damaged', id, {});
    const key = partitionKey('damaged', ref.partition);
    const page = await storage.ports.tables.range(ref.table, key, {
      from: 'i:status:',
      to: 'i:status;',
      limit: 10,
    });
    const rowKey = page.rows[0]?.rowKey ?? '';
    const list = (filters: Record<string, string>) =>
      platform.manager.list(decisionType, { filters, limit: 10 }, mine);
    for (const blind_created_by of ['eve', 'ada']) {
      await storage.ports.tables.commit(ref.table, key, [
        { kind: 'merge', rowKey, properties: { blind_created_by, title: 'altered' }, etag: '*' },
      ]);
      const found = (await list({ status: 'queued', created_by: 'ada' })).items;
      expect(found).toMatchObject([{ id, title: body.title }]);
      expect((await list({ status: 'queued', created_by: 'eve' })).items).toEqual([]);
    }
    await platform.sealer.sealTenant('damaged');
    const events = await platform.auditReader.list(
      { filters: { event_type: 'integrity.failed' }, limit: 10 },
      mine,
    );
    expect(events.items).toMatchObject([{ resource_id: id, details: { what: 'index row' } }]);
  });
});
