import { LIMITS } from '../domain/limits.js';
import type { PartsDeclaration } from '../domain/parts.js';
import type { RecordType } from '../domain/record-type.js';
import { Budget } from './backoff.js';
import type { PartitionRef } from './directory.js';
import { BLOB_CONTAINERS, partitionKey } from './keys.js';
import type { StorageManagerOptions } from './manager-types.js';
import { PartEntries } from './part-entries.js';
import { lineOf, streamBlobName } from './part-lines.js';
import type { PartReader } from './part-reader.js';
import { movedPartRow, partKey, type PartRow, type StoredPart } from './part-rows.js';
import { isFault, type RowOperation } from './ports.js';
import type { RecordLocator } from './record-locator.js';
import { broken } from './record-row.js';
import { digestKey } from './series-rows.js';
import { parseStreamRow, streamRow, type StreamRow } from './stream-row.js';
import type { SummaryRefresh } from './summary-refresh.js';

const { records: CONTAINER } = BLOB_CONTAINERS;

/** A row that holds its entry, and the line that the entry becomes. */
interface Line {
  readonly row: PartRow;
  readonly bytes: Uint8Array;
}

/**
 * Moves entries from their rows into append blobs. A line follows from its row, an append names its position, and one
 * transaction then replaces the rows by where their lines are and says how far all of it has come; so it may die
 * anywhere and run several times at once. Whoever finds more in the blob than is recorded holds it against the lines
 * that belong there, and goes on behind it.
 */
export class PartStream {
  readonly #entries: PartEntries;

  constructor(
    private readonly tools: StorageManagerOptions,
    private readonly parts: PartReader,
    private readonly summaries: SummaryRefresh,
    private readonly locator: RecordLocator,
  ) {
    this.#entries = new PartEntries(tools);
  }

  /**
   * Until every entry has moved that there is, or `rounds` are done; resolves to how many did. A round of up to 90 entries
   * is two point reads, one range read, one append and one transaction, and at the end the refresh of the summary.
   */
  async run(
    type: RecordType,
    tenant: string,
    id: string,
    rounds = Number.POSITIVE_INFINITY,
  ): Promise<number> {
    const { parts } = type;
    if (parts?.stream === undefined) return 0;
    const ref = this.parts.placeOf(type, parts, tenant, id);
    let done = 0;
    for (let round = 1; round <= rounds; round += 1) {
      const budget = new Budget(this.tools.clock, this.tools.entropy);
      const [moved, head] = await Promise.all([
        this.#moved(ref, id, budget),
        this.parts.head(parts, ref, id, budget),
      ]);
      if (moved.upTo >= head.seq) return done;
      const lines = await this.#lines(ref, id, moved, budget);
      const come = lines === undefined ? undefined : await this.#append(type, parts, ref, id, moved, lines, budget); // prettier-ignore
      const last = come !== undefined && come.upTo >= head.seq;
      // Before it is said that all has moved: whoever finds that said looks no further.
      if (last) await this.summaries.refresh(type, tenant, id, budget);
      const count = come === undefined ? 0 : await this.#commit(ref, id, moved, come, lines ?? [], budget);
      done += count;
      if (last && count > 0) return done;
      // Somebody else has come further: the next round begins where it is now.
      if (count === 0 && round < rounds) await budget.pause('others move the same entries', 5, 250);
    }
    return done;
  }

