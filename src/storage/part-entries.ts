import { LIMITS } from '../domain/limits.js';
import type { Budget } from './backoff.js';
import { findNamedBytes } from './blob-range.js';
import type { PartitionRef } from './directory.js';
import { partitionKey, prefixRange } from './keys.js';
import type { StorageManagerOptions } from './manager-types.js';
import { MovedLines } from './moved-lines.js';
import { entryOfLine } from './part-lines.js';
import { parsePartRow, partKey, type LinePlace, type PartRow, type StoredPart } from './part-rows.js';
import { openParts, type OpenPart, type PartsRef } from './part-sealing.js';
import type { RangePage } from './ports.js';
import { broken } from './record-row.js';

/** Reads entries, whether they are still in their rows or have moved into append blobs; each is held against its row. */
export class PartEntries {
  readonly #moved: MovedLines;

  constructor(private readonly tools: StorageManagerOptions) {
    this.#moved = new MovedLines(tools);
  }

  /** The row of an entry; one point read. Throws `integrity-failure` when it is gone. */
  async row(ref: PartitionRef, id: string, seq: number, budget: Budget): Promise<PartRow> {
    const key = partitionKey(ref.tenant, ref.partition);
    const row = await budget.retry(() => this.tools.ports.tables.find(ref.table, key, partKey(id, seq)));
    if (row === undefined) throw broken(id, seq, 'part row missing');
    return parsePartRow(row, id);
  }

  /** Rows of entries from a row key on; one range read. */
  async page(ref: PartitionRef, id: string, from: string, limit: number, budget: Budget): Promise<{ readonly rows: readonly PartRow[]; readonly more: boolean }> {
    const range = { from, to: prefixRange(`p:${id}:`).to, limit };
    const key = partitionKey(ref.tenant, ref.partition);
    const page: RangePage = await budget.retry(() => this.tools.ports.tables.range(ref.table, key, range));
    return { rows: page.rows.map((row) => parsePartRow(row, id)), more: page.more };
  } // prettier-ignore

  /** Rows of the entries `first` to `upTo`, one range read for each 1,000. Throws `integrity-failure` when one is gone. */
  async rows(
    ref: PartitionRef,
    id: string,
    first: number,
    upTo: number,
    budget: Budget,
  ): Promise<readonly PartRow[]> {
    const found: PartRow[] = [];
    const next = (): number => first + found.length;
    while (next() <= upTo) {
      const limit = Math.min(LIMITS.rangeRows, upTo - next() + 1);
      const page = await this.page(ref, id, partKey(id, next()), limit, budget);
      for (const row of page.rows) {
        if (row.seq !== next()) throw broken(id, next(), 'part row missing');
        found.push(row);
      }
      if (!page.more && next() <= upTo) throw broken(id, next(), 'part row missing');
    }
    return found;
  }

  /**
   * The entries of rows that follow each other: one ranged blob read for each blob that some of them have moved to, and two
   * more and a point read where that was archived since. Throws `record-archived` for what cannot be read, `integrity-failure` for a line that is not there or not the row's, and for what was sealed and does not open.
   */
  async read(
    ref: PartsRef,
    id: string,
    rows: readonly PartRow[],
    budget: Budget,
  ): Promise<readonly OpenPart[]> {
    const lines = new Map<number, Held>();
    for (const run of runsOf(rows))
      for (const [seq, held] of await this.#lines(ref, id, run, budget)) lines.set(seq, held);
    const stored = rows.map(({ held, etag: _, size: __, sealedChecksum: ___, ...row }) => ({
      ...row,
      ...('entry' in held ? held : (lines.get(row.seq) as Held)),
    }));
    return openParts(this.tools.secretBox, ref, id, stored);
  }

  async #lines(
    ref: PartsRef,
    id: string,
    run: readonly MovedRow[],
    budget: Budget,
  ): Promise<readonly (readonly [number, Held])[]> {
    const [first] = run as [MovedRow];
    const { blob, offset } = first.held.line;
    const length = run.reduce((bytes, { held }) => bytes + held.line.length, 0);
    const bytes = await findNamedBytes(this.tools.ports.blobs, blob, { offset, length }, budget);
    const [found, bad] = heldIn(id, run, bytes);
    if (bad === undefined) return found;
    // It may have been archived: then the row goes on to say where it was.
    const moved = await this.#moved.find(ref, id, { blob, offset, length }, budget);
    const [again, worse] = moved === undefined ? [found, bad] : heldIn(id, run, moved);
    if (worse !== undefined) throw broken(id, worse, (moved ?? bytes) === undefined ? 'part line missing' : 'part line'); // prettier-ignore
    return again;
  }
}

/** The entries of rows that follow each other, from their lines; and the number of the first whose line is not its row's. */
function heldIn(
  id: string,
  run: readonly MovedRow[],
  bytes: Uint8Array | undefined,
): readonly [readonly (readonly [number, Held])[], number | undefined] {
  const found: [number, Held][] = [];
  for (const row of run) {
    const begin = row.held.line.offset - (run[0]?.held.line.offset ?? 0);
    const held = bytes && entryOfLine(id, row, bytes.subarray(begin, begin + row.held.line.length));
    if (held === undefined) return [found, row.seq];
    found.push([row.seq, held]);
  }
  return [found, undefined];
}

type Held = Pick<StoredPart, 'entry' | 'sealed'>;
type MovedRow = PartRow & { readonly held: { readonly line: LinePlace } };

/** Rows whose lines follow each other in one blob. */
function runsOf(rows: readonly PartRow[]): readonly (readonly MovedRow[])[] {
  const runs: MovedRow[][] = [];
  for (const row of rows) {
    if (!('line' in row.held)) continue;
    const moved = row as MovedRow;
    const before = runs.at(-1)?.at(-1)?.held.line;
    const { blob, offset } = moved.held.line;
    if (before?.blob === blob && before.offset + before.length === offset) runs.at(-1)?.push(moved);
    else runs.push([moved]);
  }
  return runs;
}

/** The first rows, at least one, whose entries are within `LIMITS.recordBytes` together. */
export function fittingRows(rows: readonly PartRow[]): readonly PartRow[] {
  let bytes = 0;
  const beyond = rows.findIndex(({ size }, at) => (bytes += size) > LIMITS.recordBytes && at > 0);
  return beyond < 0 ? rows : rows.slice(0, beyond);
}
