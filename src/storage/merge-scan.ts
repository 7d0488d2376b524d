import pLimit from 'p-limit';
import { LIMITS } from '../domain/limits.js';
import type { IndexPage, ScanTools } from './index-scan.js';
import type { Position } from './cursor.js';
import { indexRange, partitionKey } from './keys.js';
import type { Row } from './ports.js';
import { keyAfter } from './range.js';

/** A page of an index over partitions that say nothing about time, newest first. */
export interface MergeScan {
  readonly tenant: string;
  readonly table: string;
  readonly index: string;
  /** Encoded key value (`keys.ts`). */
  readonly value: string;
  readonly fromMs: number | undefined;
  readonly toMs: number | undefined;
  /** The only partition that is asked for; undefined: all there are. */
  readonly partition: string | undefined;
  readonly limit: number;
  readonly after: Position | undefined;
  /** Residual filter; undefined when the index answers the whole query. */
  readonly accept: ((row: Row) => boolean) | undefined;
}

interface Part {
  readonly rows: readonly Row[];
  readonly more: boolean;
}

const AT_ONCE = 8;

/**
 * One range read for each partition there is, one in all where the query names it; the directory is one read more. Every
 * partition continues behind the same `<inverted time>:<id>`, which is all a cursor has to remember. A page may be short
 * where a residual filter left little: what lies beyond the last row looked at in any partition is left to the next.
 */
export async function scanMerged(tools: ScanTools, scan: MergeScan): Promise<IndexPage> {
  const prefix = `i:${scan.index}:${scan.value}:`;
  const range = indexRange(scan.index, scan.value, scan.fromMs, scan.toMs);
  const from = scan.after === undefined ? range.from : keyAfter(`${prefix}${scan.after.rowKey}`);
  const partitions =
    scan.partition === undefined
      ? await tools.budget.retry(() => tools.directory.partitions(scan.tenant, scan.table))
      : [scan.partition];
  // One row beyond the page tells whether there is another.
  const limit = scan.accept === undefined ? Math.min(scan.limit + 1, LIMITS.rangeRows) : LIMITS.rangeRows;
  const atOnce = pLimit(AT_ONCE);
  const parts = await Promise.all(
    partitions.map((partition) =>
      atOnce((): Promise<Part> => {
        const key = partitionKey(scan.tenant, partition);
        return tools.budget.retry(() => tools.tables.range(scan.table, key, { from, to: range.to, limit }));
      }),
    ),
  );
  const place = (row: Row): string => row.rowKey.slice(prefix.length);
  // Nothing may be shown that comes after a row which nobody has read yet.
  const horizons = parts.flatMap(({ rows, more }) =>
    more && rows.length > 0 ? [place(rows.at(-1) as Row)] : [],
  );
  const horizon = horizons.sort()[0];
  const fits = parts
    .flatMap(({ rows }) => rows)
    .filter((row) => (horizon === undefined || place(row) <= horizon) && (scan.accept?.(row) ?? true))
    .sort((a, b) => (place(a) < place(b) ? -1 : 1));
  const rows = fits.slice(0, scan.limit);
  const last = fits.length > rows.length ? place(rows.at(-1) as Row) : horizon;
  return { rows, next: last === undefined ? undefined : { partition: '', rowKey: last } };
}
