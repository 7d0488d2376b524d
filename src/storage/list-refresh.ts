import { LRUCache } from 'lru-cache';
import pLimit from 'p-limit';
import { isAppError } from '../domain/errors.js';
import { LIMITS } from '../domain/limits.js';
import type { RecordType } from '../domain/record-type.js';
import { Budget } from './backoff.js';
import { blindColumnsIn } from './blinds.js';
import type { PartitionRef } from './directory.js';
import { listedKey, partitionKey, recordKey } from './keys.js';
import type { StorageManagerOptions } from './manager-types.js';
import { isFault, type Properties, type RowOperation } from './ports.js';
import { listPartition, placeOf } from './record-location.js';
import { broken, parseRecordRow, summaryOf } from './record-row.js';
import { rowIntact, withRowChecksum } from './row-checksum.js';
import { isVoid } from './void-row.js';

const REMEMBERED = 50_000;
const AT_ONCE = 8;

/** How a revision of a record is listed, as its row says. */
interface Listing {
  readonly id: string;
  readonly revision: number;
  readonly indexKeys: readonly string[];
  /** Columns of each index row. */
  readonly columns: Properties;
}

/**
 * Keeps the index rows of records that have a partition of their own: they lie together in another one, so they cannot
 * be in a record's commit and follow it. Whoever committed writes them before it answers; where it died or storage did
 * not answer, the sealer does, because the pending event was in the commit and is not cleared before they are
 * (`audit/finish-stage.ts`). The row `s:<id>` says which revision is listed and by which rows; it is written with them
 * under its ETag and never goes back, so that a slow writer cannot put an older summary in the place of a newer one.
 */
export class ListRefresh {
  /** Revisions that are listed at least; saves reads, and is never wrong, because `s:` never goes back. */
  readonly #listed = new LRUCache<string, number>({ max: REMEMBERED });

  constructor(private readonly tools: StorageManagerOptions) {}

  /**
   * Lists what a transaction has just committed: 1 transaction for up to 100 rows of new records, 1 point read and 1
   * transaction for a change. The commit stands whatever becomes of it, so trouble is left to the sealer. Nothing for
   * types whose index rows were in the transaction.
   */
  async committed(type: RecordType, tenant: string, operations: readonly RowOperation[]): Promise<void> {
    const at = listPartition(type, tenant);
    if (at === undefined) return;
    const listings = operations.flatMap((operation) =>
      operation.rowKey.startsWith('r:') && 'properties' in operation
        ? [listingOf(type, operation.properties)]
        : [],
    );
    await leftToTheSealer(() => this.#write(at, listings, this.#budget(LIMITS.listRefreshMs)));
  }

  /** Lists records that were committed by an earlier attempt; free where this process knows that they are. */
  async caughtUp(
    type: RecordType,
    tenant: string,
    records: readonly { readonly id: string; readonly revision: number }[],
  ): Promise<void> {
    if (listPartition(type, tenant) === undefined) return;
    const limit = pLimit(AT_ONCE);
    await leftToTheSealer(() => Promise.all(records.map((record) => limit(() => this.refresh(type, tenant, record, LIMITS.listRefreshMs))))); // prettier-ignore
  }

  /**
   * Lists a record as its row says that it is now; free where this process knows that `revision` is listed, else two
   * point reads, and a transaction where something is out of date. Throws `storage-unavailable`, `integrity-failure`.
   */
  async refresh(
    type: RecordType,
    tenant: string,
    { id, revision }: { readonly id: string; readonly revision: number },
    withinMs: number = LIMITS.storageBudgetMs,
  ): Promise<void> {
    const at = listPartition(type, tenant);
    if (at === undefined || (this.#listed.get(`${tenant}/${id}`) ?? 0) >= revision) return;
    const budget = this.#budget(withinMs);
    const ref = placeOf(type, tenant, id, {});
    const key = partitionKey(tenant, ref.partition);
    const row = await budget.retry(() => this.tools.ports.tables.find(ref.table, key, recordKey(id)));
    if (row === undefined || isVoid(row)) throw broken(id, revision, 'row missing');
    parseRecordRow(row, id);
    await this.#bring(at, listingOf(type, row.properties), budget);
  }

  async #write(at: PartitionRef, listings: readonly Listing[], budget: Budget): Promise<void> {
    const fresh = listings.filter(({ revision }) => revision === 1);
    for (const chunk of chunksOf(fresh)) {
      const operations = chunk.flatMap((listing) => listingOperations(at, listing, undefined, []));
      try {
        await this.#commit(at, operations, budget);
        for (const listing of chunk) this.#remember(at, listing);
      } catch (error) {
        // Some of them are listed already: by the sealer, or by this very call, whose answer was lost.
        if (!isFault(error, 'exists')) throw error;
        for (const listing of chunk) await this.#bring(at, listing, budget);
      }
    }
    for (const listing of listings) if (listing.revision > 1) await this.#bring(at, listing, budget);
  }

  /** Lists one record, unless this revision or a later one is listed already. */
  async #bring(at: PartitionRef, listing: Listing, budget: Budget): Promise<void> {
    const { tables } = this.tools.ports;
    const key = partitionKey(at.tenant, at.partition);
    const find = (rowKey: string) => budget.retry(() => tables.find(at.table, key, rowKey));
    for (let gaps = false; ;) {
      const row = await find(listedKey(listing.id));
      if (row !== undefined && !rowIntact(row)) throw broken(listing.id, listing.revision, 'list row');
      if (Number(row?.properties['revision'] ?? 0) >= listing.revision) break;
      const named = JSON.parse(String(row?.properties['index_keys'] ?? '[]')) as string[];
      let stale = named.filter((rowKey) => !listing.indexKeys.includes(rowKey));
      if (gaps) {
        const rows = await Promise.all(stale.map(find));
        stale = stale.filter((_, number) => rows[number] !== undefined);
      }
      try {
        await this.#commit(at, listingOperations(at, listing, row?.etag, stale), budget);
        break;
      } catch (error) {
        if (!isFault(error, 'exists', 'conflict', 'missing')) throw error;
        // Somebody listed the record meanwhile; or an index row is gone, and need not be deleted.
        gaps = isFault(error, 'missing');
        await budget.pause(error, 5, 250);
      }
    }
    this.#remember(at, listing);
  }

  async #commit(at: PartitionRef, operations: readonly RowOperation[], budget: Budget): Promise<void> {
    const { ports, directory } = this.tools;
    await budget.retry(() => directory.register(at));
    const key = partitionKey(at.tenant, at.partition);
    await budget.retry(() => ports.tables.commit(at.table, key, operations));
  }

