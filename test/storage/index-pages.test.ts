import { beforeEach, describe, expect, it } from 'vitest';
import { Budget } from '../../src/storage/backoff.js';
import type { Position } from '../../src/storage/cursor.js';
import { Directory } from '../../src/storage/directory.js';
import { scanIndex, type IndexPage, type IndexScan } from '../../src/storage/index-scan.js';
import { dayOf, indexKey, monthOf, partitionKey } from '../../src/storage/keys.js';
import { StorageFault, type Row, type StoragePorts } from '../../src/storage/ports.js';
import { countingPorts, type CountingPorts } from '../support/counting-ports.js';
import { seededEntropy } from '../support/entropy.js';
import { memoryPorts } from '../support/memory-ports.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';

const DAY = 86_400_000;
const month = (number: number): number => Date.UTC(2026, number - 1, 15);
let clock: VirtualClock;
let ports: StoragePorts;
let counted: CountingPorts;
let directory: Directory;

beforeEach(() => {
  clock = new VirtualClock();
  ports = memoryPorts({ clock });
  counted = countingPorts(ports);
  directory = new Directory(counted.ports.tables, clock);
});

/** Index rows at these times, each under the id `at<ms>`, in partitions named by `nameOf`. */
async function stored(times: readonly number[], nameOf = monthOf): Promise<void> {
  const other = new Directory(ports.tables, clock);
  for (const ms of times) {
    const rowKey = indexKey('status', 'queued', ms, `at${String(ms)}`);
    await other.register({ tenant: 'acme', table: 'notes', partition: nameOf(ms) });
    await ports.tables.commit('notes', partitionKey('acme', nameOf(ms)), [
      { kind: 'insert', rowKey, properties: { odd: ms % 2 === 1 } },
    ]);
  }
}

const timesOf = (page: IndexPage): number[] =>
  page.rows.map(({ rowKey }) => Number(rowKey.slice(rowKey.lastIndexOf(':at') + 3)));

function scan(changes: Partial<IndexScan> = {}, on: StoragePorts = counted.ports): Promise<IndexPage> {
  const budget = new Budget(clock, seededEntropy());
  return scanIndex(
    { tables: on.tables, directory, budget },
    {
      tenant: 'acme',
      table: 'notes',
      index: 'status',
      value: 'queued',
      fromMs: undefined,
      toMs: undefined,
      granularity: 'month',
      limit: 10,
      after: undefined,
      accept: undefined,
      ...changes,
    },
  );
}

/** Partitions whose rows were read, in order; the directory left out. */
const partitionsRead = (): string[] =>
  counted.calls
    .filter(({ method, args }) => method === 'range' && args[0] === 'notes')
    .map(({ args }) => String(args[1]).slice('acme:'.length));

async function walk(changes: Partial<IndexScan>): Promise<{ times: number[]; sizes: number[] }> {
  const times: number[] = [];
  const sizes: number[] = [];
  let after: Position | undefined;
  do {
    const page = await scan({ ...changes, after });
    times.push(...timesOf(page));
    sizes.push(page.rows.length);
    after = page.next;
  } while (after !== undefined);
  return { times, sizes };
}

