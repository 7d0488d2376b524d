import { beforeEach, describe, expect, it } from 'vitest';
import { readPartition, type PartitionRead } from '../../src/audit/read-pending.js';
import { partitionKey } from '../../src/storage/keys.js';
import type { RangePage, RangeQuery, RecordTable, Row } from '../../src/storage/ports.js';
import { keyAfter } from '../../src/storage/range.js';
import { withRowChecksum } from '../../src/storage/row-checksum.js';
import { DECISIONS, pendingChange, TENANT } from './support.js';

const KEY = partitionKey(TENANT, DECISIONS.partition);
const START = Date.UTC(2026, 0, 10, 12);
let asked: RangeQuery[];
let at: number;

beforeEach(() => {
  asked = [];
  at = START;
});

/** The pending row of a revision; rows sort in the order in which they are made. */
function row(record: string, revision: number): Row {
  at += 1;
  const { rowKey, properties } = pendingChange(DECISIONS, { record, revision, atMs: at });
  return { partitionKey: KEY, rowKey, etag: '"1"', timestampMs: 0, properties };
}
const corrupted = (one: Row): Row => ({ ...one, properties: { ...one.properties, sealed: 'altered' } });

/** The row of an event that is no change. */
function unchanged(record: string): Row {
  const { row_checksum: _checksum, ...properties } = row(record, 1).properties;
  const { revision: _revision, ...event } = JSON.parse(String(properties['event'])) as Record<
    string,
    unknown
  >;
  const rowKey = `o:${String(event['event_id'])}`;
  const columns = withRowChecksum(KEY, rowKey, { ...properties, event: JSON.stringify(event) });
  return { partitionKey: KEY, rowKey, etag: '"1"', timestampMs: 0, properties: columns };
}

/** Reads a partition whose range reads see these rows, one page after the other; the last page ends it. */
function read(wanted: number, ...pages: Row[][]): Promise<PartitionRead> {
  const left = [...pages];
  const tables = {
    range: async (table: string, key: string, query: RangeQuery): Promise<RangePage> => {
      expect([table, key]).toEqual(['decisions', KEY]);
      asked.push(query);
      return { rows: left.shift() ?? [], more: left.length > 0 };
    },
  } as unknown as RecordTable;
  return readPartition(tables, DECISIONS, wanted);
}

/** Like `read`, where the first read misses rows that the second one sees. */
async function missing(first: Row[], second: Row[]): Promise<PartitionRead> {
  const pages = [first, second];
  const tables = {
    range: async (_table: string, _key: string, query: RangeQuery): Promise<RangePage> => {
      asked.push(query);
      return { rows: pages.shift() ?? [], more: false };
    },
  } as unknown as RecordTable;
  return readPartition(tables, DECISIONS, 10);
}
const taken = ({ events }: PartitionRead) => events.map(({ change, rowKey }) => change === undefined ? rowKey : `${change.record}${String(change.revision)}`); // prettier-ignore

describe('the pending events of a partition', () => {
  it('are read page by page until there are enough, and no further', async () => {
    const pages = [[row('a', 1), row('b', 1)], [row('c', 1)], [row('d', 1)]];
    const enough = await read(2, ...pages);
    expect([taken(enough), enough.complete]).toEqual([['a1', 'b1'], false]);
    expect(asked).toEqual([{ from: 'o:', to: 'o;', limit: 1000 }]);
    asked = [];
    const more = await read(3, ...pages);
    expect([taken(more), more.complete]).toEqual([['a1', 'b1', 'c1'], false]);
    expect(asked[1]).toEqual({ from: keyAfter(pages[0]?.[1]?.rowKey ?? ''), to: 'o;', limit: 1000 });
    const all = await read(9, ...pages);
    expect([taken(all), all.complete]).toEqual([['a1', 'b1', 'c1', 'd1'], true]);
  });

  it('do not count while they are held back', async () => {
    const held = [corrupted(row('a', 1)), row('a', 2), row('a', 3)];
    const all = await read(1, held, [row('b', 1)]);
    expect([taken(all), asked.length]).toEqual([['b1'], 2]);
    expect(all.corrupt.map(({ row: { rowKey } }) => rowKey)).toEqual([held[0]?.rowKey]);
  });

  it('come in the order of their ids, whatever the order of the rows', async () => {
    const rows = [row('a', 1), row('b', 1), unchanged('x'), row('c', 1)];
    expect(taken(await read(9, [...rows].reverse()))).toEqual(['a1', 'b1', rows[2]?.rowKey, 'c1']);
  });

  it('are those before a corrupt row of the same record, and all of others', async () => {
    const rows = [row('a', 1), corrupted(row('a', 2)), row('a', 3), unchanged('a'), row('b', 1)];
    expect(taken(await read(9, rows))).toEqual(['a1', rows[3]?.rowKey, 'b1']);
  });
});

describe('a second read', () => {
  it('is not needed where every predecessor was seen', async () => {
    await read(9, [row('a', 1), row('a', 2), row('b', 1), unchanged('c')]);
    expect(asked).toHaveLength(1);
  });

  it('completes the records of which one was not seen, and takes nothing else', async () => {
    const [a1, a2, b1, x, a3, a4, c1] = [row('a', 1), row('a', 2), row('b', 1), unchanged('a'), row('a', 3), row('a', 4), row('c', 1)]; // prettier-ignore
    const found = await missing([a3, c1], [a1, a2, b1, x, a3, a4]);
    expect(taken(found)).toEqual(['a1', 'a2', 'a3', 'c1']);
    expect(asked[1]).toMatchObject({ from: 'o:', to: keyAfter(a3.rowKey) });
    expect(found.complete).toBe(true);
  });

  it('is for the last of several such records', async () => {
    const [a1, b1, b2, a2] = [row('a', 1), row('b', 1), row('b', 2), row('a', 2)];
    expect(taken(await missing([b2, a2], [a1, b1, b2, a2]))).toEqual(['a1', 'b1', 'b2', 'a2']);
    expect(asked[1]).toMatchObject({ to: keyAfter(a2.rowKey) });
  });

  it('finds nothing where the predecessor is sealed already', async () => {
    const [a2, a3] = [row('a', 2), row('a', 3)];
    expect(taken(await missing([a2, a3], [a2, a3]))).toEqual(['a2', 'a3']);
  });

  it('holds back what follows a corrupt row that only it saw, of whatever record', async () => {
    const [b1, a1, a2, b2] = [corrupted(row('b', 1)), row('a', 1), row('a', 2), row('b', 2)];
    const found = await missing([a2, b2], [b1, a1, a2, b2]);
    expect(taken(found)).toEqual(['a1', 'a2']);
    expect(found.corrupt).toHaveLength(1);
  });
});
