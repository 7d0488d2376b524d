import pLimit from 'p-limit';
import { acceptCreate, acceptPut, type RecordName } from '../domain/apply-change.js';
import { AppError, isAppError } from '../domain/errors.js';
import type { EnvelopeHead } from '../domain/envelope.js';
import type { RecordData, RecordType } from '../domain/record-type.js';
import { Budget } from './backoff.js';
import { actionChange, patchChange } from './change.js';
import type { Lineage, LineageQuery } from './lineage-reader.js';
import { partsOfManager, type ManagerParts } from './manager-parts.js';
import type {
  CallContext,
  IntegrityFinding,
  ListQuery,
  Page,
  StorageManagerOptions,
  StoredRecord,
  StoredRevision,
  SummaryPage,
  WrittenBatch,
  WrittenRecord,
} from './manager-types.js';
import type { PartsQuery, ShownPart } from './part-lister.js';
import { assertLimit } from './page-limit.js';
import { partsOf, wayTo } from './part-reader.js';
import { acceptedOnce, type PutCondition } from './put-writer.js';
import type { SeriesQuery } from './series-reader.js';
import { integrityPlace } from './record-row.js';
import { shownTo } from './shown.js';
import type { CacheCounts } from './timed-cache.js';

/**
 * All persistence of records goes through here (REQ-STO-002), for every declared type alike. Usable without HTTP.
 * Every method throws AppError: what the code says is in `docs/errors.md`. Whatever does not hold together on a read is
 * audited and answered `integrity-failure`; other records are not touched by it. Answers show sensitive values, and their
 * salts, only to a caller with `maySeeSensitive`; to anybody else they show commitments.
 */
export class UnifiedStorageManager {
  readonly #on: ManagerParts;

  constructor(protected readonly options: StorageManagerOptions) {
    this.#on = partsOfManager(options);
  }

  /** What disposes of records; for jobs of the lifecycle, which ask for legal holds first. */
  get disposal(): ManagerParts['disposal'] {
    return this.#on.disposal;
  }

  /** Stores a new record from the body of a create; the platform makes the id. */
  async create(type: RecordType, body: unknown, call: CallContext): Promise<WrittenRecord> {
    const accepted = acceptCreate(type, body, this.options.clock.now());
    return this.#answered(type, call, () => this.#on.writer.create(type, accepted, call));
  }

  /** Stores the record of an operation, whose id and time were fixed when it was accepted; repeating is harmless. */
  async createPromised(
    type: RecordType,
    body: unknown,
    promised: { readonly id: string; readonly createdMs: number },
    call: CallContext,
  ): Promise<WrittenRecord> {
    const accepted = { ...acceptCreate(type, body, promised.createdMs), createdMs: promised.createdMs };
    const write = () => this.#on.writer.create(type, accepted, call, { fixed: { id: promised.id } });
    return this.#answered(type, call, () => this.#on.reads.writing(type, call.tenant, promised.id, write));
  }

  /** Stores up to 100 new records (REQ-STO-020). */
  async createBatch(type: RecordType, bodies: readonly unknown[], call: CallContext): Promise<WrittenBatch> {
    return this.#audited(type, call, () => this.#on.batches.create(type, bodies, call));
  }

  /** The current revision of a record; of a type that is kept in memory one that was it lately, and frozen. */
  async get(type: RecordType, id: string, call: CallContext): Promise<StoredRecord> {
    return this.#answered(type, call, () => this.#current(type, id, call));
  }

  /** The latest revision with `stored_at` at or before `asOf` (RFC 3339 in UTC with milliseconds). */
  async getAsOf(type: RecordType, id: string, asOf: string, call: CallContext): Promise<StoredRecord> {
    return this.#answered(type, call, () => this.#on.reader.getAsOf(type, call.tenant, id, asOf));
  }

  /** One revision as it was stored; revisions count from 1. */
  async getRevision(
    type: RecordType,
    id: string,
    revision: number,
    call: CallContext,
  ): Promise<StoredRecord> {
    return this.#answered(type, call, () => this.#on.reader.getRevision(type, call.tenant, id, revision));
  }

  /** A revision as it lies there, for whoever proves it; the current one unless another is named. */
  async getStored(
    type: RecordType,
    id: string,
    revision: number | undefined,
    call: CallContext,
  ): Promise<StoredRevision> {
    return this.#audited(type, call, () => this.#on.reader.getStored(type, call.tenant, id, revision));
  }

  /** Revisions of a record, oldest first, without data. `limit` 1 to 1,000. */
  async listRevisions(
    type: RecordType,
    id: string,
    page: { readonly limit: number; readonly cursor?: string | undefined },
    call: CallContext,
  ): Promise<Page<EnvelopeHead>> {
    assertLimit(page.limit);
    return this.#audited(type, call, () => this.#on.reader.listRevisions(type, call.tenant, id, page));
  }

