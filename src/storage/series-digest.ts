import { yearOf } from '../domain/clock.js';
import { LIMITS } from '../domain/limits.js';
import type { PartsDeclaration } from '../domain/parts.js';
import type { RecordType } from '../domain/record-type.js';
import { periodOf, rolledUp, type Sample } from '../domain/series.js';
import { Budget } from './backoff.js';
import { digestRow, NOT_DIGESTED, parseDigestRow, type Digested } from './digest-row.js';
import type { PartitionRef } from './directory.js';
import type { PartsRef } from './part-sealing.js';
import { partitionKey } from './keys.js';
import type { StorageManagerOptions } from './manager-types.js';
import type { PartReader } from './part-reader.js';
import { isFault, type Row, type RowOperation } from './ports.js';
import { keyAfter, readRange } from './range.js';
import type { RecordReader } from './record-reader.js';
import type { SummaryRefresh } from './summary-refresh.js';
import { digestKey, parseRollup, rollupKey, rollupRow, rollupsPartition, sampleRow, samplesOfEntry, samplesPartition } from './series-rows.js'; // prettier-ignore

/** Entries of one round: at most so many thousand samples. */
const ROUND = 20;

/**
 * Moves the values of entries into samples and rollups. Entries are what is committed; all this writes follows from them
 * and may be written by anybody, twice and at once: a sample is named by its entry, a rollup says which entries it has
 * counted and is replaced under its ETag, and the row that says how far all of it has come is moved last.
 */
export class SeriesDigest {
  constructor(
    private readonly tools: StorageManagerOptions,
    private readonly records: RecordReader,
    private readonly parts: PartReader,
    private readonly summaries: SummaryRefresh,
  ) {}

  /** One point read. */
  async come(ref: PartitionRef, id: string, budget: Budget): Promise<Digested> {
    const key = partitionKey(ref.tenant, ref.partition);
    const row = await budget.retry(() => this.tools.ports.tables.find(ref.table, key, digestKey(id)));
    return row === undefined ? NOT_DIGESTED : parseDigestRow(row);
  }

  /** Samples of the entries `from` to `upTo`, read from the entries themselves; 0 is the record. */
  async samples(
    type: RecordType,
    parts: PartsDeclaration,
    ref: PartsRef,
    id: string,
    { from, upTo }: { readonly from: number; readonly upTo: number },
    budget: Budget,
  ): Promise<readonly Sample[]> {
    const entries = await this.parts.entries(ref, id, upTo, budget, Math.max(from, 1));
    const added = entries.flatMap(({ entry, seq }) => samplesOfEntry(parts, entry, seq));
    if (from > 0) return added;
    const { envelope } = await this.records.getRevision(type, ref.tenant, id, 1);
    return [...samplesOfEntry(parts, envelope.data, 0), ...added];
  }

  /** Until everything is digested that there is, or `rounds` are done; resolves to the entries digested. */
  async run(
    type: RecordType,
    tenant: string,
    id: string,
    rounds = Number.POSITIVE_INFINITY,
  ): Promise<number> {
    const { parts } = type;
    if (parts?.series === undefined) return 0;
    const ref = this.parts.placeOf(type, parts, tenant, id);
    let done = 0;
    for (let round = 0; round < rounds; round += 1) {
      const budget = new Budget(this.tools.clock, this.tools.entropy);
      const [digested, head] = await Promise.all([
        this.come(ref, id, budget),
        this.parts.head(parts, ref, id, budget),
      ]);
      if (digested.upTo >= head.seq) break;
      const upTo = Math.min(head.seq, digested.upTo + ROUND);
      const window = { from: digested.upTo + 1, upTo };
      const samples = await this.samples(type, parts, ref, id, window, budget);
      await this.#write(parts.series.table, tenant, id, samples, upTo, budget);
      // Before it is said that all is digested: whoever finds that said looks no further.
      if (upTo === head.seq) await this.summaries.refresh(type, tenant, id, budget);
      await this.#move(ref, id, digested, samples, upTo, budget);
      done += upTo - digested.upTo;
    }
    return done;
  }

