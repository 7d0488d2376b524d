import type { PartsDeclaration } from '../domain/parts.js';
import type { RecordType } from '../domain/record-type.js';
import { upgradeData } from '../domain/upgrade.js';
import type { Budget } from './backoff.js';
import { deleteRange } from './delete-range.js';
import type { DetailStore } from './detail-store.js';
import { partitionKey, prefixRange, revisionKey } from './keys.js';
import type { PartitionRef } from './directory.js';
import type { StorageManagerOptions } from './manager-types.js';
import { PartEntries } from './part-entries.js';
import { disposedHeadRow, isDisposedHead, partsHeadKey, partKey, partsPartition } from './part-rows.js';
import { sealedAs, type PartsRef } from './part-sealing.js';
import { isFault } from './ports.js';
import { keyAfter } from './range.js';
import { timeOfId } from './record-location.js';
import { broken, parseRevisionRow } from './record-row.js';
import { rowIntact } from './row-checksum.js';
import { digestKey, rollupsPartition, samplesOfEntry, samplesPartition } from './series-rows.js';

/** Times of the first and the last value of a series, milliseconds. */
export type SeriesBounds = readonly [firstMs: number, lastMs: number];

/** Entries that are read at once to learn the times of their values. */
const ENTRIES = 100;
const EVERYTHING = { from: '!', to: '~' };

/** Clears what a record that was disposed of had grown by: entries, names, samples and rollups. */
export class PartClearer {
  readonly #entries: PartEntries;

  constructor(
    private readonly tools: StorageManagerOptions,
    private readonly details: DetailStore,
    private readonly budget: () => Budget,
  ) {
    this.#entries = new PartEntries(tools);
  }

  placeOf(type: RecordType, parts: PartsDeclaration, tenant: string, id: string): PartsRef {
    const partition = partsPartition(timeOfId(type, id), id);
    return { tenant, table: parts.table, partition, sealedAs: sealedAs(type, parts) };
  }

  /**
   * Puts an end to additions: the head, which every addition compares, is replaced for good by one that says that the
   * record is gone. An addition that read the record before is refused, and reads it again. Two calls, or one.
   */
  async fence(ref: PartitionRef, id: string): Promise<void> {
    const key = partitionKey(ref.tenant, ref.partition);
    const { tables } = this.tools.ports;
    const budget = this.budget();
    for (;;) {
      const row = await budget.retry(() => tables.find(ref.table, key, partsHeadKey(id)));
      if (row !== undefined && isDisposedHead(row)) return;
      const head = disposedHeadRow(key, id);
      try {
        await budget.retry(() => tables.commit(ref.table, key, [row === undefined ? { kind: 'insert', ...head } : { kind: 'replace', ...head, etag: row.etag }])); // prettier-ignore
        return;
      } catch (error) {
        if (!isFault(error, 'exists', 'conflict', 'missing')) throw error;
        await budget.pause(error, 5, 250);
      }
    }
  }

  /**
   * Between which times a series has values: samples lie in partitions named by their months. To be asked behind the fence
   * and before anything of it is deleted. `at` is the record's own place. Throws `integrity-failure`.
   */
  async boundsOf(
    type: RecordType,
    parts: PartsDeclaration,
    at: PartitionRef,
    id: string,
  ): Promise<SeriesBounds | undefined> {
    const ref = this.placeOf(type, parts, at.tenant, id);
    const key = partitionKey(ref.tenant, ref.partition);
    const { tables } = this.tools.ports;
    const come = await this.budget().retry(() => tables.find(ref.table, key, digestKey(id)));
    if (come !== undefined && !rowIntact(come)) throw broken(id, 0, 'digest row');
    const times: number[] = [];
    const note = (values: readonly { readonly ms: number }[]): void => {
      times.push(...values.map(({ ms }) => ms));
      times.splice(0, times.length, ...(times.length === 0 ? [] : boundsIn(times)));
    };
    if (come === undefined) note(samplesOfEntry(parts, await this.#first(type, at, id), 0));
    else times.push(Number(come.properties['first_ms']), Number(come.properties['last_ms']));
    // What a digest that died had written of the entries after those.
    let from = partKey(id, Number(come?.properties['up_to'] ?? 0) + 1);
    for (let more = true; more;) {
      const budget = this.budget();
      const page = await this.#entries.page(ref, id, from, ENTRIES, budget);
      const entries = await this.#entries.read(ref, id, page.rows, budget);
      for (const { entry, seq } of entries) note(samplesOfEntry(parts, entry, seq));
      more = page.more && entries.length > 0;
      from = keyAfter(partKey(id, entries.at(-1)?.seq ?? 0));
    }
    return times.length === 0 ? undefined : boundsIn(times);
  }

  /** The first revision, which brought values of its own; nothing where it is not there any more. */
  async #first(type: RecordType, at: PartitionRef, id: string): Promise<Readonly<Record<string, unknown>>> {
    const key = partitionKey(at.tenant, at.partition);
    const budget = this.budget();
    const row = await budget.retry(() => this.tools.ports.tables.find(at.table, key, revisionKey(id, 1)));
    if (row === undefined) throw broken(id, 1, 'revision row missing');
    const facts = parseRevisionRow(row, id);
    const { data } = await this.details.read(type, at.tenant, facts, budget);
    return upgradeData(type, facts.schemaVersion, data);
  }

  /** Deletes entries, names, samples and rollups. False when time was up before everything was gone. */
  async clear(
    type: RecordType,
    parts: PartsDeclaration,
    tenant: string,
    id: string,
    bounds: SeriesBounds | undefined,
    timeIsUp: () => boolean,
  ): Promise<boolean> {
    const { tables } = this.tools.ports;
    if (parts.series !== undefined && bounds !== undefined)
      for (const partition of seriesPartitions(id, bounds)) {
        const range = { table: parts.series.table, partitionKey: partitionKey(tenant, partition), ...EVERYTHING }; // prettier-ignore
        if (!(await deleteRange(tables, range, this.budget, timeIsUp))) return false;
      }
    const ref = this.placeOf(type, parts, tenant, id);
    const own = { table: ref.table, partitionKey: partitionKey(tenant, ref.partition) };
    const ranges = [
      prefixRange(`p:${id}:`),
      ...(parts.nameMember === undefined ? [] : [prefixRange(`n:${id}:`)]),
      { from: digestKey(id), to: keyAfter(digestKey(id)) },
    ];
    for (const range of ranges)
      if (!(await deleteRange(tables, { ...own, ...range }, this.budget, timeIsUp))) return false;
    return true;
  }
}

function boundsIn(times: readonly number[]): SeriesBounds {
  return [times.reduce((a, b) => Math.min(a, b)), times.reduce((a, b) => Math.max(a, b))];
}

/** Every partition that a series may have samples or rollups in. */
function* seriesPartitions(id: string, [firstMs, lastMs]: SeriesBounds): Generator<string> {
  const first = new Date(firstMs);
  for (let month = 0; ; month += 1) {
    const ms = Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + month, 1);
    if (ms > lastMs) return;
    yield samplesPartition(id, ms);
    if (month === 0 || new Date(ms).getUTCMonth() === 0) yield rollupsPartition(id, ms);
  }
}
