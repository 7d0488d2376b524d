import { AppError, invalid } from '../domain/errors.js';
import { checksumOf, type Json } from '../domain/canonical-json.js';
import { LIMITS } from '../domain/limits.js';
import { isDigested, type AddingDeclaration, type PartsDeclaration, type Totals } from '../domain/parts.js';
import type { RecordData, RecordType } from '../domain/record-type.js';
import type { Budget } from './backoff.js';
import type { PartitionRef } from './directory.js';
import { disclose, type Openings } from '../domain/disclosure.js';
import { oneEntryEtag, partsEtag } from './etag.js';
import { partitionKey } from './keys.js';
import type { StorageManagerOptions, StoredRecord } from './manager-types.js';
import { MovedLines } from './moved-lines.js';
import { fittingRows, PartEntries } from './part-entries.js';
import { parseHead, partsHeadKey, partsPartition, sizeOfPart, type PartRow, type PartsHead } from './part-rows.js'; // prettier-ignore
import { sealedAs, type OpenPart, type PartsRef } from './part-sealing.js';
import { timeOfId } from './record-location.js';

/** Reads what the parts of records come to; everything is verified before it is returned. */
export class PartReader {
  readonly #entries: PartEntries;
  readonly #moved: MovedLines;

  constructor(private readonly tools: StorageManagerOptions) {
    this.#entries = new PartEntries(tools);
    this.#moved = new MovedLines(tools);
  }

  /** Where the parts of a record are. Throws `record-not-found` for a malformed id. */
  placeOf(type: RecordType, parts: PartsDeclaration, tenant: string, id: string): PartsRef {
    const partition = partsPartition(timeOfId(type, id), id);
    return { tenant, table: parts.table, partition, sealedAs: sealedAs(type, parts) };
  }

  /** One point read. */
  async head(parts: PartsDeclaration, ref: PartitionRef, id: string, budget: Budget): Promise<PartsHead> {
    const key = partitionKey(ref.tenant, ref.partition);
    const row = await budget.retry(() => this.tools.ports.tables.find(ref.table, key, partsHeadKey(id)));
    return parseHead(row, id, parts.initial);
  }

  /**
   * Before an entry is added to those of which some are in the archive: throws `record-archived` unless they were brought
   * back, for the answer shows them. Free, or two point reads.
   */
  async assertBroughtBack(
    type: RecordType,
    ref: PartitionRef,
    id: string,
    { archivedUpTo }: PartsHead,
    budget: Budget,
  ): Promise<void> {
    if (archivedUpTo !== undefined) await this.#moved.assertBroughtBack(type, ref, id, budget);
  }

  /** One entry; one point read, and one blob read when it has moved. Throws `integrity-failure` when it is gone. */
  async entry(ref: PartsRef, id: string, seq: number, budget: Budget): Promise<OpenPart> {
    const [part] = await this.#entries.read(ref, id, [await this.#entries.row(ref, id, seq, budget)], budget);
    return part as OpenPart;
  }

  /** Entries `first` to `upTo`, one range read for each 1,000. Throws `integrity-failure` when one is gone. */
  async entries(
    ref: PartsRef,
    id: string,
    upTo: number,
    budget: Budget,
    first = 1,
  ): Promise<readonly OpenPart[]> {
    return this.#entries.read(ref, id, await this.#entries.rows(ref, id, first, upTo, budget), budget);
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
    record: StoredRecord,
    ref: PartsRef,
    { upTo, count }: { readonly upTo: number; readonly count: number },
    known: readonly OpenPart[],
    budget: Budget,
  ): Promise<readonly Entry[]> {
    const { id } = record.envelope;
    const first = Math.max(1, upTo - count + 1);
    const before = await this.#entries.rows(ref, id, first, upTo - known.length, budget);
    const rows = [...before, ...known.map(rowOf)];
    const kept = parts.shown === undefined ? rows : fittingRows(rows.toReversed()).toReversed();
    const stored = kept.filter(({ seq }) => known.every((part) => part.seq !== seq));
    const opened = await this.#entries.read(ref, id, stored, budget);
    const entries = [...opened, ...known.filter(({ seq }) => kept.some((row) => row.seq === seq))];
    if (kept.length < upTo) return entries;
    const came = parts.came?.(committedOf(record)) ?? [];
    const room = (parts.shown ?? came.length + kept.length) - kept.length;
    const earliest = came.slice(Math.max(0, came.length - room));
    return [...earliest.map((entry) => ({ entry, openings: openingsIn(record) })), ...entries];
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
    known: readonly OpenPart[],
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
    standing: OpenPart | undefined,
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
  part: OpenPart,
): StoredRecord {
  return { ...withParts(parts, record, head, [part]), etag: oneEntryEtag(record.etag, head.seq) };
}

/** An entry that was just added, as its row would be read. */
function rowOf({ entry, sealed, openings: _, ...part }: OpenPart): PartRow {
  const held = { entry, sealed };
  return { ...part, etag: '', size: sizeOfPart(held), held };
}

/** An entry in its committed form, and what opens it. */
type Entry = Pick<OpenPart, 'entry' | 'openings'>;

const NOTHING: Openings = new Map();
/** A record in its committed form, and what opens it. */
export const committedOf = ({ envelope, hidden }: StoredRecord): RecordData =>
  hidden?.committed ?? envelope.data;
export const openingsIn = ({ hidden }: StoredRecord): Openings => hidden?.openings ?? NOTHING;

/** Of several entries of a name the last one stands, in the place of the first. */
function standing(parts: PartsDeclaration, entries: readonly RecordData[]): readonly RecordData[] {
  const { nameMember = '' } = parts;
  return [...new Map(entries.map((entry) => [String(entry[nameMember]), entry])).values()];
}

/**
 * The envelope's checksum is that of the data it shows, as everywhere, in its committed form; the revision's own is in its
 * row and event. What is derived is derived from committed forms, so what opens them opens it as well.
 */
function withParts(
  parts: PartsDeclaration,
  record: StoredRecord,
  head: { readonly seq: number; readonly totals: Totals },
  entries: readonly Entry[],
): StoredRecord {
  const committed = parts.derive(committedOf(record), head.totals, standing(parts, entries.map(({ entry }) => entry))); // prettier-ignore
  const openings: Openings = new Map([openingsIn(record), ...entries.map((one) => one.openings)].flatMap((one) => [...one])); // prettier-ignore
  const { data, salts } = disclose(committed, openings);
  const { salts: _, ...unsalted } = record.envelope;
  const envelope = { ...unsalted, checksum: checksumOf(committed as Json), data };
  const etag = partsEtag(record.etag, head.seq);
  if (openings.size === 0) return { envelope, etag };
  return { envelope: { ...envelope, ...(Object.keys(salts).length === 0 ? {} : { salts }) }, etag, hidden: { committed, openings } };
} // prettier-ignore

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
