import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../domain/clock.js';
import { LIMITS } from '../domain/limits.js';
import { keyValue, partitionKey, prefixRange, SYSTEM_TENANT } from './keys.js';
import { isFault, type RecordTable } from './ports.js';
import { keyAfter, readRange } from './range.js';

/** Table of the directory of tenants and partitions and of the dirty rows; all under the reserved tenant. */
export const SYSTEM_TABLE = 'system';
const DIRTY_SHARDS = 16;

/** A partition of a record table, named as its rows name it. */
export interface PartitionRef {
  readonly tenant: string;
  readonly table: string;
  /** Without the tenant, as given (not encoded). */
  readonly partition: string;
}

/** A partition and its place in the directory. */
export interface ListedPartition extends PartitionRef {
  readonly listedAs: string;
}

/** A dirty row: this partition may hold pending events. */
export interface DirtyPartition extends PartitionRef {
  readonly etag: string;
  /** The service's clock when it was last announced, milliseconds. */
  readonly announcedMs: number;
}

const tenantsKey = partitionKey(SYSTEM_TENANT, 'tenants');
const partitionsKey = (tenant: string): string => partitionKey(SYSTEM_TENANT, `partitions.${tenant}`);
const dirtyKey = (shard: number): string =>
  partitionKey(SYSTEM_TENANT, `dirty-${String(shard).padStart(2, '0')}`);

/** All dirty rows of one tenant live in one shard, so that its sealer finds them with one range read. */
function shardOf(tenant: string): number {
  return (createHash('sha256').update(tenant).digest()[0] as number) % DIRTY_SHARDS;
}

const name = (ref: PartitionRef): string => `${ref.tenant}:${ref.table}:${keyValue(ref.partition)}`;

/**
 * Where there is data and where there is work, without scanning (architecture.md, "Finding work without scanning").
 * Every call is idempotent and safe from any number of processes at once.
 */
export class Directory {
  readonly #announcedAt = new Map<string, number>();
  /** Announcements under way, shared by the commits that wait for them. */
  readonly #announcing = new Map<string, Promise<void>>();
  readonly #registered = new Set<string>();
  readonly #newest = new LRUCache<string, string>({ max: 10_000 });

  constructor(
    private readonly tables: RecordTable,
    private readonly clock: Clock,
  ) {}

  /**
   * Says that a partition is about to hold pending events. A commit must follow within 60 s; call it again right
   * before the commit, which is free while the last announcement is fresh. First call of a process for a partition:
   * up to 3 writes; then one write a minute at most.
   */
  async announce(ref: PartitionRef): Promise<void> {
    const key = name(ref);
    const last = this.#announcedAt.get(key);
    const started = this.clock.monotonic();
    if (last !== undefined && started - last < LIMITS.announceFreshMs) return;
    let announcing = this.#announcing.get(key);
    if (announcing === undefined) {
      announcing = this.#announceNow(ref, key, started).finally(() => this.#announcing.delete(key));
      this.#announcing.set(key, announcing);
    }
    await announcing;
  }

  async #announceNow(ref: PartitionRef, key: string, started: number): Promise<void> {
    await Promise.all([this.register(ref), this.markDirty(ref)]);
    this.#announcedAt.set(key, started);
    if (this.#announcedAt.size > 50_000) this.#forgetStale(started);
  }

  /** Puts tenant and partition into the directory for good; free after the first time in a process. */
  async register(ref: PartitionRef): Promise<void> {
    const key = name(ref);
    if (this.#registered.has(key)) return;
    const tenantKey = `${ref.tenant}:`;
    if (!this.#registered.has(tenantKey)) {
      await this.#insertOnce(tenantsKey, ref.tenant, { tenant: ref.tenant });
      this.#registered.add(tenantKey);
    }
    await this.#insertOnce(partitionsKey(ref.tenant), `${ref.table}:${keyValue(ref.partition)}`, {
      table: ref.table,
      partition: ref.partition,
    });
    if (this.#registered.size > 100_000) this.#registered.clear();
    this.#registered.add(key);
  }

  /** Whether a partition and its tenant are in the directory as `register` puts them. Two point reads. */
  async stateOf({ tenant, table, partition }: PartitionRef): Promise<'listed' | 'missing' | 'altered'> {
    const [owner, row] = await Promise.all([
      this.tables.find(SYSTEM_TABLE, tenantsKey, tenant),
      this.tables.find(SYSTEM_TABLE, partitionsKey(tenant), `${table}:${keyValue(partition)}`),
    ]);
    if (owner === undefined || row === undefined) return 'missing';
    const { properties } = row;
    return properties['table'] === table && properties['partition'] === partition ? 'listed' : 'altered';
  }

