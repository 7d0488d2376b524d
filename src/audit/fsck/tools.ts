import { LRUCache } from 'lru-cache';
import type { BlindIndex } from '../../domain/blind-index.js';
import type { Clock, Entropy } from '../../domain/clock.js';
import type { SecretBox } from '../../domain/commitment.js';
import { parseId } from '../../domain/ids.js';
import type { RecordType } from '../../domain/record-type.js';
import { Budget } from '../../storage/backoff.js';
import type { Directory, PartitionRef } from '../../storage/directory.js';
import { packKey, partitionKey } from '../../storage/keys.js';
import { packUuidOf, parsePackRow, type StoredPack } from '../../storage/pack-rows.js';
import { keyAfter } from '../../storage/range.js';
import type { RangePage, Row, StoragePorts } from '../../storage/ports.js';
import { RecordLocator } from '../../storage/record-locator.js';
import { rowIntact } from '../../storage/row-checksum.js';
import { rowsByKeys } from '../../storage/rows-by-keys.js';
import type { LogKeys } from '../log-keys.js';
import { retriedStreams, type StreamBlobs } from '../stream-lines.js';
import { LogLeaves } from './log-leaves.js';

/** What a check works with. */
export interface FsckTools {
  readonly ports: StoragePorts;
  readonly directory: Directory;
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** Tenants that have a key, after one; up to `limit`, ascending. */
  readonly keyedTenantsAfter: (after: string | undefined, limit: number) => Promise<readonly string[]>;
  readonly types: readonly RecordType[];
  readonly vkeys: LogKeys['vkeys'];
  readonly secretBox: SecretBox;
  readonly blindIndex: BlindIndex;
  /** Seals, or finishes sealing, what is pending of a tenant: how a checkpoint is made anew. */
  readonly seal: (tenant: string) => Promise<{ readonly busy: boolean }>;
  /** Whether sealed values are opened too. */
  readonly open: boolean;
}

/** Each has the names of its members: 2,000 at most. */
const PACKS_KEPT = 8;
/** Rows of a range read along keys. */
const KEYS_PAGE = 100;
/** Calls of storage at once. */
export const AT_ONCE = 8;

/** Storage as checks read it: every call within a budget of its own. Throws `storage-unavailable`. */
export class Reads {
  readonly leaves: LogLeaves;
  readonly locator: RecordLocator;
  /** What is in the directory stays there. */
  readonly #listed = new LRUCache<string, true>({ max: 1000 });

  /** Rows of packs by their blobs: many revisions are in one. */
  readonly #packs = new LRUCache<string, { readonly pack: StoredPack | undefined }>({ max: PACKS_KEPT });

  readonly #begunMs: number;

  constructor(readonly tools: FsckTools) {
    this.#begunMs = tools.clock.now();
    this.leaves = new LogLeaves(tools);
    this.locator = new RecordLocator(tools.ports.tables);
  }

  budget(): Budget {
    return new Budget(this.tools.clock, this.tools.entropy);
  }

  /** One point read. */
  row(table: string, key: string, rowKey: string): Promise<Row | undefined> {
    return this.budget().retry(() => this.tools.ports.tables.find(table, key, rowKey));
  }

  /** What the row of a pack says, by the name of its blob; undefined for none and for a row that was altered. One point read, until `forget`. */
  async pack(ref: PartitionRef, blob: string): Promise<StoredPack | undefined> {
    const known = this.#packs.get(blob);
    if (known !== undefined) return known.pack;
    const uuid = packUuidOf(blob);
    const row = uuid === undefined ? undefined : await this.row(ref.table, keyOf(ref), packKey(uuid));
    const pack = row === undefined || !rowIntact(row) ? undefined : parsePackRow(row);
    this.#packs.set(blob, { pack });
    return pack;
  }

  /** Forgets what may have changed since it was read. */
  forget(): void {
    this.leaves.forget();
    this.#packs.clear();
  }

  /** How a partition is in the directory. Two point reads, until it is listed. */
  async listing(ref: PartitionRef): Promise<'listed' | 'missing' | 'altered'> {
    const name = `${keyOf(ref)} ${ref.table}`;
    if (this.#listed.has(name)) return 'listed';
    const state = await this.budget().retry(() => this.tools.directory.stateOf(ref));
    if (state === 'listed') this.#listed.set(name, true);
    return state;
  }

  /** Whether an id was made after this check began: it is for the next one, or writers would never be caught up with. */
  isLater(id: string): boolean {
    const { ms } = parseId(id) ?? { ms: 0 };
    return ms > this.#begunMs && ms < this.tools.clock.now() + SKEW_MS;
  }

  /** The row key after which a walk of rows goes on; undefined at the end. Ids that are later are left out, but for the first page. */
  after({ rows, more }: RangePage): string | undefined {
    const end = rows.at(-1)?.rowKey;
    if (!more || end === undefined) return undefined;
    const [, prefix, id = ''] = BY_TIME.exec(end) ?? [];
    return prefix !== undefined && this.isLater(id) ? `${prefix}~` : end;
  }

  /** One range read. */
  page(table: string, key: string, range: { readonly from: string; readonly to: string }, limit: number): Promise<RangePage> {
    return this.budget().retry(() => this.tools.ports.tables.range(table, key, { ...range, limit }));
  } // prettier-ignore

  /** A page of a partition after a row key, from its beginning without one. One range read. */
  pageAfter(ref: PartitionRef, range: { readonly from: string; readonly to: string }, after: string | undefined, limit: number): Promise<RangePage> {
    const from = after === undefined ? range.from : keyAfter(after);
    return this.page(ref.table, keyOf(ref), { from, to: range.to }, limit);
  } // prettier-ignore

  /** The streams, each read within a budget of its own. */
  get streams(): StreamBlobs {
    return retriedStreams(this.tools.ports.blobs, (call) => this.budget().retry(call));
  }

  /** The rows that have these keys; few a page, so that what lies between them costs little. */
  byKeys(table: string, key: string, rowKeys: readonly string[]): Promise<ReadonlyMap<string, Row>> {
    return rowsByKeys((query) => this.page(table, key, query, query.limit), rowKeys, KEYS_PAGE);
  }
}

/** Prefix of the rows of records, revisions and events, and the id, by whose time they sort. */
const BY_TIME = /^([rv]:)([a-z]+_[0-9a-f-]{36})/;
/** Ids of a later time than this after now are not of writers at work, whatever their clocks. */
const SKEW_MS = 5 * 60_000;

/** Every row of a partition. */
export const ALL_ROWS = { from: '!', to: '~' } as const;

/** A row as findings name it. */
export const rowAt = (table: string, key: string, rowKey: string): string => `${table} ${key} ${rowKey}`;

export const keyOf = (ref: PartitionRef): string => partitionKey(ref.tenant, ref.partition);

/** The members in which two things differ, for people. */
export function differing(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): readonly string[] {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].filter((name) => a[name] !== b[name]);
} // prettier-ignore