  async #moved(ref: PartitionRef, id: string, budget: Budget): Promise<StreamRow> {
    const key = partitionKey(ref.tenant, ref.partition);
    const row = await budget.retry(() => this.tools.ports.tables.find(ref.table, key, digestKey(id)));
    return parseStreamRow(row, id);
  }

  /** The next lines, as many as a round takes; undefined when somebody else has moved them meanwhile. */
  async #lines(ref: PartitionRef, id: string, { upTo, etag }: StreamRow, budget: Budget): Promise<readonly Line[] | undefined> {
    const page = await this.#entries.page(ref, id, partKey(id, upTo + 1), LIMITS.partsMoved, budget);
    const lines: Line[] = [];
    let bytes = 0;
    for (const row of page.rows) {
      const seq = upTo + 1 + lines.length;
      if (row.seq !== seq) throw broken(id, seq, 'part row missing');
      const { held, ...part } = row;
      if (!('entry' in held)) {
        if ((await this.#moved(ref, id, budget)).etag === etag) throw broken(id, seq, 'stream row');
        return undefined;
      }
      const line = lineOf(id, { ...part, ...held } satisfies StoredPart);
      bytes += line.length;
      if (bytes > LIMITS.partsMovedBytes && lines.length > 0) break;
      lines.push({ row, bytes: line });
    }
    if (lines.length === 0) throw broken(id, upTo + 1, 'part row missing');
    return lines;
  } // prettier-ignore

  /** Puts the lines at their place, or where that is another's, behind what is there of them; undefined when it is not ours. */
  async #append(
    type: RecordType,
    parts: PartsDeclaration,
    ref: PartitionRef,
    id: string,
    moved: StreamRow,
    lines: readonly Line[],
    budget: Budget,
  ): Promise<(StreamRow & { readonly blob: string }) | undefined> {
    const place = await this.locator.locate(type, ref.tenant, id, budget);
    const nameOf = (file: number): string => streamBlobName(type, place, id, parts.path, file);
    const at = await this.#file(nameOf, ref, id, moved, budget);
    if (at === undefined) return undefined;
    const blob = nameOf(at.file);
    const bytes = Buffer.concat(lines.map((line) => line.bytes));
    const { blobs } = this.tools.ports;
    let done = 0;
    let { blocks } = at;
    while (done < bytes.length) {
      try {
        if (at.offset + done === 0) await this.#create(blob, budget);
        await budget.retry(() => blobs.append(CONTAINER, blob, bytes.subarray(done), at.offset + done));
        done = bytes.length;
        blocks += 1;
      } catch (error) {
        if (!isFault(error, 'position', 'sealed', 'missing')) throw error;
        const there = await this.#there(blob, at.offset, bytes.length, budget);
        if (there === undefined || Buffer.compare(there, bytes.subarray(0, there.length)) !== 0 || there.length <= done) {
          // Only those who have come further seal a blob, or write other lines than ours behind ours.
          if ((await this.#moved(ref, id, budget)).etag !== moved.etag) return undefined;
          throw broken(id, moved.upTo + 1, there === undefined ? 'stream missing' : 'stream');
        }
        done = there.length;
        blocks += 1;
      } // prettier-ignore
    }
    return { ...at, blob, blocks, upTo: moved.upTo + lines.length, offset: at.offset + bytes.length };
  }

  /**
   * The blob to append to: the next one when the one before is full, which then is read-only for ever; undefined when somebody
   * else has come further.
   */
  async #file(
    nameOf: (file: number) => string,
    ref: PartitionRef,
    id: string,
    moved: StreamRow,
    budget: Budget,
  ): Promise<StreamRow | undefined> {
    const { file, offset, blocks } = moved;
    if (blocks < LIMITS.streamBlocks && offset < LIMITS.partStreamBytes) return moved;
    try {
      await budget.retry(() => this.tools.ports.blobs.seal(CONTAINER, nameOf(file)));
    } catch (error) {
      if (!isFault(error, 'missing')) throw error;
      // Or it was archived: then this row is not the latest any more.
      if ((await this.#moved(ref, id, budget)).etag !== moved.etag) return undefined;
      throw broken(id, moved.upTo, 'stream missing');
    }
    return { ...moved, file: file + 1, offset: 0, blocks: 0 };
  }

  async #create(blob: string, budget: Budget): Promise<void> {
    try {
      await budget.retry(() => this.tools.ports.blobs.createAppend(CONTAINER, blob));
    } catch (error) {
      if (!isFault(error, 'exists')) throw error;
    }
  }

  /** Up to `length` bytes that the blob holds from `offset` on; undefined when it does not reach that far. */
  async #there(
    blob: string,
    offset: number,
    length: number,
    budget: Budget,
  ): Promise<Uint8Array | undefined> {
    try {
      const found = await budget.retry(() => this.tools.ports.blobs.find(CONTAINER, blob, { offset, length }));
      return found?.bytes;
    } catch (error) {
      if (isFault(error, 'range')) return undefined;
      throw error;
    }
  } // prettier-ignore

  /** Says where the lines are; resolves to how many, 0 when somebody else has done so. */
  async #commit(
    ref: PartitionRef,
    id: string,
    before: StreamRow,
    { blob, ...come }: StreamRow & { readonly blob: string },
    lines: readonly Line[],
    budget: Budget,
  ): Promise<number> {
    const key = partitionKey(ref.tenant, ref.partition);
    const { rowKey, properties } = streamRow(key, id, come);
    let begin = come.offset - lines.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const operations: RowOperation[] = [
      before.etag === undefined
        ? { kind: 'insert', rowKey, properties }
        : { kind: 'replace', rowKey, properties, etag: before.etag },
      ...lines.map(({ row, bytes }): RowOperation => {
        const line = { blob, offset: begin, length: bytes.length };
        begin += bytes.length;
        return { kind: 'replace', ...movedPartRow(key, id, row, line), etag: row.etag };
      }),
    ];
    try {
      await budget.retry(() => this.tools.ports.tables.commit(ref.table, key, operations));
      return lines.length;
    } catch (error) {
      if (!isFault(error, 'conflict', 'exists', 'missing')) throw error;
      return 0;
    }
  }
}
