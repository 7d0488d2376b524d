import { AppError } from '../domain/errors.js';
import { checksumOf, type Json } from '../domain/canonical-json.js';
import { LIMITS } from '../domain/limits.js';
import type { PartsDeclaration, Totals } from '../domain/parts.js';
import type { RecordData, RecordType } from '../domain/record-type.js';
import type { Budget } from './backoff.js';
import { Cursors } from './cursor.js';
import type { PartitionRef } from './directory.js';
import { partsEtag } from './etag.js';
import { partitionKey, prefixRange } from './keys.js';
import type { Page, StorageManagerOptions, StoredRecord } from './manager-types.js';
import { parseHead, parsePart, partKey, partsHeadKey, partsPartition, type PartsHead, type StoredPart } from './part-rows.js'; // prettier-ignore
import { keyAfter } from './range.js';
import { timeOfId } from './record-location.js';
import { broken } from './record-row.js';

/** An entry as lists show it. */
export interface ShownPart extends RecordData {
  readonly seq: number;
}

/** Reads the parts of records; everything is verified before it is returned. */
export class PartReader {
  readonly #cursors: Cursors;

  constructor(private readonly tools: StorageManagerOptions) {
    this.#cursors = new Cursors(tools.cursorKey);
  }

  /** Where the parts of a record are. Throws `record-not-found` for a malformed id. */
  placeOf(type: RecordType, parts: PartsDeclaration, tenant: string, id: string): PartitionRef {
    return { tenant, table: parts.table, partition: partsPartition(timeOfId(type, id), id) };
  }

  /** One point read. */
  async head(parts: PartsDeclaration, ref: PartitionRef, id: string, budget: Budget): Promise<PartsHead> {
    const row = await this.#find(ref, partsHeadKey(id), budget);
    return parseHead(row, id, parts.initial);
  }

  /** One entry; one point read. Throws `integrity-failure` when it is gone. */
  async entry(ref: PartitionRef, id: string, seq: number, budget: Budget): Promise<StoredPart> {
    const row = await this.#find(ref, partKey(id, seq), budget);
    if (row === undefined) throw broken(id, seq, 'part row missing');
    return parsePart(row, id);
  }

  /** Entries `first` to `upTo`, one range read for each 1,000. Throws `integrity-failure` when one is gone. */
  async entries(
    ref: PartitionRef,
    id: string,
    upTo: number,
    budget: Budget,
    first = 1,
  ): Promise<readonly StoredPart[]> {
    const found: StoredPart[] = [];
    const next = (): number => first + found.length;
    while (next() <= upTo) {
      const limit = Math.min(LIMITS.rangeRows, upTo - next() + 1);
      const range = { from: partKey(id, next()), to: prefixRange(`p:${id}:`).to, limit };
      const page = await budget.retry(() =>
        this.tools.ports.tables.range(ref.table, partitionKey(ref.tenant, ref.partition), range),
      );
      for (const row of page.rows) {
        const part = parsePart(row, id);
        if (part.seq !== next()) throw broken(id, next(), 'part row missing');
        found.push(part);
      }
      if (!page.more && next() <= upTo) throw broken(id, next(), 'part row missing');
    }
    return found;
  }

  /** A record with what follows from its parts: one point read more, and the entries where there are any. */
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
    const upTo = Math.min(head.seq, LIMITS.partsShown);
    return withParts(parts, record, head, await this.entries(ref, id, upTo, budget));
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
    if (parts === undefined || parts.nameMember !== undefined) return data;
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
      const before = await this.entries(ref, id, head.seq - known.length, budget);
      return withParts(parts, record, head, [...before, ...known]);
    }
    const last = known.at(-1) ?? (await this.entry(ref, id, head.seq, budget));
    return withParts(parts, record, head, [last]);
  }

  /** Entries in the order they were added. One point read and one range read. */
  async list(
    type: RecordType,
    parts: PartsDeclaration,
    tenant: string,
    id: string,
    page: { readonly limit: number; readonly cursor?: string | undefined },
    budget: Budget,
  ): Promise<Page<ShownPart>> {
    const ref = this.placeOf(type, parts, tenant, id);
    const query = JSON.stringify([parts.path, tenant, type.collection, id]);
    const after = page.cursor === undefined ? undefined : this.#cursors.decode(query, page.cursor).rowKey;
    const from = after === undefined ? partKey(id, 1) : keyAfter(after);
    const to = prefixRange(`p:${id}:`).to;
    const limit = Math.min(page.limit + 1, LIMITS.rangeRows);
    const read = await budget.retry(() =>
      this.tools.ports.tables.range(ref.table, partitionKey(tenant, ref.partition), { from, to, limit }),
    );
    const rows = read.rows.slice(0, page.limit);
    const last = rows.at(-1);
    const more = last !== undefined && (read.more || read.rows.length > rows.length);
    return {
      items: rows.map((row) => {
        const { seq, entry, addedAt, checksum } = parsePart(row, id);
        return { seq, added_at: addedAt, checksum, ...entry };
      }),
      nextCursor: more ? this.#cursors.encode(query, { partition: '', rowKey: last.rowKey }) : null,
    };
  }

  #find(ref: PartitionRef, rowKey: string, budget: Budget) {
    return budget.retry(() =>
      this.tools.ports.tables.find(ref.table, partitionKey(ref.tenant, ref.partition), rowKey),
    );
  }
}

/** Of several entries of a name the last one stands, in the place of the first. */
function standing(parts: PartsDeclaration, entries: readonly StoredPart[]): readonly RecordData[] {
  const { nameMember = '' } = parts;
  return [...new Map(entries.map(({ entry }) => [String(entry[nameMember]), entry])).values()];
}

/** The envelope's checksum is that of the data it shows, as everywhere; the revision's own is in its row and event. */
function withParts(
  parts: PartsDeclaration,
  record: StoredRecord,
  head: { readonly seq: number; readonly totals: Totals },
  entries: readonly StoredPart[],
): StoredRecord {
  const data = parts.derive(record.envelope.data, head.totals, standing(parts, entries));
  const checksum = checksumOf(data as Json);
  return { envelope: { ...record.envelope, checksum, data }, etag: partsEtag(record.etag, head.seq) };
}

/** Throws `record-not-found` for a type without such parts. */
export function partsOf(type: RecordType, path: string): PartsDeclaration {
  if (type.parts?.path !== path) throw new AppError('record-not-found', 'There is nothing at this address.');
  return type.parts;
}
