import { describe, expect, it } from 'vitest';
import type { RangePage, RangeQuery, RecordTable, Row } from '../../src/storage/ports.js';
import { keyAfter, readRange } from '../../src/storage/range.js';

const rowOf = (rowKey: string): Row => ({
  partitionKey: 'p',
  rowKey,
  etag: '"1"',
  timestampMs: 0,
  properties: {},
});
const keysOf = (rows: readonly Row[]): readonly string[] => rows.map(({ rowKey }) => rowKey);

/** A table that answers with these pages, one after the other, and remembers what it was asked. */
function pagesOf(...pages: RangePage[]): { tables: RecordTable; asked: RangeQuery[] } {
  const asked: RangeQuery[] = [];
  const tables = {
    range: (_table: string, _key: string, query: RangeQuery) => {
      asked.push(query);
      return Promise.resolve(pages.shift() ?? { rows: [], more: false });
    },
  } as unknown as RecordTable;
  return { tables, asked };
}

describe('reading a range to its end', () => {
  const range = { from: 'a', to: 'z' };

  it('asks for the next page after the last row of the one before', async () => {
    const { tables, asked } = pagesOf(
      { rows: ['b', 'c'].map(rowOf), more: true },
      { rows: [rowOf('d')], more: false },
    );
    expect(keysOf(await readRange(tables, 't', 'p', range))).toEqual(['b', 'c', 'd']);
    expect(asked).toEqual([
      { from: 'a', to: 'z', limit: 1000 },
      { from: keyAfter('c'), to: 'z', limit: 1000 },
    ]);
  });

  it('stops at an end that no row told of', async () => {
    const { tables, asked } = pagesOf({ rows: [rowOf('b')], more: true }, { rows: [], more: false });
    expect(keysOf(await readRange(tables, 't', 'p', range))).toEqual(['b']);
    expect(asked).toHaveLength(2);
  });

  it('does not go round and round where there is said to be more and nothing comes', async () => {
    const { tables, asked } = pagesOf({ rows: [], more: true });
    expect(await readRange(tables, 't', 'p', range)).toEqual([]);
    expect(asked).toHaveLength(1);
  });

  it('reads no more than it was asked for', async () => {
    const { tables, asked } = pagesOf(
      { rows: ['b', 'c'].map(rowOf), more: true },
      { rows: [rowOf('d')], more: true },
    );
    expect(keysOf(await readRange(tables, 't', 'p', range, 3))).toEqual(['b', 'c', 'd']);
    expect(asked.map(({ limit }) => limit)).toEqual([3, 1]);
  });
});
