import { AppError, invalid } from '../domain/errors.js';
import { checksumOf, type Json } from '../domain/canonical-json.js';
import { LIMITS } from '../domain/limits.js';
import { isDigested, type AddingDeclaration, type PartsDeclaration, type Totals } from '../domain/parts.js';
import type { RecordData, RecordType } from '../domain/record-type.js';
import type { Budget } from './backoff.js';
import type { PartitionRef } from './directory.js';
import { oneEntryEtag, partsEtag } from './etag.js';
import { partitionKey } from './keys.js';
import type { StorageManagerOptions, StoredRecord } from './manager-types.js';
import { fittingRows, PartEntries } from './part-entries.js';
import { parseHead, partsHeadKey, partsPartition, type PartRow, type PartsHead, type StoredPart } from './part-rows.js'; // prettier-ignore
import { timeOfId } from './record-location.js';

/** Reads what the parts of records come to; everything is verified before it is returned. */
export class PartReader {
  readonly #entries: PartEntries;

  constructor(private readonly tools: StorageManagerOptions) {
    this.#entries = new PartEntries(tools);
  }

  /** Where the parts of a record are. Throws `record-not-found` for a malformed id. */
  placeOf(type: RecordType, parts: PartsDeclaration, tenant: string, id: string): PartitionRef {
    return { tenant, table: parts.table, partition: partsPartition(timeOfId(type, id), id) };
  }

  /** One point read. */
  async head(parts: PartsDeclaration, ref: PartitionRef, id: string, budget: Budget): Promise<PartsHead> {
    const key = partitionKey(ref.tenant, ref.partition);
    const row = await budget.retry(() => this.tools.ports.tables.find(ref.table, key, partsHeadKey(id)));
    return parseHead(row, id, parts.initial);
  }

  /** One entry; one point read, and one blob read when it has moved. Throws `integrity-failure` when it is gone. */
  async entry(ref: PartitionRef, id: string, seq: number, budget: Budget): Promise<StoredPart> {
    const [part] = await this.#entries.read(id, [await this.#entries.row(ref, id, seq, budget)], budget);
    return part as StoredPart;
  }

  /** Entries `first` to `upTo`, one range read for each 1,000. Throws `integrity-failure` when one is gone. */
  async entries(
    ref: PartitionRef,
    id: string,
    upTo: number,
    budget: Budget,
    first = 1,
  ): Promise<readonly StoredPart[]> {
    return this.#entries.read(id, await this.#entries.rows(ref, id, first, upTo, budget), budget);
  }

