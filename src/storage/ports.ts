/**
 * The three ports through which the platform speaks to storage, split by guarantee. Their docstrings are the
 * contract; `test/contract/` holds every implementation to it. Implementations never retry: the budget is spent in
 * one place, `storage/backoff.ts`. Besides the faults that a call names, any call may throw `refused`.
 */

/** A property of a row. Numbers are integers up to 2^53 or doubles; a string holds at most 32,768 UTF-16 units. */
export type Property = string | number | boolean;
export type Properties = Readonly<Record<string, Property>>;

export interface Row {
  readonly partitionKey: string;
  readonly rowKey: string;
  /** Opaque version of the row; changes with every write. */
  readonly etag: string;
  /** The service's clock at the last write, milliseconds since 1970. */
  readonly timestampMs: number;
  readonly properties: Properties;
}

/** One step of a transaction. `etag: '*'` means "whatever its version is, but it must exist". */
export type RowOperation =
  | { readonly kind: 'insert'; readonly rowKey: string; readonly properties: Properties }
  | {
      readonly kind: 'replace';
      readonly rowKey: string;
      readonly properties: Properties;
      readonly etag: string;
    }
  | {
      readonly kind: 'merge';
      readonly rowKey: string;
      readonly properties: Properties;
      readonly etag: string;
    }
  | { readonly kind: 'upsert'; readonly rowKey: string; readonly properties: Properties }
  | { readonly kind: 'delete'; readonly rowKey: string; readonly etag: string };

export interface RangeQuery {
  /** First row key of the range, inclusive. */
  readonly from: string;
  /** End of the range, exclusive. */
  readonly to: string;
  /** At most this many rows, 1 to 1,000. */
  readonly limit: number;
}

export interface RangePage {
  /** Ascending by row key (ordinal comparison of UTF-16 units). */
  readonly rows: readonly Row[];
  /**
   * False when no row of the range is left after these. When true, `rows` is not empty and the next page begins after
   * the last of them; it may turn out empty.
   */
  readonly more: boolean;
}

/**
 * Strongly consistent rows. Compare-and-swap by ETag; a transaction is atomic within one partition of one table (at
 * most 100 rows, 4 MiB encoded, an entity 1 MiB, a property 64 KiB; all four are checked before anything is sent).
 * A range read is ordered but is not a snapshot: rows committed while it runs may or may not be seen.
 */
export interface RecordTable {
  /** One point read. Undefined when there is no such row. Faults: unavailable. */
  find(table: string, partitionKey: string, rowKey: string): Promise<Row | undefined>;
  /** One range read, one request; it may return fewer rows than asked with `more: true`. Faults: unavailable. */
  range(table: string, partitionKey: string, query: RangeQuery): Promise<RangePage>;
  /**
   * Applies all operations or none, in one request; resolves to the new ETags in order (empty string for a delete).
   * Faults: `exists` (an insert met a row), `conflict` (an ETag moved), `missing` (replace, merge or delete of a row
   * that is not there), `too-large` (a limit, a key no row can have, a row named twice; nothing was sent),
   * `unavailable` (it may or may not have happened).
   */
  commit(
    table: string,
    partitionKey: string,
    operations: readonly RowOperation[],
  ): Promise<readonly string[]>;
}

export interface BlobContent {
  readonly bytes: Uint8Array;
  readonly etag: string;
}

export interface AppendState {
  /** Bytes in the blob. */
  readonly length: number;
  readonly sealed: boolean;
}

export type BlobTier = 'hot' | 'cool' | 'archive';
/** How soon a copy of an archived blob is wanted: on Azure within 15 hours, or mostly within one. */
export type RehydratePriority = 'standard' | 'high';

export interface BlockState {
  /** Bytes in the blob; of a copy that is under way, what the service says of it. */
  readonly length: number;
  readonly tier: BlobTier;
  /** Of a copy that is not there yet: it is under way, or came to nothing. Absent for every other blob. */
  readonly copy?: 'pending' | 'failed';
}

/**
 * Blobs, used in three ways that never mix on one name: write-once objects, append streams, and compare-and-swap
 * objects. Strongly consistent: what one call wrote the next call reads, in any process.
 */
