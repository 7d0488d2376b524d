import { checksumOf, type Json } from '../domain/canonical-json.js';
import { formatTime } from '../domain/clock.js';
import { LIMITS } from '../domain/limits.js';
import type { PartsDeclaration } from '../domain/parts.js';
import type { RecordData, RecordType } from '../domain/record-type.js';
import type { Budget } from './backoff.js';
import { Cursors } from './cursor.js';
import type { PartitionRef } from './directory.js';
import type { CallContext, Page, StorageManagerOptions } from './manager-types.js';
import { fittingRows, PartEntries } from './part-entries.js';
import { committedOf, openingsIn, type PartReader } from './part-reader.js';
import { partKey } from './part-rows.js';
import { clearPart, type OpenPart } from './part-sealing.js';
import type { RecordReader } from './record-reader.js';
import { broken } from './record-row.js';

/** Of a cursor that stopped among the entries which came with the record; its row key is the place of the next one. */
const CAME = '0';

/** An entry as lists show it. */
export interface ShownPart extends RecordData {
  readonly seq: number;
  /** Of its committed form: the entry's own members, with commitments in the places of its sensitive values. */
  readonly checksum: string;
  /** By JSON pointer into the entry, base64url; for who sees its sensitive values. */
  readonly salts?: Readonly<Record<string, string>>;
}

export interface PartsQuery {
  /** Inclusive, milliseconds, on the type's time member. */
  readonly fromMs?: number | undefined;
  readonly limit: number;
  readonly cursor?: string | undefined;
}

/** Whose entries are listed, for whom. */
type Listing = Pick<CallContext, 'tenant' | 'maySeeSensitive'> & { readonly id: string };

/** Pages through the entries of records in the order they were added. */
export class PartLister {
  readonly #cursors: Cursors;
  readonly #entries: PartEntries;

  constructor(
    tools: StorageManagerOptions,
    private readonly records: RecordReader,
    private readonly parts: PartReader,
  ) {
    this.#cursors = new Cursors(tools.cursorKey);
    this.#entries = new PartEntries(tools);
  }

  /**
   * One point read of the record and one range read; one blob read more for each blob that entries of the page have moved
   * to, and for the record's detail where the page begins with what came with it; one point read more for the last page,
   * of the head, which says that it is the last. A first page from a time finds its place in 1 + log2(entries) point
   * reads. A page may be short; only a null cursor ends the list.
   */
  async list(
    type: RecordType,
    parts: PartsDeclaration,
    { tenant, id, maySeeSensitive }: Listing,
    query: PartsQuery,
    budget: Budget,
  ): Promise<Page<ShownPart>> {
    const { limit, fromMs, cursor } = query;
    const name = JSON.stringify([parts.path, tenant, type.collection, id, ...(fromMs === undefined ? [] : [fromMs])]); // prettier-ignore
    // A cursor of another list is refused before a record is looked for that may not be there (http-api.md, Errors).
    const after = cursor === undefined ? undefined : this.#cursors.decode(name, cursor);
    const record = await this.records.recordRow(type, tenant, id, budget);
    const from = fromMs === undefined ? undefined : formatTime(fromMs);
    const fits = (entry: RecordData): boolean =>
      from === undefined || String(entry[parts.timeMember ?? '']) >= from;
    const items: ShownPart[] = [];
    if (parts.came !== undefined && (after === undefined || after.partition === CAME)) {
      const whole = await this.records.shown(type, tenant, record, budget);
      const came = parts.came(committedOf(whole));
      const common = { seq: 0, addedAt: record.createdAt, openings: openingsIn(whole) };
      const first = after === undefined ? 0 : Number(after.rowKey);
      for (const [at, entry] of came.entries()) {
        if (at < first || !fits(entry)) continue;
        if (items.length === limit)
          return { items, nextCursor: this.#cursors.encode(name, { partition: CAME, rowKey: String(at) }) };
        items.push(shownPart({ ...common, entry, checksum: checksumOf(entry as Json) }, maySeeSensitive));
      }
      if (items.length === limit)
        return { items, nextCursor: this.#cursors.encode(name, { partition: CAME, rowKey: String(came.length) }) }; // prettier-ignore
    }
    const ref = this.parts.placeOf(type, parts, tenant, id);
    const start = after?.partition === '' ? seqOf(after.rowKey) + 1 : await this.#start(parts, ref, id, from, budget); // prettier-ignore
    if (start === undefined) return { items, nextCursor: null };
    const wanted = limit - items.length;
    const page = await this.#entries.page(
      ref,
      id,
      partKey(id, start),
      Math.min(wanted + 1, LIMITS.rangeRows),
      budget,
    );
    const rows = fittingRows(page.rows.slice(0, wanted));
    const gap = rows.findIndex(({ seq }, at) => seq !== start + at);
    if (gap >= 0) throw broken(id, start + gap, 'part row missing');
    const entries = await this.#entries.read(ref, id, rows, budget);
    const shown = entries.filter(({ entry }) => fits(entry));
    items.push(...shown.map((part) => shownPart(part, maySeeSensitive)));
    const next = start + rows.length;
    const more = page.more || page.rows.length > rows.length || (await this.#goesOn(parts, ref, id, next, budget)); // prettier-ignore
    return {
      items,
      nextCursor: more ? this.#cursors.encode(name, { partition: '', rowKey: partKey(id, next - 1) }) : null, // prettier-ignore
    };
  }

  /**
   * Whether an entry has come since the last one was read; asked where a list seems to end. Throws `integrity-failure`
   * when the head counts one that is gone: no row after a gap would tell.
   */
  async #goesOn(
    parts: PartsDeclaration,
    ref: PartitionRef,
    id: string,
    next: number,
    budget: Budget,
  ): Promise<boolean> {
    const { seq } = await this.parts.head(parts, ref, id, budget);
    if (seq < next) return false;
    await this.#entries.row(ref, id, next, budget);
    return true;
  }

  /**
   * The number of the first entry that can have a time at or after `from`: no entry before it has one, for the latest time so
   * far only grows. Undefined when there is none.
   */
  async #start(
    parts: PartsDeclaration,
    ref: PartitionRef,
    id: string,
    from: string | undefined,
    budget: Budget,
  ): Promise<number | undefined> {
    if (from === undefined) return 1;
    const head = await this.parts.head(parts, ref, id, budget);
    if ((head.latest ?? '') < from) return undefined;
    let low = 1;
    let high = head.seq;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const { latest = '' } = await this.#entries.row(ref, id, middle, budget);
      if (latest >= from) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

const seqOf = (rowKey: string): number => Number(rowKey.slice(rowKey.lastIndexOf(':') + 1));

/** With its sensitive values and their salts, or with its commitments. */
function shownPart(
  part: Pick<OpenPart, 'seq' | 'entry' | 'addedAt' | 'checksum' | 'openings'>,
  maySeeSensitive: boolean | undefined,
): ShownPart {
  const { seq, entry, addedAt, checksum, openings } = part;
  const head = { seq, added_at: addedAt, checksum };
  if (maySeeSensitive !== true || openings.size === 0) return { ...head, ...entry };
  const { data, salts } = clearPart({ entry, openings });
  return { ...head, ...(Object.keys(salts).length === 0 ? {} : { salts }), ...data };
}