  /** All partitions of a table of a tenant, ascending. One range read per 1,000 partitions. */
  async partitions(tenant: string, table: string): Promise<readonly string[]> {
    const rows = await readRange(this.tables, SYSTEM_TABLE, partitionsKey(tenant), prefixRange(`${table}:`));
    const partitions = rows.map((row) => String(row.properties['partition']));
    const newest = partitions.at(-1);
    if (newest !== undefined) this.#newest.set(`${tenant}:${table}`, newest);
    return partitions;
  }

  /** The last of `partitions` when it was read before: a guess, for there may be newer ones by now. Free. */
  newestSeen(tenant: string, table: string): string | undefined {
    return this.#newest.get(`${tenant}:${table}`);
  }

  /** All tenants that ever announced a partition, ascending. */
  async tenants(): Promise<readonly string[]> {
    const rows = await readRange(this.tables, SYSTEM_TABLE, tenantsKey, { from: '!', to: '~' });
    return rows.map((row) => row.rowKey);
  }

  /** Up to `limit` tenants that follow `after`, ascending. One range read. */
  async tenantsAfter(after: string | undefined, limit: number): Promise<readonly string[]> {
    const range = { from: after === undefined ? '!' : keyAfter(after), to: '~' };
    const rows = await readRange(this.tables, SYSTEM_TABLE, tenantsKey, range, limit);
    return rows.map((row) => row.rowKey);
  }

  /** Up to `limit` partitions of a tenant, of all tables, that follow the one listed as `after`. One range read. */
  async partitionsAfter(
    tenant: string,
    after: string | undefined,
    limit: number,
  ): Promise<readonly ListedPartition[]> {
    const range = { from: after === undefined ? '!' : keyAfter(after), to: '~' };
    const rows = await readRange(this.tables, SYSTEM_TABLE, partitionsKey(tenant), range, limit);
    return rows.map((row) => ({
      tenant,
      table: String(row.properties['table']),
      partition: String(row.properties['partition']),
      listedAs: row.rowKey,
    }));
  }

  /** The dirty partitions of a tenant; one range read. */
  async dirtyOf(tenant: string): Promise<readonly DirtyPartition[]> {
    return this.#dirty(shardOf(tenant), prefixRange(`${tenant}:`));
  }

  /** Every dirty partition; 16 range reads. */
  async dirty(): Promise<readonly DirtyPartition[]> {
    const shards = Array.from({ length: DIRTY_SHARDS }, (_, shard) =>
      this.#dirty(shard, { from: '!', to: '~' }),
    );
    return (await Promise.all(shards)).flat();
  }

  /** Removes a dirty row unless it was announced again since it was read. */
  async clean(entry: DirtyPartition): Promise<void> {
    try {
      await this.tables.commit(SYSTEM_TABLE, dirtyKey(shardOf(entry.tenant)), [
        { kind: 'delete', rowKey: name(entry), etag: entry.etag },
      ]);
    } catch (error) {
      if (!isFault(error, 'conflict', 'missing')) throw error;
    }
  }

  async #dirty(shard: number, range: { from: string; to: string }): Promise<readonly DirtyPartition[]> {
    const rows = await readRange(this.tables, SYSTEM_TABLE, dirtyKey(shard), range);
    return rows.map((row) => ({
      tenant: String(row.properties['tenant']),
      table: String(row.properties['table']),
      partition: String(row.properties['partition']),
      etag: row.etag,
      announcedMs: row.timestampMs,
    }));
  }

  /** Makes a partition's dirty row, or makes it young again, whatever this process announced before. */
  async markDirty(ref: PartitionRef): Promise<void> {
    const properties = { tenant: ref.tenant, table: ref.table, partition: ref.partition };
    await this.tables.commit(SYSTEM_TABLE, dirtyKey(shardOf(ref.tenant)), [
      { kind: 'upsert', rowKey: name(ref), properties },
    ]);
  }

  async #insertOnce(partition: string, rowKey: string, properties: Record<string, string>): Promise<void> {
    try {
      await this.tables.commit(SYSTEM_TABLE, partition, [{ kind: 'insert', rowKey, properties }]);
    } catch (error) {
      if (!isFault(error, 'exists')) throw error;
    }
  }

  #forgetStale(now: number): void {
    for (const [key, at] of this.#announcedAt) {
      if (now - at >= LIMITS.announceFreshMs) this.#announcedAt.delete(key);
    }
  }
}
