import { beforeEach, describe, expect, it } from 'vitest';
import { PendingQueue } from '../../src/audit/pending-queue.js';
import type { CorruptRow, PendingEvent } from '../../src/audit/pending-row.js';
import type { PartitionRef } from '../../src/storage/directory.js';
import type { RangeQuery, StoragePorts } from '../../src/storage/ports.js';
import { memoryPorts } from '../support/memory-ports.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';
import { commitChanges, creates, DECISIONS, host, TENANT } from './support.js';

const START = Date.UTC(2026, 0, 10, 12);
const MANY = 1000;
const REFS = ['a', 'b', 'c'].map((partition): PartitionRef => ({ ...DECISIONS, partition }));
let ports: StoragePorts;
let corrupt: CorruptRow[];

/** Two pending events in each of three partitions. */
beforeEach(async () => {
  const clock = new VirtualClock(START);
  ports = memoryPorts({ clock });
  corrupt = [];
  for (const ref of REFS)
    await commitChanges(host(ports, clock), ref, creates(2, START, `${ref.partition}_`));
});

const queueOf = (refs: readonly PartitionRef[] = REFS, on = ports): PendingQueue =>
  new PendingQueue(on.tables, refs, (row) => corrupt.push(row));
const recordsOf = (events: readonly PendingEvent[]) => events.map(({ change }) => change?.record);

describe('the queue of partitions', () => {
  it('is read until there are events enough, and goes on with the next partition the next time', async () => {
    const queue = queueOf();
    for (const name of ['a', 'b', 'c', 'a']) {
      expect(recordsOf(await queue.read(2, Infinity))).toEqual([`${name}_0`, `${name}_1`]);
    }
    expect(queue.more).toBe(true);
    expect(recordsOf(await queue.read(3, Infinity))).toEqual(['b_0', 'b_1', 'c_0', 'c_1']);
    expect(recordsOf(await queue.read(1, Infinity))).toEqual(['a_0', 'a_1']);
  });

  it('is read until there is text enough', async () => {
    const [first] = [await queueOf().read(2, Infinity)];
    const size = first.reduce((sum, { text }) => sum + text.length, 0);
    expect(await queueOf().read(MANY, size)).toHaveLength(2);
    expect(await queueOf().read(MANY, size + 1)).toHaveLength(4);
    expect(await queueOf().read(MANY, Infinity)).toHaveLength(6);
  });

  it('is empty once everything that was seen is taken, and not before', async () => {
    const queue = queueOf();
    expect(queue.empty).toBe(false);
    const seen = await queue.read(MANY, Infinity);
    expect(queue.more).toBe(false);
    queue.took(seen.slice(1));
    expect(queue.empty).toBe(false);
    expect(recordsOf(await queue.read(MANY, Infinity))).toEqual(['a_0', 'a_1']);
    queue.took(seen.slice(0, 2));
    expect(queue.empty).toBe(true);
    expect(await queue.read(MANY, Infinity)).toEqual([]);
  });

  it('keeps a partition that was not looked at, or not to its end', async () => {
    const queue = queueOf();
    queue.took(await queue.read(2, Infinity));
    expect(recordsOf(await queue.read(MANY, Infinity))).toEqual(['b_0', 'b_1', 'c_0', 'c_1']);
    const slow = wrapPorts(ports, (call) => {
      const [table, key, query] = call.args as [string, string, RangeQuery];
      return ports.tables.range(table, key, { ...query, limit: 1 });
    });
    const partly = queueOf(REFS.slice(0, 1), slow);
    const [one] = await partly.read(1, Infinity);
    expect(partly.more).toBe(true);
    partly.took(one === undefined ? [] : [one]);
    expect(partly.empty).toBe(false);
  });

  it('holds a partition once, and drops one where nothing is pending', async () => {
    const nothing = { ...DECISIONS, partition: 'nothing' };
    const queue = queueOf([nothing, REFS[0] as PartitionRef, { ...(REFS[0] as PartitionRef) }]);
    expect(await queue.read(MANY, Infinity)).toHaveLength(2);
    const empty = queueOf([nothing]);
    expect(empty.empty).toBe(false);
    await empty.read(MANY, Infinity);
    expect(empty.empty).toBe(true);
    expect(queueOf([]).empty).toBe(true);
  });

  it('tells of every corrupt row, once, and drops a partition where nothing else is left', async () => {
    const seen = await queueOf().read(4, Infinity);
    const damage = async ({ partitionKey: key, rowKey }: PendingEvent): Promise<void> => {
      const altered = { kind: 'merge', rowKey, properties: { event: '' }, etag: '*' } as const;
      await ports.tables.commit('decisions', key, [altered]);
    };
    const [a0, a1, b0, b1] = seen as [PendingEvent, PendingEvent, PendingEvent, PendingEvent];
    await damage(a1);
    await damage(b1);
    const queue = queueOf(REFS.slice(0, 2));
    for (let round = 0; round < 3; round += 1) {
      expect(recordsOf(await queue.read(MANY, Infinity)).sort()).toEqual(['a_0', 'b_0']);
    }
    expect(corrupt).toEqual([
      { tenant: TENANT, table: 'decisions', partition: 'a', rowKey: a1.rowKey },
      { tenant: TENANT, table: 'decisions', partition: 'b', rowKey: b1.rowKey },
    ]);
    queue.took([a0, b0]);
    expect(queue.empty).toBe(true);
  });
});
