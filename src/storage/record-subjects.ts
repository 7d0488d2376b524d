import { everySubjectOf } from '../domain/held.js';
import { disclose } from '../domain/disclosure.js';
import { LIMITS } from '../domain/limits.js';
import type { RecordType } from '../domain/record-type.js';
import { Budget } from './backoff.js';
import type { DetailStore } from './detail-store.js';
import { partitionKey, prefixRange } from './keys.js';
import type { StorageManagerOptions } from './manager-types.js';
import type { PartReader } from './part-reader.js';
import type { RangePage } from './ports.js';
import { keyAfter } from './range.js';
import type { RecordLocator } from './record-locator.js';
import { parseRevisionRow } from './record-row.js';

/** Rows that are held at once. */
const PAGE = 50;

/** Whom a record is about, in any revision and any entry of it: what holds on subjects ask before it goes. */
export class RecordSubjects {
  constructor(
    private readonly tools: StorageManagerOptions,
    private readonly details: DetailStore,
    private readonly parts: PartReader,
    private readonly locator: RecordLocator,
  ) {}

  /**
   * Reads all of it: a range read for 50 revisions and one blob read for each, and what its entries cost to read. Throws
   * `integrity-failure` where something of it cannot be read, `record-archived` where it is in the archive: whom it is about
   * is not known then.
   */
  async of(type: RecordType, tenant: string, id: string): Promise<readonly string[]> {
    const found = new Set<string>();
    const add = (names: readonly string[]): void => names.forEach((name) => found.add(name));
    const ref = await this.locator.locate(type, tenant, id, this.#budget());
    const key = partitionKey(tenant, ref.partition);
    const { from, to } = prefixRange(`v:${id}:`);
    for (let next: string | undefined = from; next !== undefined;) {
      const query = { from: next, to, limit: PAGE };
      const page: RangePage = await this.#budget().retry(() =>
        this.tools.ports.tables.range(ref.table, key, query),
      );
      for (const row of page.rows) {
        const facts = parseRevisionRow(row, id);
        const { data } = await this.details.read(type, tenant, facts, this.#budget());
        add(everySubjectOf(data, type.subjects));
      }
      const last: string | undefined = page.rows.at(-1)?.rowKey;
      next = page.more && last !== undefined ? keyAfter(last) : undefined;
    }
    const { parts } = type;
    if (parts !== undefined) {
      const place = this.parts.placeOf(type, parts, tenant, id);
      const { seq } = await this.parts.head(parts, place, id, this.#budget());
      for (let first = 1; first <= seq; first += LIMITS.rangeRows) {
        const upTo = Math.min(seq, first + LIMITS.rangeRows - 1);
        const entries = await this.parts.entries(place, id, upTo, this.#budget(), first);
        for (const { entry, openings } of entries) {
          const { data } = disclose(entry, openings);
          add(everySubjectOf(data, parts.subjects));
        }
      }
    }
    return [...found];
  }

  #budget(): Budget {
    return new Budget(this.tools.clock, this.tools.entropy);
  }
}