export interface BlobStore {
  /** Creates a block blob that nobody will change. Faults: `exists`, `unavailable`. Resolves to its ETag. */
  putOnce(container: string, name: string, bytes: Uint8Array, contentType: string): Promise<string>;
  /**
   * Compare-and-swap: creates when `etag` is undefined, else replaces that version. Resolves to the new ETag.
   * Faults: `exists` (create), `conflict` (the version moved), `missing` (replace of nothing), `unavailable`.
   */
  swap(container: string, name: string, bytes: Uint8Array, etag: string | undefined): Promise<string>;
  /**
   * The whole blob, or `length` bytes from `offset`, fewer when the blob ends before; undefined when there is none.
   * Faults: `archived`, `range` (it begins beyond the end), `unavailable`.
   */
  find(
    container: string,
    name: string,
    range?: { readonly offset: number; readonly length: number },
  ): Promise<BlobContent | undefined>;
  /** Creates an empty append blob. Faults: `exists`, `unavailable`. */
  createAppend(container: string, name: string): Promise<void>;
  /**
   * Appends one block, at most 4 MiB, only if the blob is exactly `position` bytes long.
   * Faults: `position` (it is longer or shorter), `sealed`, `missing`, `too-large`, `unavailable`.
   */
  append(container: string, name: string, bytes: Uint8Array, position: number): Promise<void>;
  /** Makes an append blob read-only for ever; sealing a sealed one is harmless. Faults: `missing`, `unavailable`. */
  seal(container: string, name: string): Promise<void>;
  /** Length and seal of an append blob; undefined when there is none. Faults: `unavailable`. */
  appendState(container: string, name: string): Promise<AppendState | undefined>;
  /**
   * Keeps a block, at most 4 MiB, for a block blob that is yet to be: `commitBlocks` makes it of those that it names, and
   * what is never named is gone after a week. A second block of an id stands for the first; the ids of one blob are all of
   * one length, up to 48 ASCII characters. Faults: `too-large`, `unavailable`.
   */
  stageBlock(container: string, name: string, blockId: string, bytes: Uint8Array): Promise<void>;
  /**
   * Creates a block blob of blocks that were staged, in this order; nobody will change it.
   * Faults: `exists`, `missing` (one was not staged), `unavailable`.
   */
  commitBlocks(
    container: string,
    name: string,
    blockIds: readonly string[],
    contentType: string,
  ): Promise<void>;
  /** One page of names that begin with `prefix`, ascending; `next` continues after the page. Faults: `unavailable`. */
  list(
    container: string,
    prefix: string,
    next?: string,
  ): Promise<{ readonly names: readonly string[]; readonly next?: string }>;
  /** Deletes a blob; deleting nothing is harmless. Faults: `unavailable`. */
  delete(container: string, name: string): Promise<void>;
  /**
   * Moves a block blob to a tier; again to the one it is in is harmless. What is in the archive tier cannot be read, and
   * is not brought back by this: see `copyToHot`. Faults: `missing`, `unavailable`.
   */
  setTier(container: string, name: string, tier: BlobTier): Promise<void>;
  /**
   * Begins to copy a block blob of any tier to a new one in the hot tier; the one it is made from stays what it is. From
   * the archive tier it may take hours: `blockState` says how far it is, and until then reading the copy is `archived`.
   * Faults: `exists` (there is a blob, or a copy under way, of that name), `missing` (nothing to copy), `unavailable`.
   */
  copyToHot(container: string, from: string, to: string, priority: RehydratePriority): Promise<void>;
  /** Tier and length of a block blob; undefined when there is none. Faults: `unavailable`. */
  blockState(container: string, name: string): Promise<BlockState | undefined>;
  /**
   * Takes the lease of a blob for `seconds` (15 to 60), making the blob if need be; undefined when somebody else
   * holds it. Thrift, never safety. Faults: `unavailable`.
   */
  acquireLease(container: string, name: string, seconds: number): Promise<string | undefined>;
  /** Gives a lease back; harmless when it is lost already. Faults: `unavailable`. */
  releaseLease(container: string, name: string, leaseId: string): Promise<void>;
}

export interface QueueMessage {
  readonly id: string;
  readonly receipt: string;
  /** The decoded text, as it was sent. */
  readonly text: string;
  /** 1 on the first delivery. */
  readonly dequeueCount: number;
  readonly insertedMs: number;
}

/**
 * Messages delivered at least once; duplicates and reordering are normal. Text is carried as base64 (the Azure
 * Functions default) and never expires.
 */
export interface WorkQueue {
  /** Faults: `too-large` (over 64 KiB once encoded; nothing was sent), `unavailable`. */
  send(queue: string, text: string, options?: { readonly delayS?: number }): Promise<void>;
  /** Up to `limit` (1 to 32) messages, hidden from others for `hiddenS` seconds. Faults: `unavailable`. */
  receive(
    queue: string,
    options: { readonly limit: number; readonly hiddenS: number },
  ): Promise<readonly QueueMessage[]>;
  /** Removes a received message; false when the receipt is no longer valid. Faults: `unavailable`. */
  remove(queue: string, message: Pick<QueueMessage, 'id' | 'receipt'>): Promise<boolean>;
  /** Makes a received message visible after `delayS` seconds; the receipt is used up. False when it was no longer valid. */
  defer(queue: string, message: Pick<QueueMessage, 'id' | 'receipt'>, delayS: number): Promise<boolean>;
  /**
   * Keeps a received message hidden for `hiddenS` seconds from now and resolves to its new receipt; undefined when the
   * receipt was no longer valid. Faults: `unavailable`.
   */
  renew(
    queue: string,
    message: Pick<QueueMessage, 'id' | 'receipt'>,
    hiddenS: number,
  ): Promise<string | undefined>;
}

export interface StoragePorts {
  readonly tables: RecordTable;
  readonly blobs: BlobStore;
  readonly queues: WorkQueue;
}

export type StorageFaultKind =
  | 'exists'
  | 'conflict'
  | 'missing'
  | 'position'
  | 'sealed'
  | 'archived'
  | 'range'
  | 'too-large'
  | 'unavailable'
  | 'refused';

/**
 * The only error a port throws. `unavailable` is the ambiguous one: the call may have happened (timeouts, resets,
 * 5xx, throttling). `refused` is the service saying no for good (403, a missing table): never a missing row, never
 * retried.
 */
export class StorageFault extends Error {
  override readonly name = 'StorageFault';
  constructor(
    readonly kind: StorageFaultKind,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** True for a StorageFault, of one of `kinds` if any are given. */
export function isFault(error: unknown, ...kinds: readonly StorageFaultKind[]): error is StorageFault {
  return error instanceof StorageFault && (kinds.length === 0 || kinds.includes(error.kind));
}
