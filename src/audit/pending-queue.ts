import type { PartitionRef } from '../storage/directory.js';
import type { RecordTable } from '../storage/ports.js';
import type { CorruptRow, PendingEvent } from './pending-row.js';
import { readPartition } from './read-pending.js';

/**
 * The partitions one call of the sealer has still to look at. A partition leaves once everything a read of it saw was
 * taken. Nothing is remembered of events: each round reads what is pending then.
 */
export class PendingQueue {
  #refs: PartitionRef[];
  /** Event row keys that the last read saw and that are not taken yet, by partition. */
  readonly #left = new Map<PartitionRef, { readonly complete: boolean; readonly rows: Set<string> }>();
  readonly #reported = new Set<string>();
  #more = false;

  constructor(
    private readonly tables: RecordTable,
    partitions: readonly PartitionRef[],
    private readonly onCorrupt: (row: CorruptRow) => void,
  ) {
    const byName = new Map(partitions.map((ref) => [`${ref.tenant} ${ref.table} ${ref.partition}`, ref]));
    this.#refs = [...byName.values()];
  }

  get empty(): boolean {
    return this.#refs.length === 0;
  }

  /** Whether others may have been pending than those of the last read. */
  get more(): boolean {
    return this.#more;
  }

  /**
   * Pending events, of as many partitions as it takes to have `events` of them or `bytes` of text, or of all.
   * Partitions that were read go to the end of the queue, so that a busy one cannot starve the others.
   */
  async read(events: number, bytes: number): Promise<readonly PendingEvent[]> {
    const found: PendingEvent[] = [];
    let size = 0;
    this.#left.clear();
    const refs = this.#refs;
    for (const ref of refs) {
      if (found.length >= events || size >= bytes) break;
      const read = await readPartition(this.tables, ref, events);
      for (const { row } of read.corrupt) this.#report(row);
      found.push(...read.events);
      size += read.events.reduce((sum, { text }) => sum + text.length, 0);
      this.#left.set(ref, { complete: read.complete, rows: new Set(read.events.map(keyOf)) });
    }
    this.#more = this.#left.size < refs.length || [...this.#left.values()].some(({ complete }) => !complete);
    this.#refs = [...refs.slice(this.#left.size), ...refs.slice(0, this.#left.size)];
    this.#dropDone();
    return found;
  }

  /** Says that events of the last read are in the log. */
  took(events: readonly PendingEvent[]): void {
    for (const { rows } of this.#left.values()) for (const event of events) rows.delete(keyOf(event));
    this.#dropDone();
  }

  #dropDone(): void {
    this.#refs = this.#refs.filter((ref) => {
      const left = this.#left.get(ref);
      return left === undefined || !left.complete || left.rows.size > 0;
    });
  }

  #report(row: CorruptRow): void {
    const key = `${row.table} ${row.partition} ${row.rowKey}`;
    if (this.#reported.has(key)) return;
    this.#reported.add(key);
    this.onCorrupt(row);
  }
}

function keyOf({ table, partitionKey, rowKey }: PendingEvent): string {
  return `${table} ${partitionKey} ${rowKey}`;
}