  /**
   * A record with what follows from its parts: one point read more, and the entries that are shown where there are any, with
   * one blob read for each blob they have moved to.
   */
  async complete(
    type: RecordType,
    tenant: string,
    record: StoredRecord,
    budget: Budget,
  ): Promise<StoredRecord> {
    const { parts } = type;
    if (parts === undefined) return record;
    const { id } = record.envelope;
    const ref = this.placeOf(type, parts, tenant, id);
    const head = await this.head(parts, ref, id, budget);
    if (head.seq === 0) return record;
    if (parts.nameMember === undefined) return withParts(parts, record, head, []);
    const window = { upTo: parts.shown === undefined ? Math.min(head.seq, LIMITS.partsShown) : head.seq, count: parts.shown ?? LIMITS.partsShown }; // prettier-ignore
    return withParts(parts, record, head, await this.#window(parts, record, ref, window, [], budget));
  }

  /**
   * The latest `count` entries up to one, and what came with the record where they reach back to it. `known` are the last
   * of them. Where the type says how many are shown, they are also at most `LIMITS.recordBytes`.
   */
  async #window(
    parts: PartsDeclaration,
    { envelope: { id, data } }: StoredRecord,
    ref: PartitionRef,
    { upTo, count }: { readonly upTo: number; readonly count: number },
    known: readonly StoredPart[],
    budget: Budget,
  ): Promise<readonly RecordData[]> {
    const first = Math.max(1, upTo - count + 1);
    const before = await this.#entries.rows(ref, id, first, upTo - known.length, budget);
    const rows = [...before, ...known.map(rowOf)];
    const kept = parts.shown === undefined ? rows : fittingRows(rows.toReversed()).toReversed();
    const entries = (await this.#entries.read(id, kept, budget)).map(({ entry }) => entry);
    if (kept.length < upTo) return entries;
    const came = parts.came?.(data) ?? [];
    const room = (parts.shown ?? came.length + kept.length) - kept.length;
    return [...came.slice(Math.max(0, came.length - room)), ...entries];
  }

  /** Holds a change to what the parts come to: a point read where it touches what they have a say in. Throws `record-invalid`. */
  async assertHold(
    type: RecordType,
    tenant: string,
    id: string,
    { next, previous }: { readonly next: RecordData; readonly previous: RecordData },
    budget: Budget,
  ): Promise<void> {
    const { parts } = type;
    if (parts?.holds?.members.some((member) => next[member] !== previous[member]) !== true) return;
    const { totals } = await this.head(parts, this.placeOf(type, parts, tenant, id), id, budget);
    const issues = parts.holds.check(next, totals);
    if (issues.length > 0) throw invalid(issues);
  }

  /** The record as lists show it: with what follows from the totals of its parts; a point read where there are some. */
  async listed(
    type: RecordType,
    tenant: string,
    id: string,
    data: RecordData,
    budget: Budget,
  ): Promise<RecordData> {
    const { parts } = type;
    if (parts === undefined || !isDigested(parts)) return data;
    const head = await this.head(parts, this.placeOf(type, parts, tenant, id), id, budget);
    return parts.derive(data, head.totals, []);
  }

  /**
   * The record as the answer to its entry `seq` shows it: with all entries up to that one while they are few, else with
   * that one. `known` are the last of them, which need not be read.
   */
  async answered(
    type: RecordType,
    parts: PartsDeclaration,
    record: StoredRecord,
    head: { readonly seq: number; readonly totals: Totals },
    known: readonly StoredPart[],
    budget: Budget,
  ): Promise<StoredRecord> {
    const { id, tenant } = record.envelope;
    const ref = this.placeOf(type, parts, tenant, id);
    if (parts.nameMember === undefined) return withParts(parts, record, head, []);
    if (head.seq <= LIMITS.partsAnswered) {
      const window = { upTo: head.seq, count: LIMITS.partsAnswered };
      return withParts(parts, record, head, await this.#window(parts, record, ref, window, known, budget));
    }
    const last = known.at(-1) ?? (await this.entry(ref, id, head.seq, budget));
    return oneEntry(parts, record, head, last);
  }

  /** The answer to an addition that changes nothing, because `standing` says it already. */
  async unchanged(
    type: RecordType,
    parts: PartsDeclaration,
    record: StoredRecord,
    head: Pick<PartsHead, 'seq' | 'totals'>,
    standing: StoredPart | undefined,
    budget: Budget,
  ): Promise<StoredRecord> {
    if (head.seq === 0) return record;
    if (head.seq > LIMITS.partsAnswered && standing !== undefined)
      return oneEntry(parts, record, head, standing);
    return this.answered(type, parts, record, head, [], budget);
  }
}

/** An answer that shows one entry of many: not what a read shows, and so under a tag of its own. */
function oneEntry(
  parts: PartsDeclaration,
  record: StoredRecord,
  head: Pick<PartsHead, 'seq' | 'totals'>,
  { entry }: StoredPart,
): StoredRecord {
  return { ...withParts(parts, record, head, [entry]), etag: oneEntryEtag(record.etag, head.seq) };
}

/** An entry that was just added, as its row would be read. */
function rowOf({ entry, ...part }: StoredPart): PartRow {
  return { ...part, etag: '', size: Buffer.byteLength(JSON.stringify(entry)), held: { entry } };
}

/** Of several entries of a name the last one stands, in the place of the first. */
function standing(parts: PartsDeclaration, entries: readonly RecordData[]): readonly RecordData[] {
  const { nameMember = '' } = parts;
  return [...new Map(entries.map((entry) => [String(entry[nameMember]), entry])).values()];
}

/** The envelope's checksum is that of the data it shows, as everywhere; the revision's own is in its row and event. */
function withParts(
  parts: PartsDeclaration,
  record: StoredRecord,
  head: { readonly seq: number; readonly totals: Totals },
  entries: readonly RecordData[],
): StoredRecord {
  const data = parts.derive(record.envelope.data, head.totals, standing(parts, entries));
  const checksum = checksumOf(data as Json);
  return { envelope: { ...record.envelope, checksum, data }, etag: partsEtag(record.etag, head.seq) };
}

/** Throws `record-not-found` for a type without such parts. */
export function partsOf(type: RecordType, path: string): PartsDeclaration {
  if (type.parts?.path !== path) throw nothingHere();
  return type.parts;
}

/** The parts of a type and the way to add to them that a path is; undefined where it is none. */
export function addingOf(type: RecordType, path: string): { readonly parts: PartsDeclaration; readonly adding: AddingDeclaration } | undefined {
  const { parts } = type;
  if (parts === undefined) return undefined;
  if (parts.path === path) return { parts, adding: parts };
  const more = parts.more ?? {};
  return Object.hasOwn(more, path) ? { parts, adding: more[path] as AddingDeclaration } : undefined;
} // prettier-ignore

/** Like `addingOf`. Throws `record-not-found` where a path is no way to add. */
export function wayTo(type: RecordType, path: string): { readonly parts: PartsDeclaration; readonly adding: AddingDeclaration } {
  const way = addingOf(type, path);
  if (way === undefined) throw nothingHere();
  return way;
} // prettier-ignore

function nothingHere(): AppError {
  return new AppError('record-not-found', 'There is nothing at this address.');
}
