import type { Clock, Entropy } from '../../domain/clock.js';
import { formatTime } from '../../domain/clock.js';
import { wrapperNamed, type KeyWrappers } from '../../domain/key-wrapper.js';
import { LIMITS } from '../../domain/limits.js';
import { Budget } from '../../storage/backoff.js';
import { isFault, type RecordTable, type Row } from '../../storage/ports.js';
import { noCounts, TimedCache, type Loaded } from '../../storage/timed-cache.js';
import type { IndexKeys } from './hmac-blind-index.js';
import {
  brokenKey,
  findKeyRow,
  keyRow,
  KEYS_TABLE,
  keysPartition,
  TENANT_KEY_ROW,
  TENANTS_PARTITION,
  textOf,
  wrappedColumns,
  wrappedIn,
} from './key-rows.js';
import { KEY_BYTES, unwrapKey, wrapKey } from './wrap-key.js';

/** Whatever there is in the partition of a tenant's keys. */
const ANY_KEY = { from: 'k:', to: 't;', limit: 1 } as const;

export interface KeyTools {
  readonly tables: RecordTable;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly wrappers: KeyWrappers;
}

/** What a tenant's rows are made with. */
export interface TenantKey {
  /** Wraps its data keys. */
  readonly wrapping: Uint8Array;
  /** Of blind hashes; wrapped by the other one. */
  readonly index: Uint8Array;
}

/**
 * The keys of tenants, one random 256-bit key each, wrapped by the key-encryption key, and the index key that it wraps.
 * Made on first use; kept for five minutes, then read and unwrapped again. Calls throw `integrity-failure`,
 * `storage-unavailable`.
 */
export class TenantKeys implements IndexKeys {
  readonly #cache: TimedCache<TenantKey>;
  readonly #counts = noCounts();

  constructor(private readonly tools: KeyTools) {
    this.#cache = new TimedCache(tools.clock, {
      entries: LIMITS.tenantKeysKept,
      bytes: LIMITS.tenantKeysKept,
    });
  }

  /** The first use of a tenant: 2 reads, 2 writes and a call of the vault; then nothing; every five minutes 1 read. */
  async of(tenant: string): Promise<TenantKey> {
    const load = async (): Promise<Loaded<TenantKey>> => {
      const value = await this.#budget().retry(() => this.#load(tenant));
      return { value, ttlMs: LIMITS.keysKeptMs, bytes: 1 };
    };
    return (await this.#cache.read(tenant, load, this.#counts)).value;
  }

  async indexKey(tenant: string): Promise<Uint8Array> {
    return (await this.of(tenant)).index;
  }

  /** True when the tenant has a key: without one nothing of it was ever sealed. One point read; without one, a list. */
  async exists(tenant: string): Promise<boolean> {
    return (await this.#budget().retry(() => this.#find(tenant))) !== undefined;
  }

  async #load(tenant: string): Promise<TenantKey> {
    const row = await this.#find(tenant);
    if (row !== undefined) return openTenantKey(tenant, row, this.tools.wrappers);
    const made = await this.#make(tenant);
    if (made !== undefined) return made;
    // Somebody made it a moment ago: theirs is the key.
    const theirs = await findKeyRow(this.tools.tables, tenant, TENANT_KEY_ROW);
    if (theirs === undefined) throw brokenKey(tenant, TENANT_KEY_ROW, 'missing');
    return openTenantKey(tenant, theirs, this.tools.wrappers);
  }

  /** Undefined before the first use. Throws `integrity-failure` for one that is lost: a new one would hide the loss. */
  async #find(tenant: string): Promise<Row | undefined> {
    const { tables } = this.tools;
    const row = await findKeyRow(tables, tenant, TENANT_KEY_ROW);
    if (row !== undefined) return row;
    const { rows } = await tables.range(KEYS_TABLE, keysPartition(tenant), ANY_KEY);
    if (rows.length === 0) return undefined;
    // What is there came after the tenant's key, which somebody may have made between the two looks.
    const made = await findKeyRow(tables, tenant, TENANT_KEY_ROW);
    if (made === undefined) throw brokenKey(tenant, TENANT_KEY_ROW, 'missing');
    return made;
  }

  /** Undefined when another process was first. */
  async #make(tenant: string): Promise<TenantKey | undefined> {
    const { tables, entropy, clock, wrappers } = this.tools;
    const key = { wrapping: entropy.bytes(KEY_BYTES), index: entropy.bytes(KEY_BYTES) };
    const partition = keysPartition(tenant);
    const columns = {
      ...wrappedColumns(await wrappers.current.wrap(tenant, key.wrapping)),
      index_key: wrapKey(key.wrapping, key.index, indexPlace(tenant), entropy),
      created_at: formatTime(clock.now()),
    };
    // Listed first: a key that no rotation finds would be lost with the key-encryption key it is wrapped by.
    const listed = keyRow(TENANTS_PARTITION, tenant, { tenant });
    await tables.commit(KEYS_TABLE, TENANTS_PARTITION, [{ kind: 'upsert', ...listed }]);
    try {
      await tables.commit(KEYS_TABLE, partition, [
        { kind: 'insert', ...keyRow(partition, TENANT_KEY_ROW, columns) },
      ]);
      return key;
    } catch (error) {
      if (!isFault(error, 'exists')) throw error;
      return undefined;
    }
  }

  #budget(): Budget {
    return new Budget(this.tools.clock, this.tools.entropy);
  }
}

/**
 * The keys in a row `t:`. That the index key opens shows that the key is this tenant's and no other's, whatever wrapped
 * it. Throws `integrity-failure` when it is not what was stored, or nothing that is configured wrapped it.
 */
export async function openTenantKey(tenant: string, row: Row, wrappers: KeyWrappers): Promise<TenantKey> {
  const stored = wrappedIn(row);
  const wrapping = await wrapperNamed(wrappers, stored.wrappedBy)?.unwrap(tenant, stored);
  if (wrapping?.length !== KEY_BYTES) throw brokenKey(tenant, row.rowKey, 'key', stored.wrappedBy);
  const index = unwrapKey(wrapping, textOf(row, 'index_key'), indexPlace(tenant));
  if (index === undefined) throw brokenKey(tenant, row.rowKey, 'key', stored.wrappedBy);
  return { wrapping, index };
}

function indexPlace(tenant: string): readonly string[] {
  return [tenant, 'index'];
}