  /** Summaries of records, newest first. `limit` 1 to 1,000. A page may be short; only a null cursor ends the list. */
  async list(type: RecordType, query: ListQuery, call: CallContext): Promise<SummaryPage> {
    assertLimit(query.limit);
    const found: IntegrityFinding[] = [];
    const page = await this.#audited(type, call, () => this.#on.lister.list(type, call.tenant, query, found));
    for (const finding of found) await this.#report(finding, call);
    return page;
  }

  /**
   * What a record is derived from (`up`) or what is derived from it (`down`), across types, `depth` 1 to 10 steps. Bounded
   * and safe from cycles; what is linked to and not there is marked. Throws `record-not-found`.
   */
  async lineage(type: RecordType, id: string, query: LineageQuery, call: CallContext): Promise<Lineage> {
    const found: IntegrityFinding[] = [];
    const lineage = await this.#audited(type, call, () => this.#on.lineage.read(type, call.tenant, id, query, found)); // prettier-ignore
    for (const finding of found) await this.#report(finding, call);
    return lineage;
  }

  /** JSON merge patch; `ifMatch` is the ETag that was read and is required. */
  async patch(
    type: RecordType,
    id: string,
    patch: unknown,
    ifMatch: string | undefined,
    call: CallContext,
  ): Promise<WrittenRecord> {
    return this.#answered(type, call, async () => {
      const write = () => this.#on.writer.change(type, id, patchChange(type, patch, ifMatch), call);
      const record = await this.#on.reads.writing(type, call.tenant, id, write);
      const { eventId, replayed } = record;
      return { ...(await this.#complete(type, call, record)), eventId, replayed };
    });
  }

  /** A typed action, e.g. `votes` of a decision. Without `ifMatch` concurrent actions all land. */
  async act(
    type: RecordType,
    id: string,
    action: string,
    body: unknown,
    ifMatch: string | undefined,
    call: CallContext,
  ): Promise<WrittenRecord> {
    const change = actionChange(type, action, body, ifMatch);
    const write = () => this.#on.writer.change(type, id, change, call);
    return this.#answered(type, call, () => this.#on.reads.writing(type, call.tenant, id, write));
  }

  /**
   * Adds to the parts of a record, e.g. a step of a workflow execution; `path` is that of the parts or of another way to
   * add to them. Resolves to the record after it, with all entries while they are few, else with the one that was added.
   */
  async addPart(
    type: RecordType,
    id: string,
    path: string,
    body: unknown,
    ifMatch: string | undefined,
    call: CallContext,
  ): Promise<WrittenRecord> {
    const way = wayTo(type, path);
    const write = () => this.#on.partWriter.add(type, way, id, body, ifMatch, call);
    return this.#answered(type, call, () => this.#on.reads.writing(type, call.tenant, id, write));
  }

  /** Every entry of a record's parts in the order they were added. `limit` 1 to 1,000. */
  async listParts(
    type: RecordType,
    id: string,
    path: string,
    page: PartsQuery,
    call: CallContext,
  ): Promise<Page<ShownPart>> {
    const parts = partsOf(type, path);
    assertLimit(page.limit);
    const budget = new Budget(this.options.clock, this.options.entropy);
    return this.#audited(type, call, () => this.#on.partLister.list(type, parts, { ...call, id }, page, budget)); // prettier-ignore
  }

