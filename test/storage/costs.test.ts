import { describe, expect, it } from 'vitest';
import { DEFAULT_CONFIGURATION } from '../../src/domain/tenant-configuration.js';
import type { Platform } from '../../src/platform.js';
import { agentStateType } from '../../src/records/agent-state.js';
import { covenantType } from '../../src/records/covenant.js';
import { decisionType } from '../../src/records/decision.js';
import type { RowOperation } from '../../src/storage/ports.js';
import { AMENDMENT, COVENANT } from '../support/covenants.js';
import { countingPorts, type CountingPorts } from '../support/counting-ports.js';
import { caller, openStorage, STORAGES, testPlatform } from '../support/platform.js';

/**
 * What operations cost in storage calls (architecture.md, "Cost is a design constraint"). Every port call is one
 * request. What a process pays once per partition and minute, or once per actor, is warmed up first and counted by
 * itself below.
 */
describe.each(STORAGES)('transaction counts $name', (kind) => {
  const call = caller();
  const body = { decision_type: 'strategic', title: 'Open a second warehouse' };
  const vote = (agent: string) => ({ agent, vote: 'approve', confidence: 1 });

  async function warm(): Promise<{ counting: CountingPorts; platform: Platform; id: string; etag: string }> {
    const storage = await openStorage(kind);
    const counting = countingPorts(storage.ports);
    const platform = testPlatform(counting.ports);
    const made = await platform.manager.create(decisionType, body, call);
    counting.reset();
    return { counting, platform, id: made.envelope.id, etag: made.etag };
  }

  const rowsOf = ({ calls }: CountingPorts): number[] =>
    calls.filter((one) => one.method === 'commit').map((one) => (one.args[2] as RowOperation[]).length);

  it('a create is 1 blob write and 1 transaction of 8 rows', async () => {
    const { counting, platform } = await warm();
    await platform.manager.create(decisionType, body, call);
    expect(counting.counts()).toEqual({ 'blobs.putOnce': 1, 'tables.commit': 1 });
    expect(rowsOf(counting)).toEqual([8]);
  });

  it('an idempotency key adds one insert and one row', async () => {
    const { counting, platform } = await warm();
    const keyed = caller({ idempotency: { key: 'k', scope: 's', fingerprint: 'f' } });
    await platform.manager.create(decisionType, body, keyed);
    expect(counting.counts()).toEqual({ 'blobs.putOnce': 1, 'tables.commit': 2 });
    expect(rowsOf(counting)).toEqual([1, 9]);
  });

  it('a read is 1 point read and 1 blob read', async () => {
    const { counting, platform, id } = await warm();
    await platform.manager.get(decisionType, id, call);
    expect(counting.counts()).toEqual({ 'tables.find': 1, 'blobs.find': 1 });
  });

  it('a vote is 1 point read, 1 blob write and 1 transaction when the previous detail is warm', async () => {
    const { counting, platform, id } = await warm();
    await platform.manager.act(decisionType, id, 'votes', vote('cfo'), undefined, call);
    expect(counting.counts()).toEqual({ 'tables.find': 1, 'blobs.putOnce': 1, 'tables.commit': 1 });
    expect(rowsOf(counting)).toEqual([8]);
  });

  it('and 1 blob read more when it is not', async () => {
    const { counting, platform, id } = await warm();
    const other = testPlatform(counting.ports);
    await other.manager.create(decisionType, body, call);
    counting.reset();
    await other.manager.act(decisionType, id, 'votes', vote('cfo'), undefined, call);
    expect(counting.counts()).toEqual({
      'tables.find': 1,
      'blobs.find': 1,
      'blobs.putOnce': 1,
      'tables.commit': 1,
    });
    expect(platform).toBeDefined();
  });

  it('a patch costs what a vote costs, with the index rows that move deleted in the same transaction', async () => {
    const { counting, platform, id, etag } = await warm();
    await platform.manager.patch(decisionType, id, { status: 'in_progress' }, etag, call);
    expect(counting.counts()).toEqual({ 'tables.find': 1, 'blobs.putOnce': 1, 'tables.commit': 1 });
    expect(rowsOf(counting)).toEqual([10]);
  });

  it('the hundredth vote costs what the first did', async () => {
    const { counting, platform, id } = await warm();
    for (let at = 0; at < (kind.realTime ? 20 : 100); at += 1) {
      counting.reset();
      await platform.manager.act(decisionType, id, 'votes', vote(`agent ${String(at)}`), undefined, call);
      expect(counting.calls).toHaveLength(3);
    }
  });

  it('a batch of 100 is 1 blob write and 9 transactions, and nothing grows with what is stored', async () => {
    const { counting, platform } = await warm();
    for (let round = 0; round < 2; round += 1) {
      counting.reset();
      await platform.manager.createBatch(decisionType, Array.from({ length: 100 }, () => body), call); // prettier-ignore
      expect(counting.counts()).toEqual({ 'blobs.putOnce': 1, 'tables.commit': 9 });
      expect(rowsOf(counting).every((rows) => rows <= 100)).toBe(true);
    }
  });

  it('a first page is the directory and 1 range read, the next page 1 range read', async () => {
    const { counting, platform } = await warm();
    await platform.manager.createBatch(decisionType, Array.from({ length: 9 }, () => body), call); // prettier-ignore
    counting.reset();
    const page = await platform.manager.list(decisionType, { filters: { status: 'queued' }, limit: 4 }, call);
    expect(counting.counts()).toEqual({ 'tables.range': 2 });
    counting.reset();
    const cursor = page.nextCursor ?? '';
    await platform.manager.list(decisionType, { filters: { status: 'queued' }, limit: 4, cursor }, call);
    expect(counting.counts()).toEqual({ 'tables.range': 1 });
  });

  it('a page over empty months reads none of them, and never more than 12 partitions', async () => {
    const { counting, platform } = await warm();
    for (let year = 2000; year < 2020; year += 1) {
      await platform.manager.create(
        decisionType,
        { ...body, created_at: `${String(year)}-06-15T00:00:00Z` },
        call,
      );
    }
    counting.reset();
    const page = await platform.manager.list(decisionType, { filters: {}, limit: 50 }, call);
    expect(counting.counts()).toEqual({ 'tables.range': 13 });
    expect(page.items).toHaveLength(12);
    counting.reset();
    const rest = await platform.manager.list(
      decisionType,
      { filters: {}, limit: 50, cursor: page.nextCursor ?? '' },
      call,
    );
    expect(counting.counts()).toEqual({ 'tables.range': 10 });
    expect([rest.items.length, rest.nextCursor]).toEqual([9, null]);
  });

  it('the first write of a process in a partition announces it: 3 writes, 2 calls for a new actor, and 7 for keys', async () => {
    const storage = await openStorage(kind);
    const counting = countingPorts(storage.ports);
    await testPlatform(counting.ports).manager.create(decisionType, body, call);
    // Directory of tenants, directory of partitions, dirty row; pseudonym looked up and made; the create itself.
    // Keys of the tenant, which is listed, of the actor, and of what is about nobody: looked up and made.
    expect(counting.counts()).toMatchObject({
      'tables.commit': 3 + 1 + 1 + 4,
      'tables.find': 1 + 3,
      'blobs.putOnce': 1,
    });
  });

  it('sealing is a handful of calls, not one per event', async () => {
    const { counting, platform } = await warm();
    await platform.manager.createBatch(decisionType, Array.from({ length: 99 }, () => body), call); // prettier-ignore
    counting.reset();
    expect(await platform.sealer.sealTenant('default')).toEqual({ sealed: 100, busy: false });
    const { 'tables.commit': commits = 0, ...others } = counting.counts();
    // Four index rows and the event's own row for each of 100 events, 100 rows a transaction; one delete transaction.
    expect(commits).toBeLessThanOrEqual(5 + 1 + 3);
    expect(Object.values(others).reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(16);
  });

  describe('of a type whose ids do not tell the partition', () => {
    const state = { role: 'cfo', agent_id: 'cfo-1', status: 'idle' };
    const at = { partition: 'cfo', name: 'cfo-1' };

    async function warmAgents() {
      const storage = await openStorage(kind);
      const counting = countingPorts(storage.ports);
      const platform = testPlatform(counting.ports);
      const made = await platform.manager.create(agentStateType, { ...state, agent_id: 'first' }, call);
      counting.reset();
      return { storage, counting, platform, id: made.envelope.id };
    }

    it('a create is one write more, at the same time as the blob, its own 6 rows, and a point read of its name', async () => {
      const { counting, platform } = await warmAgents();
      await platform.manager.create(agentStateType, state, call);
      expect(counting.counts()).toEqual({ 'tables.find': 1, 'blobs.putOnce': 1, 'tables.commit': 2 });
      expect(rowsOf(counting).sort()).toEqual([1, 6]);
    });

    it('a put is one point read more before the first, and costs a vote after it', async () => {
      const { counting, platform } = await warmAgents();
      const put = (status: string) => platform.manager.put(agentStateType, at, { status }, {}, call);
      await put('idle');
      expect(counting.counts()).toEqual({ 'tables.find': 1, 'blobs.putOnce': 1, 'tables.commit': 2 });
      await put('busy');
      counting.reset();
      await put('idle');
      expect(counting.counts()).toEqual({ 'tables.find': 1, 'blobs.putOnce': 1, 'tables.commit': 1 });
    });

    it('a read by id or name is one point read more the first time in a process, two for keys, and then as any other, or free', async () => {
      const { counting, id } = await warmAgents();
      const fresh = caller({ fresh: true });
      for (const name of [undefined, 'first']) {
        const { manager, configurations } = testPlatform(counting.ports);
        await configurations.of(call);
        const read = (as = fresh) =>
          name === undefined
            ? manager.get(agentStateType, id, as)
            : manager.getNamed(agentStateType, { partition: 'cfo', name }, as);
        counting.reset();
        await read();
        expect(counting.counts()).toEqual({ 'tables.find': 2 + 2, 'blobs.find': 1 });
        counting.reset();
        await read();
        expect(counting.counts()).toEqual({ 'tables.find': 1, 'blobs.find': 1 });
        counting.reset();
        await read(call);
        expect(counting.counts()).toEqual({});
      }
    });

    it('what a tenant has set is one point read in ten minutes, a put one and a transaction of 3 rows', async () => {
      const { counting, platform } = await warmAgents();
      await platform.configurations.of(call);
      await platform.configurations.of(call);
      expect(counting.counts()).toEqual({ 'tables.find': 1 });
      await platform.configurations.put(DEFAULT_CONFIGURATION, {}, call);
      counting.reset();
      await platform.configurations.put(DEFAULT_CONFIGURATION, {}, call);
      expect(counting.counts()).toEqual({ 'tables.find': 1, 'tables.commit': 1 });
      expect(rowsOf(counting)).toEqual([3]);
    });

    it('a batch of 100 of one partition is one lookup write more, and a point read of each name', async () => {
      const { counting, platform } = await warmAgents();
      const items = Array.from({ length: 100 }, (_, n) => ({ ...state, agent_id: `agent ${n}` }));
      await platform.manager.createBatch(agentStateType, items, call);
      expect(counting.counts()).toEqual({ 'tables.find': 100, 'blobs.putOnce': 1, 'tables.commit': 1 + 7 });
    });

    it('a page is one range read where the partition is asked for, else one of each and the directory', async () => {
      const { counting, platform } = await warmAgents();
      for (const role of ['coo', 'cto'])
        await platform.manager.create(agentStateType, { ...state, role }, call);
      const list = async (filters: Record<string, string>) => {
        counting.reset();
        await platform.manager.list(agentStateType, { filters, limit: 10 }, call);
        return counting.counts();
      };
      expect(await list({ role: 'coo', status: 'idle' })).toEqual({ 'tables.range': 1 });
      expect(await list({ status: 'idle' })).toEqual({ 'tables.range': 4 });
    });
  });

  describe('of a type whose records have partitions of their own', () => {
    const covenant = { ...COVENANT, status: 'active' };

    /** Writes by what they are for: records, their announcement in `system`, and the rows of lists. */
    const writesOf = ({ calls }: CountingPorts): Record<string, readonly number[]> => {
      const found: Record<string, number[]> = {};
      for (const { method, args } of calls) {
        if (method !== 'commit') continue;
        const what = args[0] === 'system' ? 'announcement' : String(args[1]).endsWith(':index') ? 'lists' : 'record'; // prettier-ignore
        (found[what] ??= []).push((args[2] as RowOperation[]).length);
      }
      return found;
    };

    async function warmCovenants() {
      const storage = await openStorage(kind);
      const counting = countingPorts(storage.ports);
      const platform = testPlatform(counting.ports);
      const made = await platform.manager.create(covenantType, covenant, call);
      counting.reset();
      return { counting, platform, id: made.envelope.id, etag: made.etag };
    }

    it('a create is 1 blob write and 1 transaction of 3 rows, 1 of 5 for its lists, and 2 rows that announce it', async () => {
      const { counting, platform } = await warmCovenants();
      await platform.manager.create(covenantType, covenant, call);
      expect(counting.counts()).toEqual({ 'blobs.putOnce': 1, 'tables.commit': 1 + 1 + 2 });
      expect(writesOf(counting)).toEqual({ record: [3], lists: [5], announcement: [1, 1] });
    });

    it('an action is what it is for any type, and 1 point read and 1 transaction for its lists', async () => {
      const { counting, platform, id } = await warmCovenants();
      for (const [action, body, rows] of [
        ['recognitions', { peer: 'x' }, 5],
        ['amendments', AMENDMENT, 7],
      ] as const) {
        // prettier-ignore
        counting.reset();
        await platform.manager.act(covenantType, id, action, body, undefined, call);
        expect(counting.counts()).toEqual({
          'tables.find': 1 + 1,
          'blobs.putOnce': 1,
          'tables.commit': 1 + 1,
        });
        expect(writesOf(counting)).toEqual({ record: [3], lists: [rows] });
      }
    });

    it('a read is 1 point read and 1 blob read, and so is a view', async () => {
      const { counting, platform, id } = await warmCovenants();
      await platform.manager.get(covenantType, id, call);
      expect(counting.counts()).toEqual({ 'tables.find': 1, 'blobs.find': 1 });
      counting.reset();
      await platform.manager.getView(covenantType, id, 'ledger', call);
      expect(counting.counts()).toEqual({ 'tables.find': 1, 'blobs.find': 1 });
    });

    it('a page is 1 range read, however many partitions there are, and the directory is not asked', async () => {
      const { counting, platform } = await warmCovenants();
      await platform.manager.createBatch(covenantType, Array.from({ length: 30 }, () => covenant), call); // prettier-ignore
      const first = testPlatform(counting.ports);
      const list = async (cursor?: string) => {
        counting.reset();
        const filters = { status: 'active', compliance_standard: 'BIC-1.0' };
        const page = await first.manager.list(covenantType, { filters, limit: 20, cursor }, call);
        expect(counting.counts()).toEqual({ 'tables.range': 1 });
        return page;
      };
      const page = await list();
      expect([page.items.length, (await list(page.nextCursor ?? '')).items.length]).toEqual([20, 11]);
    });

    it('a batch of 100 is 1 blob write, a transaction for each, and 5 for all of their lists', async () => {
      const { counting, platform } = await warmCovenants();
      await platform.manager.createBatch(covenantType, Array.from({ length: 100 }, () => covenant), call); // prettier-ignore
      const { record, lists, announcement } = writesOf(counting);
      expect([record?.length, lists, announcement?.length]).toEqual([100, Array(5).fill(100), 200]);
      expect(counting.counts()['blobs.putOnce']).toBe(1);
    });

    it('sealing costs nothing for lists in the process that wrote them, and 2 point reads for each elsewhere', async () => {
      const { counting, platform } = await warmCovenants();
      for (let n = 0; n < 3; n += 1) await platform.manager.create(covenantType, covenant, call);
      const pointReads = async (on: Platform): Promise<number> => {
        counting.reset();
        expect((await on.sealer.sealTenant('default')).busy).toBe(false);
        return counting.calls.filter(({ method, args }) => method === 'find' && args[0] === 'covenants')
          .length;
      };
      expect(await pointReads(platform)).toBe(0);
      for (let n = 0; n < 4; n += 1) await platform.manager.create(covenantType, covenant, call);
      const other = testPlatform(counting.ports);
      // One more tells that the stage before is finished.
      expect(await pointReads(other)).toBe(2 * 4 + 1);
    });
  });
});
