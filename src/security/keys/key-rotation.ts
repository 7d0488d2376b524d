import { isAppError } from '../../domain/errors.js';
import { wrapperNamed } from '../../domain/key-wrapper.js';
import { Budget } from '../../storage/backoff.js';
import { isFault, type Row } from '../../storage/ports.js';
import { keyAfter } from '../../storage/range.js';
import {
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
import { openTenantKey, type KeyTools } from './tenant-keys.js';

/**
 * What became of a tenant's key: wrapped by the current version before or now; under a key that is not configured
 * (`foreign`), or not what was stored (`damaged`), which both stay as they are; `none`.
 */
export type Rewrapped = 'current' | 'rewrapped' | 'foreign' | 'damaged' | 'none';

export interface RewrappedKey {
  readonly outcome: Rewrapped;
  /** Name of the key-encryption key that it is wrapped by now; empty where that is not known. */
  readonly wrappedBy: string;
}

/** Brings keys of tenants under the current key-encryption key. What they are stays, so nothing is encrypted anew. */
export class KeyRotation {
  constructor(private readonly tools: KeyTools) {}

  /** Name of the key-encryption key that new keys are wrapped by. */
  get current(): string {
    return this.tools.wrappers.current.name;
  }

  /** The version of it that new keys are wrapped by. At most one call of the vault. */
  currentVersion(): Promise<string> {
    return this.#budget().retry(() => this.tools.wrappers.current.currentVersion());
  }

  /** Tenants that have a key, in order. One range read of at most `limit`, up to 1,000. */
  async tenantsAfter(after: string | undefined, limit: number): Promise<readonly string[]> {
    const query = { from: after === undefined ? '!' : keyAfter(after), to: '~', limit };
    const page = await this.#budget().retry(() =>
      this.tools.tables.range(KEYS_TABLE, TENANTS_PARTITION, query),
    );
    return page.rows.map(({ rowKey }) => rowKey);
  }

  /**
   * One point read for a key that is under `version`, the current one; one transaction and two calls of the vault more for one
   * that is not. `dryRun` only says what it would do. Idempotent; throws `storage-unavailable`.
   */
  async rewrap(tenant: string, version: string, dryRun: boolean): Promise<RewrappedKey> {
    const budget = this.#budget();
    for (;;) {
      const done = await budget.retry(() => this.#rewrap(tenant, version, dryRun));
      if (done !== undefined) return done;
      await budget.pause(undefined);
    }
  }

  /** Undefined when the row has moved meanwhile. */
  async #rewrap(tenant: string, version: string, dryRun: boolean): Promise<RewrappedKey | undefined> {
    const { tables, wrappers } = this.tools;
    const row = await find(this.tools, tenant);
    if (row === undefined) return { outcome: 'none', wrappedBy: '' };
    if (row === 'damaged') return { outcome: 'damaged', wrappedBy: '' };
    const stored = wrappedIn(row);
    const { current } = wrappers;
    if (stored.wrappedBy === current.name && stored.version === version)
      return { outcome: 'current', wrappedBy: stored.wrappedBy };
    if (wrapperNamed(wrappers, stored.wrappedBy) === undefined)
      return { outcome: 'foreign', wrappedBy: stored.wrappedBy };
    const key = await unlessBroken(openTenantKey(tenant, row, wrappers));
    if (key === 'damaged') return { outcome: 'damaged', wrappedBy: stored.wrappedBy };
    if (dryRun) return { outcome: 'rewrapped', wrappedBy: stored.wrappedBy };
    const partition = keysPartition(tenant);
    const columns = {
      ...wrappedColumns(await current.wrap(tenant, key.wrapping)),
      index_key: textOf(row, 'index_key'),
      created_at: textOf(row, 'created_at'),
    };
    try {
      await tables.commit(KEYS_TABLE, partition, [
        { kind: 'replace', ...keyRow(partition, TENANT_KEY_ROW, columns), etag: row.etag },
      ]);
    } catch (error) {
      if (!isFault(error, 'conflict', 'missing')) throw error;
      return undefined;
    }
    return { outcome: 'rewrapped', wrappedBy: current.name };
  }

  #budget(): Budget {
    return new Budget(this.tools.clock, this.tools.entropy);
  }
}

function find({ tables }: KeyTools, tenant: string): Promise<Row | 'damaged' | undefined> {
  return unlessBroken(findKeyRow(tables, tenant, TENANT_KEY_ROW));
}

async function unlessBroken<T>(work: Promise<T>): Promise<T | 'damaged'> {
  try {
    return await work;
  } catch (error) {
    if (!isAppError(error, 'integrity-failure')) throw error;
    return 'damaged';
  }
}
