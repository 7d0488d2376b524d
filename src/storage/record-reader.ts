import type { Envelope, EnvelopeHead } from '../domain/envelope.js';
import { LIMITS } from '../domain/limits.js';
import type { RecordType } from '../domain/record-type.js';
import { upgradeData } from '../domain/upgrade.js';
import { Budget } from './backoff.js';
import { Cursors } from './cursor.js';
import type { Detail, DetailStore } from './detail-store.js';
import { revisionEtag } from './etag.js';
import { hiddenOf } from './hidden.js';
import { partitionKey, prefixRange, recordKey, revisionKey } from './keys.js';
import type { Page, StorageManagerOptions, StoredRecord, StoredRevision } from './manager-types.js';
import type { Row } from './ports.js';
import { keyAfter } from './range.js';
import { notFound } from './record-location.js';
import type { RecordLocator } from './record-locator.js';
import { rowIntact } from './row-checksum.js';
import { disposedOf, isTombstone } from './tombstone-row.js';
import { isVoid } from './void-row.js';
import {
  broken,
  envelopeHead,
  parseRecordRow,
  parseRevisionRow,
  type RecordRow,
  type RevisionFacts,
} from './record-row.js';

/** Nothing; a void row, which a create replaces under its ETag; or a record. */
export type Place = { readonly kind: 'empty' | 'record' } | { readonly kind: 'void'; readonly etag: string };

/** Reads records and their revisions; everything is verified before it is returned. */
export class RecordReader {
  readonly #cursors: Cursors;

  constructor(
    private readonly tools: StorageManagerOptions,
    private readonly details: DetailStore,
    private readonly locator: RecordLocator,
  ) {
    this.#cursors = new Cursors(tools.cursorKey);
  }

  /** One point read and one blob read. Throws `record-not-found`, `integrity-failure`. */
  async get(type: RecordType, tenant: string, id: string): Promise<StoredRecord> {
    const budget = this.#budget();
    return this.#record(type, tenant, await this.recordRow(type, tenant, id, budget), budget);
  }

  /** Like `get`, for whoever is about to write: the detail may come from the cache of this process. */
  async getForWrite(type: RecordType, tenant: string, id: string, budget: Budget): Promise<StoredRecord> {
    return this.ofRow(type, tenant, await this.recordRow(type, tenant, id, budget), budget);
  }

  /** The record of a row that was read already. */
  async ofRow(type: RecordType, tenant: string, row: RecordRow, budget: Budget): Promise<StoredRecord> {
    return this.stored(type, tenant, row, await this.details.readForWrite(type, tenant, row, budget));
  }

  /** The record of a row that was read already, for an answer: the detail comes from its blob. */
  shown(type: RecordType, tenant: string, row: RecordRow, budget: Budget): Promise<StoredRecord> {
    return this.#record(type, tenant, row, budget);
  }

  /** One revision as it was stored. */
  async getRevision(type: RecordType, tenant: string, id: string, revision: number): Promise<StoredRecord> {
    const budget = this.#budget();
    return this.#record(type, tenant, await this.#facts(type, tenant, id, revision, budget), budget);
  }

  /** A revision as it lies there, by default the current one. One point read and one blob read. */
  async getStored(
    type: RecordType,
    tenant: string,
    id: string,
    revision: number | undefined,
  ): Promise<StoredRevision> {
    const budget = this.#budget();
    const facts =
      revision === undefined
        ? await this.recordRow(type, tenant, id, budget)
        : await this.#facts(type, tenant, id, revision, budget);
    const detail = await this.details.read(type, tenant, facts, budget);
    const { stored, secrets } = detail;
    const { hidden } = this.stored(type, tenant, facts, detail);
    const inClear = (hidden?.openings.size ?? 0) > Object.keys(secrets).length;
    return { stored, secrets, eventId: facts.eventId, inClear };
  }

