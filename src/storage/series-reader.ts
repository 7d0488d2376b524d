import { formatTime } from '../domain/clock.js';
import { LIMITS } from '../domain/limits.js';
import type { PartsDeclaration, SeriesDeclaration } from '../domain/parts.js';
import type { RecordData, RecordType } from '../domain/record-type.js';
import { periodOf, periodStart, rolledUp, sumOf, type Resolution, type Sample } from '../domain/series.js';
import { Budget } from './backoff.js';
import { Cursors, type Position } from './cursor.js';
import { monthOf, partitionKey } from './keys.js';
import type { Page, StorageManagerOptions } from './manager-types.js';
import type { PartReader } from './part-reader.js';
import type { RangePage } from './ports.js';
import { keyAfter } from './range.js';
import { broken } from './record-row.js';
import type { SeriesDigest } from './series-digest.js';
import { parseRollup, parseSample, rollupKey, sampleKey } from './series-rows.js';
import type { FiledSamples, SeriesYears } from './series-years.js';
import { FileGone } from './year-file.js';

/** Entries that a read takes from the entries themselves; when more are not digested yet it digests them first. */
const BACKLOG = 50;
const HOUR_MS = 3_600_000;
const NONE: FiledSamples = { samples: [], more: false };

export interface SeriesQuery {
  readonly resolution: Resolution;
  /** Inclusive, milliseconds; of an hour or a day its beginning counts. */
  readonly fromMs?: number | undefined;
  /** Exclusive. */
  readonly toMs?: number | undefined;
  readonly limit: number;
  readonly cursor?: string | undefined;
}

/** Times that a page is read again because a file was replaced meanwhile. */
const TRIES = 4;

/** A series and what of it is in entries and may not be in samples and rollups yet. */
interface Found {
  readonly type: RecordType;
  readonly table: string;
  readonly tenant: string;
  readonly id: string;
  readonly backlog: readonly Sample[];
  /** Times of the first and the last value; undefined when there is none. */
  readonly bounds: { readonly firstMs: number; readonly lastMs: number } | undefined;
}

/** Reads values of series, the oldest first; everything is verified before it is returned. */
export class SeriesReader {
  readonly #cursors: Cursors;

  constructor(
    private readonly tools: StorageManagerOptions,
    private readonly parts: PartReader,
    private readonly digest: SeriesDigest,
    private readonly years: SeriesYears,
  ) {
    this.#cursors = new Cursors(tools.cursorKey);
  }

