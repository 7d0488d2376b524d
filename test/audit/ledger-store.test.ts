import { beforeEach, describe, expect, it } from 'vitest';
import type { PendingEvent } from '../../src/audit/pending-row.js';
import { LedgerStore } from '../../src/audit/ledger-store.js';
import { planStage, type RoundPlan } from '../../src/audit/plan-stage.js';
import { StorageFault, type StoragePorts } from '../../src/storage/ports.js';
import { memoryPorts } from '../support/memory-ports.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';
import { creates, DECISIONS, pendingChange, TENANT } from './support.js';

const START = Date.UTC(2026, 0, 10, 12);
let ports: StoragePorts;
let store: LedgerStore;

beforeEach(() => {
  // Two names in a page of a list: what walks a list must walk on.
  ports = memoryPorts({ clock: new VirtualClock(START), listPage: 2 });
  store = new LedgerStore(ports.blobs);
});

/** The plan of a round of `count` events after `last`. */
function round(count: number, last?: RoundPlan): RoundPlan {
  const events = creates(count, START + (last?.head.tree_size ?? 0)).map((change): PendingEvent => {
    const { rowKey, properties } = pendingChange(DECISIONS, change);
    return {
      eventId: rowKey.slice(2),
      text: String(properties['event']),
      sealed: undefined,
      subjects: undefined,
      change: { record: change.record, revision: 1 },
      table: DECISIONS.table,
      partitionKey: `${TENANT}:${DECISIONS.partition}`,
      rowKey,
    };
  });
  return planStage(TENANT, last?.head, events, START);
}

/** The same store on blobs where `swap` fails. */
const failing = (error: Error): LedgerStore =>
  new LedgerStore(wrapPorts(ports, (call, run) => (call.method === 'swap' ? Promise.reject(error) : run())).blobs); // prettier-ignore

describe('the head of a log', () => {
  it('is put in the place of the one before, and comes back as it was', async () => {
    expect(await store.findHead(TENANT)).toBeUndefined();
    const one = round(2);
    const first = await store.replaceHead(one.head, undefined);
    expect(await store.findHead(TENANT)).toEqual(first);
    const second = await store.replaceHead(round(3, one).head, first);
    expect(second?.head.tree_size).toBe(5);
    expect(await store.findHead(TENANT)).toEqual(second);
  });

  it('is not put where somebody else was faster', async () => {
    const one = round(2);
    const first = await store.replaceHead(one.head, undefined);
    expect(await store.replaceHead(round(1).head, undefined)).toBeUndefined();
    await store.replaceHead(round(3, one).head, first);
    expect(await store.replaceHead(round(1, one).head, first)).toBeUndefined();
    expect((await store.findHead(TENANT))?.head.tree_size).toBe(5);
  });

  it('does not begin a second time where the one before is gone', async () => {
    const one = round(2);
    const first = await store.replaceHead(one.head, undefined);
    await ports.blobs.delete('ledger', `${TENANT}/head`);
    await expect(store.replaceHead(round(1, one).head, first)).rejects.toMatchObject({
      code: 'integrity-failure',
    });
  });

  it('is not written when it could not be read back, nor said to be when storage does not answer', async () => {
    const bad = { ...round(2).head, root: '0'.repeat(64) };
    await expect(store.replaceHead(bad, undefined)).rejects.toMatchObject({ code: 'integrity-failure' });
    expect(await store.findHead(TENANT)).toBeUndefined();
    const silence = new StorageFault('unavailable', 'no answer');
    await expect(failing(silence).replaceHead(round(2).head, undefined)).rejects.toBe(silence);
  });
});

describe('the stages of a log', () => {
  it('are written once, and come back as they were', async () => {
    const { stage, stored } = round(2);
    expect(await store.findStage(TENANT, stored.name)).toBeUndefined();
    await store.putStage(stored);
    await store.putStage(stored);
    expect(await store.findStage(TENANT, stored.name)).toEqual(stage);
    const silent = wrapPorts(ports, () => Promise.reject(new StorageFault('unavailable', 'no answer')));
    await expect(new LedgerStore(silent.blobs).putStage(stored)).rejects.toMatchObject({
      kind: 'unavailable',
    });
  });

  it('are deleted once a later head is finished: all that follow less than its size, but its own', async () => {
    const one = round(2);
    const two = round(3, one);
    const three = round(1, two);
    const lost = round(2, one);
    const older = [3, 4, 5, 6].map((count) => round(count));
    for (const { stored } of [one, ...older, two, lost, three]) await store.putStage(stored);
    const odd = `${TENANT}/stages/not-a-stage`;
    await ports.blobs.putOnce('ledger', odd, new Uint8Array(1), 'text/plain');
    const foreign = two.stored.name.replace(TENANT, 'other');
    await ports.blobs.putOnce('ledger', foreign, two.stored.bytes, 'application/json');
    await store.deleteStagesBefore(two.head);
    const left = async (prefix: string): Promise<string[]> => {
      const names: string[] = [];
      let next: string | undefined;
      do {
        const page = await ports.blobs.list('ledger', prefix, next);
        names.push(...page.names);
        next = page.next;
      } while (next !== undefined);
      return names;
    };
    expect(await left(`${TENANT}/stages/`)).toEqual([two.stored.name, three.stored.name, odd].sort());
    expect(await left('other/')).toEqual([foreign]);
  });
});

describe('a stream', () => {
  it('is there from the first on, and is no other tenant’s', async () => {
    expect(await store.hasStream(TENANT)).toBe(false);
    await ports.blobs.createAppend('audit', `${TENANT}-eu/2026-01-10/0001.jsonl`);
    expect(await store.hasStream(TENANT)).toBe(false);
    await ports.blobs.createAppend('audit', `${TENANT}/2026-01-10/0001.jsonl`);
    expect(await store.hasStream(TENANT)).toBe(true);
  });
});