  /**
   * What the row of a revision says. Two point reads at once: whether the record is still there is for its own row to say,
   * and not for what is yet to be cleared of it. Throws `record-not-found`, `record-erased`, `integrity-failure`.
   */
  async #facts(
    type: RecordType,
    tenant: string,
    id: string,
    revision: number,
    budget: Budget,
  ): Promise<RevisionFacts> {
    const [row, facts] = await Promise.all([
      this.#find(type, tenant, id, recordKey(id), budget),
      this.#revision(type, tenant, id, revision, budget),
    ]);
    assertNotDisposed(row, revision);
    if (facts !== undefined) return facts;
    // It never was, or somebody removed it, or it is younger than this read: the record row knows.
    const current = await this.recordRow(type, tenant, id, budget);
    if (revision > current.revision) throw notFound();
    const again = await this.#revision(type, tenant, id, revision, budget);
    if (again === undefined) throw broken(id, revision, REVISION_MISSING);
    return again;
  }

  /** The latest revision with `stored_at` at or before a time. Point reads: 1, or 1 + log2(revisions). */
  async getAsOf(type: RecordType, tenant: string, id: string, asOf: string): Promise<StoredRecord> {
    const budget = this.#budget();
    const current = await this.recordRow(type, tenant, id, budget);
    if (current.storedAt <= asOf) return this.#record(type, tenant, current, budget);
    // stored_at grows with every revision, so the wanted one is found by halving.
    let best: RevisionFacts | undefined;
    let low = current.history?.from ?? 1;
    let high = current.revision - 1;
    while (low <= high) {
      const middle = Math.floor((low + high) / 2);
      const facts = await this.#revision(type, tenant, id, middle, budget);
      if (facts === undefined) throw broken(id, middle, REVISION_MISSING);
      if (facts.storedAt <= asOf) {
        best = facts;
        low = middle + 1;
      } else {
        high = middle - 1;
      }
    }
    // What the record was then is gone, or it was not yet.
    if (best === undefined)
      throw current.history !== undefined && asOf >= current.createdAt ? disposedOf('revision') : notFound();
    return this.#record(type, tenant, best, budget);
  }

  /** Envelopes without data, oldest first, without gaps, from the first that was not disposed of on. One point read and one range read. */
  async listRevisions(
    type: RecordType,
    tenant: string,
    id: string,
    page: { readonly limit: number; readonly cursor?: string | undefined },
  ): Promise<Page<EnvelopeHead>> {
    const budget = this.#budget();
    const query = JSON.stringify(['revisions', tenant, type.collection, id]);
    const range = prefixRange(`v:${id}:`);
    const after = page.cursor === undefined ? undefined : this.#cursors.decode(query, page.cursor).rowKey;
    const ref = await this.locator.locate(type, tenant, id, budget);
    // A record that is not there has no revisions to list: say so instead of an empty page.
    const current = await this.recordRow(type, tenant, id, budget);
    const limit = Math.min(page.limit + 1, LIMITS.rangeRows);
    const from = after === undefined ? revisionKey(id, current.history?.from ?? 1) : keyAfter(after);
    const read = await budget.retry(() =>
      this.tools.ports.tables.range(type.table, partitionKey(tenant, ref.partition), {
        from,
        to: range.to,
        limit,
      }),
    );
    const rows = read.rows.slice(0, page.limit);
    const last = rows.at(-1);
    const more = last !== undefined && (read.more || read.rows.length > rows.length);
    const revisions = rows.map((row) => parseRevisionRow(row, id));
    assertUnbroken(id, revisions, after, more ? 0 : current.revision, current.history?.from ?? 1);
    return {
      items: revisions.map((facts) => envelopeHead(type, tenant, facts)),
      nextCursor: more
        ? this.#cursors.encode(query, { partition: ref.partition, rowKey: last.rowKey })
        : null,
    };
  }

  /** The record row, verified. Throws `record-not-found`, `record-erased`, `integrity-failure`. */
  async recordRow(type: RecordType, tenant: string, id: string, budget: Budget): Promise<RecordRow> {
    const row = await this.#find(type, tenant, id, recordKey(id), budget);
    if (row !== undefined && isTombstone(row)) this.locator.forgetNames(type);
    return parsed(row, id);
  }

  /**
   * Asked when something of a record does not hold together: throws `record-erased` when that is so because it was disposed
   * of meanwhile. Whatever stands in the way of knowing, the failure is then what it was.
   */
  async assertStands(
    type: RecordType,
    tenant: string,
    { id, revision }: { readonly id: string; readonly revision: number },
  ): Promise<void> {
    const budget = this.#budget();
    const row = await this.#find(type, tenant, id, recordKey(id), budget).catch(() => undefined);
    if (row !== undefined && rowIntact(row)) assertNotDisposed(row, revision === 0 ? undefined : revision);
  }

  /** What stands where a record of this id would be. One point read. Throws `integrity-failure`. */
  async placeOf(type: RecordType, tenant: string, id: string, budget: Budget): Promise<Place> {
    const row = await this.#find(type, tenant, id, recordKey(id), budget);
    if (row === undefined) return { kind: 'empty' };
    return isVoid(row) ? { kind: 'void', etag: row.etag } : { kind: 'record' };
  }

  /** A revision whose detail was read or has just been written; how it is shown is for who answers (`shown.ts`). */
  stored(type: RecordType, tenant: string, facts: RevisionFacts, detail: Detail): StoredRecord {
    const envelope = this.#envelope(type, tenant, facts, detail);
    const hidden = hiddenOf(type, detail, envelope.data, this.tools.entropy);
    const etag = revisionEtag(facts.revision, facts.eventId);
    return { envelope, etag, eventId: facts.eventId, ...(hidden === undefined ? {} : { hidden }) };
  }

  #envelope(type: RecordType, tenant: string, facts: RevisionFacts, detail: Detail): Envelope {
    const head = envelopeHead(type, tenant, facts);
    const salts = Object.fromEntries(
      Object.entries(detail.secrets).map(([pointer, secret]) => [pointer, secret.salt]),
    );
    const old = facts.schemaVersion !== type.schemaVersion;
    return {
      ...head,
      schema_version: type.schemaVersion,
      data: upgradeData(type, facts.schemaVersion, detail.data),
      ...(Object.keys(salts).length === 0 ? {} : { salts }),
      ...(old ? { stored_schema_version: facts.schemaVersion } : {}),
    };
  }

  async #record(
    type: RecordType,
    tenant: string,
    facts: RevisionFacts,
    budget: Budget,
  ): Promise<StoredRecord> {
    return this.stored(type, tenant, facts, await this.details.read(type, tenant, facts, budget));
  }

  async #revision(
    type: RecordType,
    tenant: string,
    id: string,
    revision: number,
    budget: Budget,
  ): Promise<RevisionFacts | undefined> {
    const row = await this.#find(type, tenant, id, revisionKey(id, revision), budget);
    return row === undefined ? undefined : parseRevisionRow(row, id);
  }

  async #find(
    type: RecordType,
    tenant: string,
    id: string,
    rowKey: string,
    budget: Budget,
  ): Promise<Row | undefined> {
    const ref = await this.locator.locate(type, tenant, id, budget);
    return budget.retry(() =>
      this.tools.ports.tables.find(ref.table, partitionKey(tenant, ref.partition), rowKey),
    );
  }

  #budget(): Budget {
    return new Budget(this.tools.clock, this.tools.entropy);
  }
}