  /**
   * Two point reads, one range read of the entries that are not digested, and one of each month (raw) or year (hour, day)
   * that the page touches, at most 12: a page may be short, and only a null cursor ends the list. For each month (raw) of a
   * year that is over a point read more, and a blob read for each 4,000 of its values that lie in a file. Throws
   * `record-archived` where values of the page are in the archive and were not brought back; hours and days never are.
   */
  async list(
    type: RecordType,
    parts: PartsDeclaration & { readonly series: SeriesDeclaration },
    tenant: string,
    id: string,
    query: SeriesQuery,
  ): Promise<Page<RecordData>> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#list(type, parts, tenant, id, query);
      } catch (error) {
        if (!(error instanceof FileGone)) throw error;
        // It was replaced meanwhile, and its row says by which; a row that goes on to name it is wrong.
        if (attempt === TRIES) throw broken(id, 0, 'file of values missing');
      }
    }
  }

  async #list(
    type: RecordType,
    parts: PartsDeclaration & { readonly series: SeriesDeclaration },
    tenant: string,
    id: string,
    query: SeriesQuery,
  ): Promise<Page<RecordData>> {
    const budget = new Budget(this.tools.clock, this.tools.entropy);
    const { resolution, limit } = query;
    const name = JSON.stringify([
      parts.path,
      tenant,
      id,
      resolution,
      query.fromMs ?? null,
      query.toMs ?? null,
    ]);
    const after = query.cursor === undefined ? undefined : this.#cursors.decode(name, query.cursor);
    const found = await this.#find(type, parts, tenant, id, budget);
    if (found.bounds === undefined) return { items: [], nextCursor: null };
    const fromMs = startOf(resolution, Math.max(query.fromMs ?? 0, found.bounds.firstMs));
    const toMs = Math.min(query.toMs ?? found.bounds.lastMs + 1, found.bounds.lastMs + 1);
    const items: RecordData[] = [];
    let next: Position | undefined = after;
    let reads = 0;
    for (const partition of partitionsOf(resolution, fromMs, toMs)) {
      if (after !== undefined && partition < after.partition) continue;
      if (items.length >= limit || reads >= LIMITS.pageRangeReads) return this.#page(items, name, next);
      const behind = after?.partition === partition ? keyAfter(after.rowKey) : keyOf(resolution, fromMs);
      const range = { from: behind, to: keyOf(resolution, toMs) };
      const part = await this.#read(found, resolution, partition, range, limit - items.length, budget);
      reads += 1;
      items.push(...part.items.map(([, item]) => item));
      const last = part.items.at(-1)?.[0];
      if (part.more) return this.#page(items, name, { partition, rowKey: last ?? behind });
      next = { partition, rowKey: range.to };
    }
    return { items, nextCursor: null };
  }

  #page(items: readonly RecordData[], name: string, next: Position | undefined): Page<RecordData> {
    return { items, nextCursor: next === undefined ? null : this.#cursors.encode(name, next) };
  }

  async #find(
    type: RecordType,
    parts: PartsDeclaration & { readonly series: SeriesDeclaration },
    tenant: string,
    id: string,
    budget: Budget,
  ): Promise<Found> {
    const ref = this.parts.placeOf(type, parts, tenant, id);
    for (;;) {
      const digested = await this.digest.come(ref, id, budget);
      const head = await this.parts.head(parts, ref, id, budget);
      if (head.seq - digested.upTo > BACKLOG) {
        await this.digest.run(type, tenant, id);
        continue;
      }
      const window = { from: digested.upTo + 1, upTo: head.seq };
      const backlog =
        window.from > window.upTo ? [] : await this.digest.samples(type, parts, ref, id, window, budget);
      const times = [...(digested.bounds ?? []), ...backlog.map(({ ms }) => ms)];
      const bounds =
        times.length === 0
          ? undefined
          : {
              firstMs: times.reduce((a, b) => Math.min(a, b)),
              lastMs: times.reduce((a, b) => Math.max(a, b)),
            };
      return { type, table: parts.series.table, tenant, id, backlog, bounds };
    }
  }

  /** Up to `wanted` items of a partition, by their keys; `more` when there are others behind the last of them. */
  async #read(
    found: Found,
    resolution: Resolution,
    partition: string,
    range: { readonly from: string; readonly to: string },
    wanted: number,
    budget: Budget,
  ): Promise<{ readonly items: readonly (readonly [string, RecordData])[]; readonly more: boolean }> {
    const key = partitionKey(found.tenant, `${found.id}.${partition}`);
    const limit = Math.min(wanted + 1, LIMITS.rangeRows);
    const page = await budget.retry(() => this.tools.ports.tables.range(found.table, key, { ...range, limit })); // prettier-ignore
    const own = found.backlog.filter(({ ms }) => partitionOf(resolution, ms) === partition);
    const filed = resolution === 'raw' ? await this.#filed(found, partition, range, wanted, budget) : NONE;
    const all =
      resolution === 'raw'
        ? rawItems(found, page, [...own, ...filed.samples])
        : rolledUpItems(found, resolution, page, own);
    // Nothing may be shown that comes after a row which nobody has read yet, or a value of a file.
    const last = filed.samples.at(-1);
    const horizons = [
      ...(page.more ? page.rows.slice(-1).map(({ rowKey }) => rowKey) : []),
      ...(filed.more && last !== undefined ? [sampleKey(last)] : []),
    ];
    const items = [...all]
      .filter(([at]) => at >= range.from && at < range.to && horizons.every((horizon) => at <= horizon))
      .sort(([a], [b]) => (a < b ? -1 : 1));
    return { items: items.slice(0, wanted), more: page.more || filed.more || items.length > wanted };
  }

  /** What of a month lies in files; only after its rows were read. */
  async #filed(
    { type, table, tenant, id }: Found,
    month: string,
    range: { readonly from: string; readonly to: string },
    wanted: number,
    budget: Budget,
  ): Promise<FiledSamples> {
    const [year = 0, at = 0] = month.split('-').map(Number);
    if (!this.years.mayBeFiled(year)) return NONE;
    const [begin, end] = [Date.UTC(year, at - 1), Date.UTC(year, at)].map((ms) => sampleKey({ ms, seq: 0, at: 0 })); // prettier-ignore
    const from = range.from > String(begin) ? range.from : String(begin);
    const to = range.to < String(end) ? range.to : String(end);
    return this.years.find({ type, table, tenant, id, year, from, to }, wanted, budget);
  }
}