describe('a page of an index', () => {
  it('ends with its last row where that was the last of all, without a page that holds nothing', async () => {
    await stored([1, 2, 3, 4].map((at) => month(1) + at));
    expect((await walk({ limit: 2 })).sizes).toEqual([2, 2]);
    expect((await walk({ limit: 4 })).sizes).toEqual([4]);
    expect((await walk({ limit: 3 })).sizes).toEqual([3, 1]);
  });

  it('goes on in the next older partition, newest first', async () => {
    const times = [month(1), month(1) + 1, month(1) + 2, month(3), month(4), month(4) + 1];
    await stored(times);
    for (const limit of [1, 2, 4, 6]) {
      const { times: found, sizes } = await walk({ limit });
      expect([limit, found]).toEqual([limit, [...times].reverse()]);
      expect(Math.max(...sizes)).toBe(limit);
    }
  });

  it('does not look again at a partition that was read to its end', async () => {
    await stored([month(1), month(2)]);
    const first = await scan({ limit: 1 });
    counted.reset();
    const second = await scan({ limit: 1, after: first.next });
    expect(timesOf(second)).toEqual([month(1)]);
    expect(partitionsRead()).toEqual(['2026-01']);
  });

  it('asks for one row more than it wants, and for a thousand where a filter decides', async () => {
    await stored([month(1), month(2)]);
    const asked = async (changes: Partial<IndexScan>): Promise<number[]> => {
      counted.reset();
      await scan(changes);
      return counted.calls
        .filter(({ args }) => args[0] === 'notes')
        .map(({ args }) => (args[2] as { limit: number }).limit);
    };
    expect(await asked({ limit: 4 })).toEqual([5, 4]);
    expect(await asked({ limit: 1000 })).toEqual([1000, 1000]);
    expect(await asked({ limit: 4, accept: () => true })).toEqual([1000, 1000]);
  });

  it('takes the rows that a filter accepts, however many it has to look at', async () => {
    const times = Array.from({ length: 12 }, (_, at) => month(1) + at);
    await stored(times);
    const accept = (row: Row): boolean => row.properties['odd'] === true;
    const odd = times.filter((ms) => ms % 2 === 1).reverse();
    for (const limit of [1, 2, 6]) expect((await walk({ limit, accept })).times).toEqual(odd);
    expect((await walk({ limit: 6, accept })).sizes).toEqual([6]);
    expect((await walk({ limit: 3, accept })).sizes).toEqual([3, 3]);
    expect((await walk({ accept: () => false })).times).toEqual([]);
  });

  it('touches only the partitions of its times', async () => {
    await stored([1, 2, 3, 4].map(month));
    const read = async (fromMs: number | undefined, toMs: number | undefined): Promise<string[]> => {
      counted.reset();
      await scan({ fromMs, toMs });
      return partitionsRead();
    };
    expect(await read(undefined, undefined)).toEqual(['2026-04', '2026-03', '2026-02', '2026-01']);
    expect(await read(Date.UTC(2026, 1, 1), Date.UTC(2026, 2, 1))).toEqual(['2026-02']);
    expect(await read(Date.UTC(2026, 2, 1) - 1, Date.UTC(2026, 2, 1) + 1)).toEqual(['2026-03', '2026-02']);
    expect(await read(month(5), undefined)).toEqual([]);
    expect(await read(undefined, Date.UTC(2026, 0, 1))).toEqual([]);
  });

  it('knows partitions of a day as well', async () => {
    const times = [0, 1, 2].map((days) => month(1) + days * DAY);
    await stored(times, dayOf);
    const page = await scan({ granularity: 'day', fromMs: month(1) + DAY, toMs: month(1) + DAY + 1 });
    expect(timesOf(page)).toEqual([month(1) + DAY]);
    expect(partitionsRead()).toEqual(['2026-01-16']);
  });

  it('reads at most twelve partitions, and goes on where it stopped', async () => {
    const times = Array.from({ length: 14 }, (_, at) => Date.UTC(2025, at, 15));
    await stored(times);
    const { times: found, sizes } = await walk({ limit: 50 });
    expect(found).toEqual([...times].reverse());
    expect(sizes).toEqual([12, 2]);
  });
});

describe('reading ahead', () => {
  it('reads the newest partition beside the directory, and once', async () => {
    await stored([month(1), month(2)]);
    await scan({ limit: 1 });
    const order = counted.calls;
    // Without a guess there is nothing to read before the directory has answered.
    expect(order.map(({ args }) => args[0])).toEqual(['system', 'notes']);
    counted.reset();
    expect(timesOf(await scan({ limit: 1 }))).toEqual([month(2)]);
    expect(order.map(({ args }) => args[0])).toEqual(['notes', 'system']);
    expect(partitionsRead()).toEqual(['2026-02']);
  });

  it('is in vain, and harmless, when there is a newer partition by now', async () => {
    await stored([month(1)]);
    await scan();
    await stored([month(2)]);
    expect(timesOf(await scan())).toEqual([month(2), month(1)]);
  });

  it('is left where the newest partition is not in the times asked for, or a cursor says where to begin', async () => {
    await stored([month(1), month(2)]);
    await scan();
    counted.reset();
    await scan({ toMs: Date.UTC(2026, 1, 1) });
    expect(partitionsRead()).toEqual(['2026-01']);
    const first = await scan({ limit: 1 });
    counted.reset();
    await scan({ after: first.next });
    expect(partitionsRead()).toEqual(['2026-01']);
  });

  it('that failed is an error only to whoever wants what it read', async () => {
    await stored([month(1)]);
    await scan();
    const failing = wrapPorts(counted.ports, (call, run) =>
      call.args[1] === 'acme:2026-01' ? Promise.reject(new StorageFault('refused', 'no')) : run(),
    );
    await expect(scan({}, failing)).rejects.toMatchObject({ kind: 'refused' });
    await stored([month(2)]);
    const page = await scan({ limit: 1 }, failing);
    expect(timesOf(page)).toEqual([month(2)]);
  });
});