  async #write(
    table: string,
    tenant: string,
    id: string,
    samples: readonly Sample[],
    upTo: number,
    budget: Budget,
  ): Promise<void> {
    for (const [partition, some] of grouped(samples, ({ ms }) => samplesPartition(id, ms))) {
      const key = partitionKey(tenant, partition);
      const operations = some.map((sample): RowOperation => ({ kind: 'upsert', ...sampleRow(key, sample) }));
      for (const chunk of chunks(operations))
        await budget.retry(() => this.tools.ports.tables.commit(table, key, chunk));
    }
    for (const [partition, some] of grouped(samples, ({ ms }) => rollupsPartition(id, ms))) {
      const key = partitionKey(tenant, partition);
      for (const resolution of ['day', 'hour'] as const) {
        const periods = grouped(some, ({ ms }) => rollupKey(resolution, periodOf(resolution, ms)));
        for (const part of chunks([...periods.entries()].sort(([a], [b]) => (a < b ? -1 : 1))))
          await this.#rollUp(table, key, id, part, upTo, budget);
      }
    }
  }

  /** Of two that count at once one replaces the row, and the other finds that it has counted already. */
  async #rollUp(
    table: string,
    key: string,
    id: string,
    periods: readonly (readonly [string, readonly Sample[]])[],
    upTo: number,
    budget: Budget,
  ): Promise<void> {
    for (;;) {
      const rows = await this.#rows(table, key, periods.map(([rowKey]) => rowKey), budget); // prettier-ignore
      const operations = periods.flatMap(([rowKey, samples]): RowOperation[] => {
        const row = rows.get(rowKey);
        const before = row === undefined ? undefined : parseRollup(row, id);
        if (before !== undefined && before.upTo >= upTo) return [];
        const next = rollupRow(key, rowKey, rolledUp(before, samples, upTo));
        return [
          row === undefined ? { kind: 'insert', ...next } : { kind: 'replace', ...next, etag: row.etag },
        ];
      });
      try {
        if (operations.length > 0) await this.tools.ports.tables.commit(table, key, operations);
        return;
      } catch (error) {
        if (!isFault(error, 'unavailable', 'conflict', 'exists', 'missing')) throw error;
        await budget.pause(error, 5, 250);
      }
    }
  }

  async #rows(
    table: string,
    key: string,
    rowKeys: readonly string[],
    budget: Budget,
  ): Promise<ReadonlyMap<string, Row>> {
    const range = { from: rowKeys[0] as string, to: keyAfter(rowKeys.at(-1) as string) };
    const rows = await budget.retry(() => readRange(this.tools.ports.tables, table, key, range));
    return new Map(rows.map((row) => [row.rowKey, row]));
  }

  async #move(
    ref: PartitionRef,
    id: string,
    before: Digested,
    samples: readonly Sample[],
    upTo: number,
    budget: Budget,
  ): Promise<void> {
    const key = partitionKey(ref.tenant, ref.partition);
    const { etag, bounds, filedThrough = -Infinity } = before;
    const times = [...(bounds ?? []), ...samples.map(({ ms }) => ms)];
    const [firstMs, lastMs] = [
      times.reduce((a, b) => Math.min(a, b)),
      times.reduce((a, b) => Math.max(a, b)),
    ];
    // What is filed has to be looked at again.
    const late = samples.map(({ ms }) => yearOf(ms)).filter((year) => year <= filedThrough);
    const due = new Map([...before.due, ...late.map((year) => [year, { told: before.due.get(year)?.told ?? '', late: true }] as const)]); // prettier-ignore
    const { rowKey, properties } = digestRow(key, id, { ...before, upTo, bounds: [firstMs, lastMs], due });
    const operation: RowOperation =
      etag === undefined
        ? { kind: 'insert', rowKey, properties }
        : { kind: 'replace', rowKey, properties, etag };
    try {
      await budget.retry(() => this.tools.ports.tables.commit(ref.table, key, [operation]));
    } catch (error) {
      // Somebody else moved it: the next round begins where it is now.
      if (!isFault(error, 'conflict', 'exists', 'missing')) throw error;
    }
  }
}

function grouped(
  samples: readonly Sample[],
  by: (sample: Sample) => string,
): ReadonlyMap<string, readonly Sample[]> {
  const groups = new Map<string, Sample[]>();
  for (const sample of samples) {
    const group = groups.get(by(sample));
    if (group === undefined) groups.set(by(sample), [sample]);
    else group.push(sample);
  }
  return groups;
}

function chunks<T>(items: readonly T[]): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / LIMITS.transactionRows) }, (_, at) =>
    items.slice(at * LIMITS.transactionRows, (at + 1) * LIMITS.transactionRows),
  );
}
