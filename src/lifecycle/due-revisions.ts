import { LIMITS } from '../domain/limits.js';
import type { RecordType } from '../domain/record-type.js';
import { coolIsDue } from '../domain/tiering.js';
import type { Budget } from '../storage/backoff.js';
import type { PartitionRef } from '../storage/directory.js';
import { partitionKey, revisionKey } from '../storage/keys.js';
import type { RecordTable, Row } from '../storage/ports.js';
import type { Candidate } from '../storage/record-archiver.js';
import { rowIntact } from '../storage/row-checksum.js';

/** Rows that are read ahead: of many records with few revisions. */
const PAGE = 500;
/** From so many revisions on it is looked for where the hot ones begin. */
const MANY = 200;
/** The first key behind all revision rows. */
const END = 'v;';

/**
 * Reads which revisions of records are due for a pack, from rows alone; records have to come in the order of their keys.
 * One range read for each 500 rows of revisions of records that lie together.
 */
export class DueRevisions {
  #ahead: readonly Row[] = [];
  #more = true;

  constructor(
    private readonly tables: RecordTable,
    private readonly type: RecordType,
    private readonly ref: PartitionRef,
    private readonly nowMs: number,
    private readonly budget: () => Budget,
  ) {}

  /** True when there may be something to move of a record, as its row says. */
  mayHaveSome(record: Row): boolean {
    const { record_type: recordType, revision, tier, index_keys: keys } = record.properties;
    // What stands where a record is not any more is listed nowhere.
    if (recordType !== this.type.recordType || keys === undefined || !rowIntact(record)) return false;
    return this.type.tiers.currentStaysHot === true ? Number(revision) > 1 : tier === 'hot';
  }

  /** The hot revisions of a record from one on that are due, as many as fit; `cut` where there are more. */
  async of(
    record: Row,
    from: number,
    room: { readonly bytes: number; readonly members: number },
  ): Promise<Candidate & { readonly cut: boolean }> {
    const id = String(record.properties['id']);
    const current = Number(record.properties['revision']);
    const first = Math.max(from, current > MANY ? await this.#firstHot(id, current) : 1);
    const revisions: Row[] = [];
    let bytes = 0;
    for await (const row of this.#rows(id, first)) {
      if (!this.#isDue(row, current)) continue;
      if (bytes >= room.bytes || revisions.length >= room.members) return { record, revisions, cut: true };
      bytes += Number(row.properties['length']);
      revisions.push(row);
    }
    return { record, revisions, cut: false };
  }

  #isDue(row: Row, current: number): boolean {
    const { tier, stored_at: storedAt, revision } = row.properties;
    if (tier !== 'hot' || !rowIntact(row)) return false;
    if (this.type.tiers.currentStaysHot !== true) return true;
    return Number(revision) < current && coolIsDue(this.type, Date.parse(String(storedAt)), this.nowMs);
  }

  /** Where the hot revisions begin, by halving: they are moved oldest first. */
  async #firstHot(id: string, current: number): Promise<number> {
    const key = partitionKey(this.ref.tenant, this.ref.partition);
    let low = 1;
    let high = current;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const row = await this.budget().retry(() => this.tables.find(this.ref.table, key, revisionKey(id, middle))); // prettier-ignore
      if (row?.properties['tier'] === 'hot') high = middle;
      else low = middle + 1;
    }
    return low;
  }

  async *#rows(id: string, first: number): AsyncGenerator<Row> {
    const to = `v:${id};`;
    for (let from = revisionKey(id, first); ;) {
      const page = await this.#page(from);
      for (const row of page) {
        if (row.rowKey >= to) return;
        yield row;
      }
      const last = page.at(-1)?.rowKey;
      if (!this.#more || last === undefined) return;
      from = `${last}!`;
    }
  }

  /** Rows from a key on: those that were read ahead where they reach there, else a page. */
  async #page(from: string): Promise<readonly Row[]> {
    const known = this.#ahead;
    const covered = known.length > 0 && (known[0] as Row).rowKey <= from && (!this.#more || (known.at(-1) as Row).rowKey >= from); // prettier-ignore
    if (covered) return known.filter(({ rowKey }) => rowKey >= from);
    const key = partitionKey(this.ref.tenant, this.ref.partition);
    const query = { from, to: END, limit: Math.min(PAGE, LIMITS.rangeRows) };
    const page = await this.budget().retry(() => this.tables.range(this.ref.table, key, query));
    this.#ahead = page.rows;
    this.#more = page.more;
    return page.rows;
  }
}