function rawItems(
  { id }: Found,
  page: RangePage,
  backlog: readonly Sample[],
): ReadonlyMap<string, RecordData> {
  const samples = [...page.rows.map((row) => parseSample(row, id)), ...backlog];
  return new Map(
    samples.map((sample) => {
      const { ms, value, context } = sample;
      return [sampleKey(sample), { timestamp: formatTime(ms), value, context }] as const;
    }),
  );
}

function rolledUpItems(
  { id }: Found,
  resolution: 'hour' | 'day',
  page: RangePage,
  backlog: readonly Sample[],
): ReadonlyMap<string, RecordData> {
  const rollups = new Map(page.rows.map((row) => [row.rowKey, parseRollup(row, id)]));
  const upTo = backlog.reduce((latest, { seq }) => Math.max(latest, seq), 0);
  const horizon = page.more ? page.rows.at(-1)?.rowKey : undefined;
  for (const period of new Set(backlog.map(({ ms }) => periodOf(resolution, ms)))) {
    const key = rollupKey(resolution, period);
    // A row beyond what was read may have counted them already.
    if (horizon !== undefined && key > horizon) continue;
    const own = backlog.filter(({ ms }) => periodOf(resolution, ms) === period);
    rollups.set(key, rolledUp(rollups.get(key), own, upTo));
  }
  return new Map(
    [...rollups].map(([key, rollup]) => {
      const { count, min, max, last } = rollup;
      const item = { timestamp: periodStart(key.slice(2)), count, sum: sumOf(rollup), min, max, last: last.value }; // prettier-ignore
      return [key, item] as const;
    }),
  );
}

/** Samples lie by month, rollups by year. */
function partitionOf(resolution: Resolution, ms: number): string {
  return monthOf(ms).slice(0, resolution === 'raw' ? 7 : 4);
}

/** The partitions of a span of time, in order. */
function* partitionsOf(resolution: Resolution, fromMs: number, toMs: number): Generator<string> {
  const at = new Date(fromMs);
  at.setUTCDate(1);
  at.setUTCHours(0, 0, 0, 0);
  if (resolution !== 'raw') at.setUTCMonth(0);
  while (at.getTime() < toMs) {
    yield partitionOf(resolution, at.getTime());
    if (resolution === 'raw') at.setUTCMonth(at.getUTCMonth() + 1);
    else at.setUTCFullYear(at.getUTCFullYear() + 1);
  }
}

/** The beginning of the hour or the day. */
function startOf(resolution: Resolution, ms: number): number {
  return resolution === 'raw' ? ms : Date.parse(periodStart(periodOf(resolution, ms)));
}

/** The first key at or after a time: of an hour or a day that begins then or later. */
function keyOf(resolution: Resolution, ms: number): string {
  if (resolution === 'raw') return sampleKey({ ms, seq: 0, at: 0 });
  const start = startOf(resolution, ms);
  const next = start + (resolution === 'hour' ? HOUR_MS : 24 * HOUR_MS);
  return rollupKey(resolution, periodOf(resolution, start < ms ? next : ms));
}
