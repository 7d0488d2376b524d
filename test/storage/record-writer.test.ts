import { beforeEach, describe, expect, it } from 'vitest';
import { storageNames } from '../../src/platform.js';
import { decisionType } from '../../src/records/decision.js';
import { prefixRange } from '../../src/storage/keys.js';
import { StorageFault, type Row, type RowOperation, type StoragePorts } from '../../src/storage/ports.js';
import { memoryPorts } from '../support/memory-ports.js';
import { caller, testPlatform } from '../support/platform.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts, type Intercept, type PortCall } from '../support/wrap-ports.js';

const body = { decision_type: 'strategic', title: 'Open a second warehouse' };
const vote = (agent: string) => ({ agent, vote: 'approve', confidence: 1 });
const call = caller();
const keyed = caller({ idempotency: { key: 'k', scope: 's', fingerprint: 'f' } });
let clock: VirtualClock;
let ports: StoragePorts;

beforeEach(() => {
  clock = new VirtualClock(Date.UTC(2026, 10, 21));
  ports = memoryPorts({ clock, names: storageNames() });
});

const host = (intercept?: Intercept, seed?: string) =>
  testPlatform(intercept === undefined ? ports : wrapPorts(ports, intercept), { clock, ...(seed === undefined ? {} : { seed }) }); // prettier-ignore

/** True for the transaction that commits a decision. */
const isCommit = (one: PortCall): boolean =>
  one.method === 'commit' && one.args[0] === 'decisions' && (one.args[2] as RowOperation[]).length > 1;

/** Lets virtual time pass until the promise is settled. */
async function run<T>(promise: Promise<T>): Promise<T> {
  let settled = false;
  const done = promise.finally(() => (settled = true));
  done.catch(() => undefined);
  while (!settled) await clock.advance(50);
  return done;
}

/** The reservations of the keys of the default tenant. */
async function reservations(): Promise<Row[]> {
  const rows: Row[] = [];
  for (let shard = 0; shard < 256; shard += 1) {
    const key = `default:${shard.toString(16).padStart(2, '0')}`;
    rows.push(...(await ports.tables.range('idempotency', key, { ...prefixRange('k:'), limit: 10 })).rows);
  }
  return rows;
}

describe('a create', () => {
  it('whose id is taken by another record is refused, and the other stays as it was', async () => {
    // Two hosts that draw the same bytes for the same moment.
    const dated = { ...body, created_at: '2026-11-20T08:00:00Z' };
    const made = await run(host(undefined, 'same').manager.create(decisionType, dated, call));
    const { manager } = host(undefined, 'same');
    const { id } = made.envelope;
    await expect(run(manager.create(decisionType, { ...dated, title: 'Another' }, call))).rejects.toMatchObject({
      code: 'record-exists',
      evidence: { id },
    }); // prettier-ignore
    expect((await manager.get(decisionType, id, call)).envelope).toEqual(made.envelope);
  });

  it('writes its detail as JSON under a name of its own', async () => {
    const puts: unknown[][] = [];
    const { manager } = host((one, go) => {
      if (one.method === 'putOnce') puts.push([...one.args]);
      return go();
    });
    const { envelope } = await run(manager.create(decisionType, body, call));
    expect(puts).toEqual([['records', expect.stringContaining(envelope.id), expect.any(Uint8Array), 'application/json']]); // prettier-ignore
  });
});

describe('a change', () => {
  it('that waited for another until its time was up is storage-unavailable, and stores nothing', async () => {
    let commits = 0;
    const { manager } = host(async (one, go) => {
      // The first is the create, the second the vote that keeps the other waiting.
      if (isCommit(one) && (commits += 1) === 2) await clock.sleep(21_000);
      return go();
    });
    const { id } = (await run(manager.create(decisionType, body, call))).envelope;
    const first = manager.act(decisionType, id, 'votes', vote('a'), undefined, call);
    const second = manager.act(decisionType, id, 'votes', vote('b'), undefined, call);
    await expect(run(Promise.all([first.catch(() => undefined), second]))).rejects.toMatchObject({
      code: 'storage-unavailable',
    });
    const { envelope } = await manager.get(decisionType, id, call);
    expect(envelope.data['agent_votes']).toMatchObject([{ agent: 'a' }]);
  });

  it('whose outcome is not known keeps its key; a definite refusal opens it', async () => {
    const { id } = (await run(host().manager.create(decisionType, body, call))).envelope;
    const silent = host((one, go) =>
      isCommit(one) ? Promise.reject(new StorageFault('unavailable', 'no answer')) : go(),
    );
    const lost = silent.manager.act(decisionType, id, 'votes', vote('a'), undefined, keyed);
    await expect(run(lost)).rejects.toMatchObject({ code: 'storage-unavailable' });
    expect(await reservations()).toHaveLength(1);
    const other = caller({ idempotency: { key: 'l', scope: 's', fingerprint: 'f' } });
    const refused = host().manager.act(decisionType, id, 'votes', {}, undefined, other);
    await expect(run(refused)).rejects.toMatchObject({ code: 'record-invalid' });
    expect(await reservations()).toHaveLength(1);
  });

  it('whose key was forgotten while it slept ends there, and is not stored', async () => {
    const { id } = (await run(host().manager.create(decisionType, body, call))).envelope;
    let slept = false;
    const sleeper = host(async (one, go) => {
      if (isCommit(one) && !slept) {
        slept = true;
        await host().manager.act(decisionType, id, 'votes', vote('b'), undefined, call);
        for (const { partitionKey, rowKey } of await reservations())
          await ports.tables.commit('idempotency', partitionKey, [{ kind: 'delete', rowKey, etag: '*' }]);
      }
      return go();
    });
    const late = sleeper.manager.act(decisionType, id, 'votes', vote('a'), undefined, keyed);
    await expect(run(late)).rejects.toMatchObject({ code: 'idempotency-in-progress' });
    expect((await host().manager.get(decisionType, id, call)).envelope.revision).toBe(2);
  });
});

describe('an answer', () => {
  it('cannot be changed into what the next revision is built on', async () => {
    const { manager } = host();
    const made = await manager.create(decisionType, { ...body, metadata: { by: 'me' } }, call);
    const { data } = made.envelope;
    expect(() => Object.assign(data, { title: 'Nobody decided this' })).toThrow(TypeError);
    expect(() => Object.assign(data['metadata'] as object, { by: 'nobody' })).toThrow(TypeError);
    await manager.act(decisionType, made.envelope.id, 'votes', vote('a'), undefined, call);
    const { envelope } = await host().manager.get(decisionType, made.envelope.id, call);
    expect([envelope.revision, envelope.data['title'], envelope.data['metadata']]).toEqual([2, body.title, { by: 'me' }]); // prettier-ignore
  });
});
