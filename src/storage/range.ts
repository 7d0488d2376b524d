import { LIMITS } from '../domain/limits.js';
import type { RecordTable, Row } from './ports.js';

/** The smallest key a row can have after `rowKey`: every character our keys use is greater than '!'. */
export function keyAfter(rowKey: string): string {
  return `${rowKey}!`;
}

/** Every row of a key range, in order; one range read per 1,000 rows. Only for ranges that are bounded by nature. */
export async function readRange(
  tables: RecordTable,
  table: string,
  partitionKey: string,
  range: { readonly from: string; readonly to: string },
  limit = Number.POSITIVE_INFINITY,
): Promise<Row[]> {
  const rows: Row[] = [];
  let from = range.from;
  while (rows.length < limit) {
    const ask = Math.min(LIMITS.rangeRows, limit - rows.length);
    const page = await tables.range(table, partitionKey, { from, to: range.to, limit: ask });
    rows.push(...page.rows);
    const last = page.rows.at(-1);
    if (!page.more || last === undefined) break;
    from = keyAfter(last.rowKey);
  }
  return rows;
}
