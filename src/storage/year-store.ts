import type { Rollup } from '../domain/series.js';
import type { Budget } from './backoff.js';
import { partitionKey } from './keys.js';
import { isFault, type RecordTable, type Row, type RowOperation } from './ports.js';
import { readRange } from './range.js';
import type { SeriesPlace } from './series-progress.js';
import { parseRollup } from './series-rows.js';
import { parseYearRow, yearKey, yearPartition, yearRow, type YearRow } from './year-rows.js';
import type { SampleMonths } from './year-samples.js';

const DAYS = { from: 'd:', to: 'd;' } as const;

/** The partition with what the values of a year come to, and with the row that says which files have them. */
export class YearStore {
  constructor(
    private readonly tables: RecordTable,
    private readonly budget: () => Budget,
  ) {}

  /** Whether a year has values. One range read. */
  async hasValues(place: SeriesPlace, year: number): Promise<boolean> {
    return (await this.#days(place, year, 1)).length > 0;
  }

  /** What its days come to, by their names. One range read. Throws `integrity-failure`. */
  async days(place: SeriesPlace, year: number): Promise<ReadonlyMap<string, Rollup>> {
    const rows = await this.#days(place, year);
    return new Map(rows.map((row) => [row.rowKey.slice(DAYS.from.length), parseRollup(row, place.id)]));
  }

  /** One point read. Throws `integrity-failure`. */
  async find(place: SeriesPlace, year: number): Promise<YearRow | undefined> {
    const { table } = place.parts.series;
    const row = await this.budget().retry(() => this.tables.find(table, keyOf(place, year), yearKey(year)));
    return row === undefined ? undefined : parseYearRow(row, place.id);
  }

  /** False where somebody else has changed it meanwhile; it may have been this very call, whose answer was lost. */
  async put(place: SeriesPlace, before: YearRow | undefined, next: Omit<YearRow, 'etag'>): Promise<boolean> {
    const key = keyOf(place, next.year);
    const row = yearRow(key, next);
    const etag = before?.etag;
    const operation: RowOperation =
      etag === undefined ? { kind: 'insert', ...row } : { kind: 'replace', ...row, etag };
    try {
      await this.budget().retry(() => this.tables.commit(place.parts.series.table, key, [operation]));
      return true;
    } catch (error) {
      if (!isFault(error, 'exists', 'conflict', 'missing')) throw error;
      const there = await this.find(place, next.year);
      const names = new Set(there?.files.map(({ blob }) => blob));
      return names.size > 0 && next.files.every(({ blob }) => names.has(blob));
    }
  }

  #days(place: SeriesPlace, year: number, limit?: number): Promise<readonly Row[]> {
    const { table } = place.parts.series;
    return this.budget().retry(() => readRange(this.tables, table, keyOf(place, year), DAYS, limit));
  }
}

const keyOf = ({ record, id }: SeriesPlace, year: number): string =>
  partitionKey(record.tenant, yearPartition(id, year));

/** The months that days are in, as partitions of samples. */
export function monthsOf(
  { parts, record, id }: SeriesPlace,
  days: ReadonlyMap<string, unknown>,
): SampleMonths {
  const months = [...new Set([...days.keys()].map((day) => day.slice(0, 7)))].sort();
  const partitionKeys = months.map((month) => partitionKey(record.tenant, `${id}.${month}`));
  return { table: parts.series.table, partitionKeys, id };
}
