import { LIMITS } from '../domain/limits.js';
import type { Budget } from './backoff.js';
import { findNamedBytes } from './blob-range.js';
import type { PartitionRef } from './directory.js';
import { partitionKey, prefixRange } from './keys.js';
import { entryOfLine, streamFileOf } from './part-lines.js';
import { parsePartRow, partKey, type LinePlace, type PartRow } from './part-rows.js';
import type { StoragePorts } from './ports.js';
import { broken } from './record-row.js';

/** A file of the entries of a record: its first entry, and how far the entries of the record have moved into files. */
export interface StreamFile {
  readonly id: string;
  readonly file: number;
  readonly first: number;
  readonly upTo: number;
}

/** What was read of a file: its last entry, and its bytes. */
export interface Copied {
  readonly upTo: number;
  readonly length: number;
}

/** Rows whose entries have moved; their lines follow each other. */
type Run = readonly (PartRow & { readonly held: { readonly line: LinePlace } })[];

/**
 * Streams an append blob of entries through the process: every line is held against its row on the way, and no more than a
 * block of them is in memory. It ends with the last line that a row names.
 */
export class StreamCopy {
  constructor(
    private readonly ports: StoragePorts,
    private readonly budget: () => Budget,
  ) {}

  /**
   * One range read for 1,000 rows, one blob read for as many of their lines as make a block. Throws `integrity-failure` for a
   * row that is missing or altered and a line that is not its row's: `add` has had what was before it then.
   */
  async copy(
    ref: PartitionRef,
    { id, file, first, upTo }: StreamFile,
    add: (bytes: Uint8Array) => Promise<void>,
  ): Promise<Copied> {
    let [next, length] = [first, 0];
    while (next <= upTo) {
      const limit = Math.min(LIMITS.rangeRows, upTo - next + 1);
      const rows = await this.#rows(ref, id, next, limit);
      if (rows.length === 0) throw broken(id, next, 'part row missing');
      const inFile: Run[number][] = [];
      for (const row of rows) {
        if (row.seq !== next) throw broken(id, next, 'part row missing');
        if (!isMoved(row)) throw broken(id, next, 'stream row');
        if (streamFileOf(row.held.line.blob) !== file) break;
        inFile.push(row);
        next += 1;
      }
      for (const run of runsOf(inFile)) {
        const bytes = await this.#linesOf(id, run, length);
        await add(bytes);
        length += bytes.length;
      }
      if (inFile.length < rows.length) break;
    }
    return { upTo: next - 1, length };
  }

  async #rows({ tenant, table, partition }: PartitionRef, id: string, first: number, limit: number): Promise<readonly PartRow[]> {
    const range = { from: partKey(id, first), to: prefixRange(`p:${id}:`).to, limit };
    const key = partitionKey(tenant, partition);
    const page = await this.budget().retry(() => this.ports.tables.range(table, key, range));
    return page.rows.map((row) => parsePartRow(row, id));
  } // prettier-ignore

  /** The lines of rows, the first of which is to be at `offset`. */
  async #linesOf(id: string, run: Run, offset: number): Promise<Uint8Array> {
    const [first] = run as [Run[number]];
    const { blob } = first.held.line;
    const length = run.reduce((sum, { held }) => sum + held.line.length, 0);
    const bytes = await findNamedBytes(this.ports.blobs, blob, { offset, length }, this.budget());
    if (bytes === undefined) throw broken(id, first.seq, 'part line missing');
    let at = offset;
    for (const row of run) {
      const { line } = row.held;
      const own = bytes.subarray(at - offset, at - offset + line.length);
      if (line.offset !== at || line.blob !== blob || entryOfLine(id, row, own) === undefined)
        throw broken(id, row.seq, 'part line');
      at += line.length;
    }
    return bytes;
  }
}

const isMoved = (row: PartRow): row is Run[number] => 'line' in row.held;

/** Rows in runs whose lines are a block at most. */
function runsOf(rows: Run): readonly Run[] {
  const runs: Run[number][][] = [];
  let bytes = Infinity;
  for (const row of rows) {
    const { length } = row.held.line;
    if (bytes + length > LIMITS.blockBytes) {
      runs.push([]);
      bytes = 0;
    }
    runs.at(-1)?.push(row);
    bytes += length;
  }
  return runs;
}
