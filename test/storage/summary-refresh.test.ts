import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fence } from '../../src/lifecycle/fence.js';
import type { Platform } from '../../src/platform.js';
import { conversationType } from '../../src/records/conversation.js';
import { metricType } from '../../src/records/metric.js';
import { Budget } from '../../src/storage/backoff.js';
import { newTenant } from '../support/decisions.js';
import { seededEntropy } from '../support/entropy.js';
import { caller, openStorage, STORAGES, testPlatform } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';
import { realClock } from '../support/virtual-clock.js';
import { wrapPorts, type Intercept, type PortCall } from '../support/wrap-ports.js';
import { diesAt, Sleeper } from '../lifecycle/support.js';

const TALK = { conversation_type: 'boardroom', participants: ['ceo'], created_at: '2026-01-31T12:00:00Z' } as const; // prettier-ignore
const commitsIn = (table: string) => (call: PortCall) => call.method === 'commit' && call.args[0] === table;

/** Does something once, before the first transaction in a table. */
function before(table: string, work: () => Promise<unknown>): Intercept {
  let done = false;
  return async (call, run) => {
    if (!done && commitsIn(table)(call)) {
      done = true;
      await work();
    }
    return run();
  };
}

describe.each(STORAGES)('what lists show of a record’s parts $name', (kind) => {
  let storage: StorageUnderTest;
  beforeAll(async () => {
    storage = await openStorage(kind);
  });
  afterAll(() => storage.close());
  const host = (intercept?: Intercept): Platform =>
    testPlatform(intercept === undefined ? storage.ports : wrapPorts(storage.ports, intercept));

  /** A metric and its values. */
  class Gauge {
    readonly call = caller({ tenant: newTenant() });
    readonly on = host();
    id = '';
    async begin(current: number): Promise<this> {
      const body = { name: 'a', metric_type: 'gauge', unit: 'd', current_value: current } as const;
      this.id = await this.on.manager.storeBusinessMetric(body, this.call);
      return this;
    }
    add(value: number): Promise<unknown> {
      return this.on.manager.recordMetricValues(this.id, [{ value }], this.call);
    }
    digest(platform = this.on): Promise<number> {
      return platform.manager.digestParts(metricType, this.call.tenant, this.id);
    }
    async listed(): Promise<unknown> {
      const page = await this.on.manager.list(metricType, { filters: {}, limit: 10 }, this.call);
      return page.items.map((item) => item['current_value']);
    }
  }

  const counted = async (platform: Platform, call: ReturnType<typeof caller>): Promise<unknown> => {
    const page = await platform.manager.list(conversationType, { filters: {}, limit: 10 }, call);
    return page.items.map((item) => item['message_count']);
  };

  it('is right when a fence moved the row beside the refresh', async () => {
    const call = caller({ tenant: newTenant() });
    const { tenant } = call;
    const { manager } = host();
    const id = await manager.storeConversation({ ...TALK, participants: ['ceo'] }, call);
    await manager.addMessage(id, { sender: 'ceo', content: 'x' }, call);
    const ref = { tenant, table: 'conversations', partition: '2026-01' };
    const fenced = () => fence(storage.ports.tables, ref, id, new Budget(realClock, seededEntropy('fence')));
    expect(await host(before('conversations', fenced)).manager.digestParts(conversationType, tenant, id)).toBe(1); // prettier-ignore
    expect(await counted(host(), call)).toEqual([1]);
  });

  it('is right when a change beside the refresh had read how many there were before', async () => {
    const call = caller({ tenant: newTenant() });
    const { manager } = host();
    const id = await manager.storeConversation({ ...TALK, participants: ['ceo'] }, call);
    const { etag } = await manager.get(conversationType, id, call);
    const sleeper = new Sleeper((one) => one.method === 'putOnce');
    const patch = host(sleeper.intercept).manager.patch(conversationType, id, { metadata: { a: 1 } }, etag, call); // prettier-ignore
    await sleeper.asleep;
    await manager.addMessage(id, { sender: 'ceo', content: 'x' }, call);
    const patched = async () => {
      sleeper.wake();
      await patch;
    };
    await host(before('conversations', patched)).manager.digestParts(conversationType, call.tenant, id);
    expect(await counted(host(), call)).toEqual([1]);
  });

  it('is the last value when two hosts digest at once', async () => {
    const gauge = await new Gauge().begin(1);
    await gauge.add(7);
    const sleeper = new Sleeper(commitsIn('metrics'));
    const first = gauge.digest(host(sleeper.intercept));
    await sleeper.asleep;
    await gauge.add(9);
    const second = host(
      before('metrics', async () => {
        sleeper.wake();
        await first;
      }),
    );
    await gauge.digest(second);
    expect(await gauge.listed()).toEqual([9]);
  });

  it('is the last value when it is one of before and a change had read the one between', async () => {
    const gauge = await new Gauge().begin(5);
    await gauge.add(6);
    const { etag } = await gauge.on.manager.get(metricType, gauge.id, gauge.call);
    const sleeper = new Sleeper((call) => call.method === 'putOnce');
    const patch = host(sleeper.intercept).manager.patch(metricType, gauge.id, { metadata: { x: 1 } }, etag, gauge.call); // prettier-ignore
    await sleeper.asleep;
    await gauge.add(5);
    await gauge.digest();
    sleeper.wake();
    await patch;
    expect(await gauge.listed()).toEqual([5]);
  });

  it('is brought before it is said that all is digested, wherever a digest dies', async () => {
    const gauge = await new Gauge().begin(1);
    await gauge.add(7);
    let moved = false;
    const dying = host((call, run) => {
      if (moved) return Promise.reject(new Error('no more'));
      moved = commitsIn('metricentries')(call);
      return run();
    });
    await gauge.digest(dying).catch(() => 0);
    expect(moved).toBe(true);
    expect(await gauge.listed()).toEqual([7]);
    await gauge.add(8);
    const dead = host(diesAt(commitsIn('metrics')));
    await expect(gauge.digest(dead)).rejects.toThrow('no more');
    expect(await gauge.digest()).toBeGreaterThan(0);
    expect(await gauge.listed()).toEqual([8]);
  });
});
