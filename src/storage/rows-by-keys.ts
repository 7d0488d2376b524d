import type { RangePage, RangeQuery, Row } from './ports.js';

/**
 * The rows of a partition that have these keys, by range reads of up to `limit` rows along the sorted keys: one for as
 * many that lie together, one for each that lies alone. Holds what it returns and a page.
 */
export async function rowsByKeys(
  range: (query: RangeQuery) => Promise<RangePage>,
  rowKeys: readonly string[],
  limit: number,
): Promise<ReadonlyMap<string, Row>> {
  const sorted = [...new Set(rowKeys)].sort();
  const wanted = new Set(sorted);
  const found = new Map<string, Row>();
  const to = `${sorted.at(-1) ?? ''}!`;
  for (let at = 0; at < sorted.length;) {
    const page = await range({ from: sorted[at] as string, to, limit });
    for (const row of page.rows) if (wanted.has(row.rowKey)) found.set(row.rowKey, row);
    const end = page.rows.at(-1)?.rowKey;
    if (!page.more || end === undefined) break;
    while (at < sorted.length && (sorted[at] as string) <= end) at += 1;
  }
  return found;
}
