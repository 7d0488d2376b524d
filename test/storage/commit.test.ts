import { describe, expect, it } from 'vitest';
import { storageNames } from '../../src/platform.js';
import { decisionType } from '../../src/records/decision.js';
import { partitionKey, prefixRange, recordKey } from '../../src/storage/keys.js';
import { StorageFault, type RowOperation, type StoragePorts } from '../../src/storage/ports.js';
import { placeOf } from '../../src/storage/record-location.js';
import { memoryPorts } from '../support/memory-ports.js';
import { caller, testPlatform } from '../support/platform.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts, type Intercept, type PortCall } from '../support/wrap-ports.js';

const body = { decision_type: 'strategic', title: 'Open a second warehouse' };
const vote = { agent: 'cfo', vote: 'approve', confidence: 1 };
const call = caller();
const lost = (): never => {
  throw new StorageFault('unavailable', 'the answer was lost');
};

interface Stage {
  readonly clock: VirtualClock;
  readonly raw: StoragePorts;
  /** A host whose port calls go through `intercept`. */
  host(intercept?: Intercept): ReturnType<typeof testPlatform>;
  /** Lets virtual time pass until the promise is settled. */
  run<T>(promise: Promise<T>): Promise<T>;
}

function stage(): Stage {
  const clock = new VirtualClock(Date.UTC(2026, 10, 21, 8));
  const raw = memoryPorts({ clock, names: storageNames() });
  return {
    clock,
    raw,
    host: (intercept) => testPlatform(intercept === undefined ? raw : wrapPorts(raw, intercept), { clock }),
    async run(promise) {
      let settled = false;
      const done = promise.finally(() => (settled = true));
      done.catch(() => undefined);
      while (!settled) await clock.advance(50);
      return done;
    },
  };
}

/** True for the transaction that commits a decision. */
const isCommit = (one: PortCall): boolean =>
  one.method === 'commit' && one.args[0] === 'decisions' && (one.args[2] as RowOperation[]).length > 1;

async function pendingEvents(raw: StoragePorts, id: string): Promise<number> {
  const ref = placeOf(decisionType, 'default', id, {});
  const page = await raw.tables.range(ref.table, partitionKey('default', ref.partition), { ...prefixRange('o:'), limit: 1000 }); // prettier-ignore
  return page.rows.length;
}

describe('a commit whose answer was lost', () => {
  it('is found to have succeeded by its revision row, and is not made twice', async () => {
    const { raw, host, run } = stage();
    let times = 0;
    const platform = host(async (one, go) => {
      const result = await go();
      if (isCommit(one) && ++times === 1) lost();
      return result;
    });
    const { envelope } = await run(platform.manager.create(decisionType, body, call));
    expect([times, envelope.revision, await pendingEvents(raw, envelope.id)]).toEqual([1, 1, 1]);
  });

  it('is sent again, identical, when it never happened', async () => {
    const { raw, host, run } = stage();
    const sent: string[] = [];
    const platform = host(async (one, go) => {
      if (!isCommit(one)) return go();
      sent.push(JSON.stringify(one.args));
      return sent.length < 3 ? lost() : go();
    });
    const { envelope } = await run(platform.manager.create(decisionType, body, call));
    expect(new Set(sent).size).toBe(1);
    expect([sent.length, await pendingEvents(raw, envelope.id)]).toEqual([3, 1]);
  });

  it('is counted once when the first attempt arrives after the second', async () => {
    const { raw, host, run, clock } = stage();
    let late: (() => Promise<unknown>) | undefined;
    const platform = host(async (one, go) => {
      if (!isCommit(one) || late !== undefined) return go();
      late = go;
      return lost();
    });
    const { envelope } = await run(platform.manager.create(decisionType, body, call));
    await expect(late?.()).rejects.toMatchObject({ kind: 'exists' });
    await clock.advance(0);
    expect(await pendingEvents(raw, envelope.id)).toBe(1);
  });

  it('is a collision, tried again on the new revision, when another writer was faster', async () => {
    const { raw, host, run } = stage();
    const other = host();
    const { envelope } = await run(other.manager.create(decisionType, body, call));
    let times = 0;
    const platform = host(async (one, go) => {
      if (!isCommit(one) || ++times > 1) return go();
      await other.manager.act(decisionType, envelope.id, 'votes', { ...vote, agent: 'cto' }, undefined, call);
      return lost();
    });
    const voted = await run(platform.manager.act(decisionType, envelope.id, 'votes', vote, undefined, call));
    expect(voted.envelope.revision).toBe(3);
    expect(await pendingEvents(raw, envelope.id)).toBe(3);
  });

  it('ends in storage-unavailable with Retry-After once the budget is spent, never in a wrong success', async () => {
    const { host, run, clock } = stage();
    const platform = host((one, go) => (isCommit(one) ? lost() : go()));
    const began = clock.monotonic();
    await expect(run(platform.manager.create(decisionType, body, call))).rejects.toMatchObject({
      code: 'storage-unavailable',
      retryAfterS: expect.any(Number) as number,
    });
    expect(clock.monotonic() - began).toBeLessThanOrEqual(21_000);
  });
});