const REVISION_MISSING = 'revision row missing';

/** Throws `record-erased` for a tombstone, and for a revision of what was disposed of the history. */
function assertNotDisposed(row: Row | undefined, revision: number | undefined): void {
  if (row === undefined) return;
  if (isTombstone(row)) throw disposedOf();
  const from = row.properties['history_from'];
  if (revision !== undefined && typeof from === 'number' && revision < from && rowIntact(row))
    throw disposedOf('revision');
}

function parsed(row: Row | undefined, id: string): RecordRow {
  if (row === undefined || isVoid(row)) throw notFound();
  if (isTombstone(row)) throw disposedOf();
  return parseRecordRow(row, id);
}

/**
 * Revisions are numbered without gaps: a page continues where the one before ended, and the last page reaches at least
 * `upTo`, the revision the record row had when the page was begun. Throws `integrity-failure` where one is missing.
 */
function assertUnbroken(
  id: string,
  page: readonly RevisionFacts[],
  after: string | undefined,
  upTo: number,
  first: number,
): void {
  let expected = after === undefined ? first : Number(after.slice(after.lastIndexOf(':') + 1)) + 1;
  for (const { revision } of page) {
    if (revision !== expected) throw broken(id, expected, REVISION_MISSING);
    expected += 1;
  }
  if (expected <= upTo) throw broken(id, expected, REVISION_MISSING);
}