  /** Values of a record's series, the oldest first, as they are or rolled up by hour or day. `limit` 1 to 1,000. */
  async listValues(
    type: RecordType,
    id: string,
    path: string,
    query: SeriesQuery,
    call: CallContext,
  ): Promise<Page<RecordData>> {
    const parts = partsOf(type, path);
    const { series } = parts;
    if (series === undefined) throw new AppError('record-not-found', 'There is nothing at this address.');
    assertLimit(query.limit);
    const budget = new Budget(this.options.clock, this.options.entropy);
    return this.#audited(type, call, async () => {
      await this.#on.reader.recordRow(type, call.tenant, id, budget);
      return this.#on.seriesReader.list(type, { ...parts, series }, call.tenant, id, query);
    });
  }

  /**
   * Stores a record anew in the current schema version where it is in an older one, as a revision of its own; with
   * `dryRun` only says whether that would succeed. False when there is nothing to do. Throws `record-not-found`,
   * `record-invalid`, `internal-error`, `integrity-failure`; the record is then left as it is.
   */
  async migrate(type: RecordType, id: string, dryRun: boolean, call: CallContext): Promise<boolean> {
    const write = () => this.#on.migrator.migrate(type, id, dryRun, call);
    return this.#audited(type, call, () => this.#on.reads.writing(type, call.tenant, id, write));
  }

  /**
   * Whatever follows from a record's parts brought up to date: samples and rollups of a series, or the append blobs that
   * entries move to, in at most so many `rounds` of a bounded number of entries, by default to the end. Resolves to how
   * many entries that took. Repeating it, or several at once, is harmless. Damage is reported.
   */
  digestParts(type: RecordType, tenant: string, id: string, rounds?: number): Promise<number> {
    const { digest, stream } = this.#on;
    const call = { tenant, actor: 'digest', correlationId: 'digest' };
    const digester = type.parts?.series === undefined ? stream : digest;
    return this.#audited(type, call, () => digester.run(type, tenant, id, rounds));
  }

  /**
   * Brings lists in line with records whose index rows are not written with them, and costs nothing for any other: the
   * sealer asks for it before it forgets their events. What is damaged is reported and stops nobody. Throws
   * `storage-unavailable`.
   */
  async followChanges(
    type: RecordType,
    tenant: string,
    changes: readonly { readonly id: string; readonly revision: number }[],
  ): Promise<void> {
    const call = { tenant, actor: 'sealer', correlationId: 'sealer' };
    const limit = pLimit(8);
    const follow = async (change: (typeof changes)[number]): Promise<void> => {
      try {
        await this.#audited(type, call, () => this.#on.lists.refresh(type, tenant, change));
      } catch (error) {
        if (!isAppError(error, 'integrity-failure')) throw error;
      }
    };
    await Promise.all(changes.map((change) => limit(() => follow(change))));
  }

  /**
   * A declared view of the current revision, e.g. `ledger` of a covenant, and the entity tag of what it is made from: the
   * record as the caller may see it, so that a view tells nobody more than the record does.
   */
  async getView(
    type: RecordType,
    id: string,
    path: string,
    call: CallContext,
  ): Promise<StoredRecord & { readonly view: Readonly<Record<string, unknown>> }> {
    const view = Object.hasOwn(type.views ?? {}, path) ? type.views?.[path] : undefined;
    if (view === undefined) throw new AppError('record-not-found', 'There is nothing at this address.');
    const record = await this.get(type, id, call);
    return { ...record, view: view(record.envelope.data) };
  }

  /** Hits and misses of reads by record type, and of tenants' configurations, since this process began. */
  cacheStatistics(): Readonly<Record<string, Readonly<CacheCounts>>> {
    const { configurations } = this.options;
    const other = configurations === undefined ? {} : { tenant_configuration: configurations.statistics() };
    return { ...this.#on.reads.statistics(), ...other };
  }

  #current(type: RecordType, id: string, call: CallContext): Promise<StoredRecord> {
    const load = async () => this.#complete(type, call, await this.#on.reader.get(type, call.tenant, id));
    return this.#on.reads.read(type, id, call, load);
  }

  async #complete(type: RecordType, call: CallContext, record: StoredRecord): Promise<StoredRecord> {
    const budget = new Budget(this.options.clock, this.options.entropy);
    return this.#on.partReader.complete(type, call.tenant, record, budget);
  }

  /** The current revision of the record that has a name. Throws `record-not-found`. */
  async getNamed(type: RecordType, at: RecordName, call: CallContext): Promise<StoredRecord> {
    return this.#answered(type, call, async () => this.#current(type, await this.#on.puts.idOf(type, at, call), call)); // prettier-ignore
  }

  /** The record that had a name, as it stood at a time (RFC 3339 in UTC with milliseconds). */
  async getNamedAsOf(
    type: RecordType,
    at: RecordName,
    asOf: string,
    call: CallContext,
  ): Promise<StoredRecord> {
    return this.#answered(type, call, async () =>
      this.#on.reader.getAsOf(type, call.tenant, await this.#on.puts.idOf(type, at, call), asOf),
    );
  }

  /**
   * Creates or replaces the record of a name. `created` tells which. With `ifMatch` it replaces that revision alone,
   * with `onlyNew` it creates or throws `version-conflict`.
   */
  async put(
    type: RecordType,
    at: RecordName,
    body: unknown,
    condition: PutCondition,
    call: CallContext,
  ): Promise<WrittenRecord & { readonly created: boolean }> {
    const accept = acceptedOnce(() => acceptPut(type, at, body, this.options.clock.now()));
    return this.#answered(type, call, () => this.#on.puts.put(type, at, accept, condition, call));
  }

  /** Like `#audited`, for what is answered with a record: sensitive values are shown to who may see them. */
  async #answered<T extends StoredRecord>(type: RecordType, call: CallContext, work: () => Promise<T>) {
    return shownTo(call, await this.#audited(type, call, work));
  }

  async #audited<T>(type: RecordType, call: CallContext, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const place = integrityPlace(error);
      if (place !== undefined) {
        await this.#on.reader.assertStands(type, call.tenant, place);
        await this.#report({ recordType: type.recordType, ...place }, call);
      }
      throw error;
    }
  }

  async #report(finding: IntegrityFinding, call: CallContext): Promise<void> {
    try {
      await this.options.onIntegrityFailure?.(finding, call);
    } catch {
      // The caller is told about the damage either way; the auditor logs its own failure.
    }
  }
}