describe('a change', () => {
  it('whose table row moved while its revision did not is retried inside, never a 412', async () => {
    const { raw, host, run } = stage();
    const plain = host();
    const made = await run(plain.manager.create(decisionType, body, call));
    const ref = placeOf(decisionType, 'default', made.envelope.id, {});
    const key = partitionKey('default', ref.partition);
    let fenced = false;
    const platform = host(async (one, go) => {
      if (isCommit(one) && !fenced) {
        fenced = true;
        const row = await raw.tables.find(ref.table, key, recordKey(made.envelope.id));
        await raw.tables.commit(ref.table, key, [
          {
            kind: 'replace',
            rowKey: recordKey(made.envelope.id),
            properties: row?.properties ?? {},
            etag: '*',
          },
        ]);
      }
      return go();
    });
    const patch = platform.manager.patch(decisionType, made.envelope.id, { title: 'Two' }, made.etag, call);
    expect((await run(patch)).envelope.revision).toBe(2);
  });

  it('with If-Match is a version-conflict when another came first, and stores nothing', async () => {
    const { host, run } = stage();
    const platform = host();
    const made = await run(platform.manager.create(decisionType, body, call));
    await run(platform.manager.act(decisionType, made.envelope.id, 'votes', vote, undefined, call));
    for (const ifMatch of [made.etag, `W/${made.etag}`, '"nothing"', '']) {
      const patch = platform.manager.patch(decisionType, made.envelope.id, { title: 'Two' }, ifMatch, call);
      await expect(run(patch)).rejects.toMatchObject({ code: 'version-conflict' });
    }
    expect((await platform.manager.get(decisionType, made.envelope.id, call)).envelope.revision).toBe(2);
  });

  it('of a record that lost an index row is an integrity failure, not an endless competition', async () => {
    const { raw, host, run } = stage();
    const platform = host();
    const made = await run(platform.manager.create(decisionType, body, call));
    const ref = placeOf(decisionType, 'default', made.envelope.id, {});
    const key = partitionKey('default', ref.partition);
    const row = await raw.tables.find(ref.table, key, recordKey(made.envelope.id));
    const keys = JSON.parse(String(row?.properties['index_keys'])) as string[];
    const statusKey = keys.find((one) => one.startsWith('i:status:')) ?? '';
    await raw.tables.commit(ref.table, key, [{ kind: 'delete', rowKey: statusKey, etag: '*' }]);
    const patch = platform.manager.patch(
      decisionType,
      made.envelope.id,
      { status: 'failed' },
      made.etag,
      call,
    );
    await expect(run(patch)).rejects.toMatchObject({ code: 'integrity-failure' });
  });

  it('never gets a time before its predecessor’s, however the clocks of the hosts differ', async () => {
    const { host, run, clock } = stage();
    const ahead = host();
    const made = await run(ahead.manager.create(decisionType, body, call));
    clock.jump(-3_600_000);
    const voted = await run(
      ahead.manager.act(decisionType, made.envelope.id, 'votes', vote, undefined, call),
    );
    expect(Date.parse(voted.envelope.stored_at)).toBe(Date.parse(made.envelope.stored_at) + 1);
  });
});

describe('announcing', () => {
  const isDirty = (one: PortCall): boolean =>
    one.method === 'commit' && one.args[0] === 'system' && String(one.args[1]).includes(':dirty-');

  it('comes before the commit, and again when the writer slept for longer than a sweeper would respect', async () => {
    const { host, run, clock } = stage();
    const order: string[] = [];
    let slow = false;
    const platform = host(async (one, go) => {
      if (isDirty(one)) order.push('announce');
      if (isCommit(one)) order.push('commit');
      if (one.method === 'putOnce' && slow) await clock.sleep(61_000);
      return go();
    });
    await run(platform.manager.create(decisionType, body, call));
    expect(order).toEqual(['announce', 'commit']);
    await run(platform.manager.create(decisionType, body, call));
    expect(order).toEqual(['announce', 'commit', 'commit']);
    await clock.advance(50_000);
    order.length = 0;
    slow = true;
    // The announcement made before the blob is too old once the blob is there.
    await run(platform.manager.create(decisionType, body, call)).catch(() => undefined);
    expect(order.slice(0, 3)).toEqual(['announce', 'announce', 'commit']);
  });

  it('is made once for many commits at once', async () => {
    const { host, run } = stage();
    let announced = 0;
    const platform = host((one, go) => {
      if (isDirty(one)) announced += 1;
      return go();
    });
    await run(
      Promise.all(Array.from({ length: 20 }, () => platform.manager.create(decisionType, body, call))),
    );
    expect(announced).toBe(1);
  });
});
