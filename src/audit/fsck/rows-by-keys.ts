import type { Row } from '../../storage/ports.js';
import type { Reads } from './tools.js';

/** Rows of one range read: few enough that what lies between the keys costs little. */
const PAGE = 100;

/**
 * The rows of a partition that have these keys. Range reads along the sorted keys: one for up to a hundred that lie
 * together, one for each that lies alone. Holds what it returns and a page.
 */
export async function rowsByKeys(
  reads: Reads,
  table: string,
  key: string,
  rowKeys: readonly string[],
): Promise<ReadonlyMap<string, Row>> {
  const sorted = [...new Set(rowKeys)].sort();
  const wanted = new Set(sorted);
  const found = new Map<string, Row>();
  const to = `${sorted.at(-1) ?? ''}!`;
  let at = 0;
  while (at < sorted.length) {
    const page = await reads.page(table, key, { from: sorted[at] as string, to }, PAGE);
    for (const row of page.rows) if (wanted.has(row.rowKey)) found.set(row.rowKey, row);
    const end = page.rows.at(-1)?.rowKey;
    if (!page.more || end === undefined) break;
    while (at < sorted.length && (sorted[at] as string) <= end) at += 1;
  }
  return found;
}