  #remember({ tenant }: PartitionRef, { id, revision }: Listing): void {
    const name = `${tenant}/${id}`;
    this.#listed.set(name, Math.max(revision, this.#listed.get(name) ?? 0));
  }

  #budget(ms: number): Budget {
    return new Budget(this.tools.clock, this.tools.entropy, ms);
  }
}

/** From the columns of a record row. */
function listingOf(type: RecordType, properties: Properties): Listing {
  return {
    id: String(properties['id']),
    revision: Number(properties['revision']),
    indexKeys: JSON.parse(String(properties['index_keys'])) as string[],
    columns: { ...summaryOf(type, { properties }), ...blindColumnsIn(type, properties) },
  };
}

/** The rows of one record, and the one that says which they are; `etag` is that of the one to be replaced. */
function listingOperations(
  at: PartitionRef,
  { id, revision, indexKeys, columns }: Listing,
  etag: string | undefined,
  stale: readonly string[],
): readonly RowOperation[] {
  const key = partitionKey(at.tenant, at.partition);
  const rowKey = listedKey(id);
  const listed = { schema_version: '1.0', id, revision, index_keys: JSON.stringify(indexKeys) };
  const properties = withRowChecksum(key, rowKey, listed);
  return [
    etag === undefined
      ? { kind: 'insert', rowKey, properties }
      : { kind: 'replace', rowKey, properties, etag },
    ...indexKeys.map((name): RowOperation => {
      return { kind: 'upsert', rowKey: name, properties: withRowChecksum(key, name, columns) };
    }),
    ...stale.map((name): RowOperation => ({ kind: 'delete', rowKey: name, etag: '*' })),
  ];
}

/** As many as one transaction takes. */
function* chunksOf(listings: readonly Listing[]): Generator<readonly Listing[]> {
  let chunk: Listing[] = [];
  let rows = 0;
  for (const listing of listings) {
    const size = 1 + listing.indexKeys.length;
    if (rows + size > LIMITS.transactionRows) {
      yield chunk;
      chunk = [];
      rows = 0;
    }
    chunk.push(listing);
    rows += size;
  }
  if (chunk.length > 0) yield chunk;
}

async function leftToTheSealer(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isAppError(error) && !isFault(error)) throw error;
  }
}
