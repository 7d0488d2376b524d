import type { Clock } from '../domain/clock.js';
import { isAppError } from '../domain/errors.js';
import { LIMITS } from '../domain/limits.js';
import { DEFAULT_CONFIGURATION, type TenantConfiguration } from '../domain/tenant-configuration.js';
import type { CallContext, StorageManagerOptions } from './manager-types.js';
import type { PutCondition } from './put-writer.js';
import { integrityEvidence } from './record-row.js';
import {
  CONFIGURATION_TYPE,
  type StoredConfiguration,
  type TenantConfigurationStore,
} from './tenant-configuration-store.js';
import { noCounts, TimedCache, type CacheCounts, type Loaded } from './timed-cache.js';

/** Where what was set cannot be told and was not known before: the defaults, and nothing kept in memory. */
const CAREFUL: TenantConfiguration = { ...DEFAULT_CONFIGURATION, cache: { enabled: false } };

/**
 * What counts for a tenant (REQ-STO-019): read from storage every ten minutes at most. A put by this process is seen at
 * once. While storage fails, what is known goes on to count.
 */
export class TenantConfigurations {
  readonly #counts = noCounts();
  readonly #cache: TimedCache<TenantConfiguration>;

  constructor(
    private readonly store: TenantConfigurationStore,
    clock: Clock,
    private readonly onIntegrityFailure?: StorageManagerOptions['onIntegrityFailure'],
  ) {
    this.#cache = new TimedCache(clock, { entries: LIMITS.cacheEntries, bytes: LIMITS.cacheEntries });
  }

  /** Free, or one point read. Throws `storage-unavailable` when storage fails and nothing is known of the tenant. */
  async of(call: CallContext): Promise<TenantConfiguration> {
    const load = (known: TenantConfiguration | undefined) => this.#load(call, known);
    return (await this.#cache.read(call.tenant, load, this.#counts)).value;
  }

  /** What is stored; undefined for a tenant that has set nothing. Throws `integrity-failure`, `storage-unavailable`. */
  async stored(call: CallContext): Promise<StoredConfiguration | undefined> {
    const found = await this.#find(call);
    // What this process has shown is also what it goes by.
    this.#cache.forget(call.tenant, this.#counts);
    return found;
  }

  /** See `TenantConfigurationStore.put`. */
  async put(
    configuration: TenantConfiguration,
    condition: PutCondition,
    call: CallContext,
  ): Promise<StoredConfiguration> {
    try {
      return await this.store.put(configuration, condition, call);
    } finally {
      this.#cache.forget(call.tenant, this.#counts);
    }
  }

  statistics(): Readonly<CacheCounts> {
    return { ...this.#counts };
  }

  async #load(
    call: CallContext,
    known: TenantConfiguration | undefined,
  ): Promise<Loaded<TenantConfiguration>> {
    try {
      const value = (await this.#find(call))?.configuration ?? DEFAULT_CONFIGURATION;
      return { value, ttlMs: LIMITS.configurationTtlMs, bytes: 1 };
    } catch (error) {
      // What is damaged was audited, and is no reason to refuse records.
      const value = known ?? (isAppError(error, 'integrity-failure') ? CAREFUL : undefined);
      if (value === undefined) throw error;
      return { value, ttlMs: LIMITS.configurationRetryMs, bytes: 1 };
    }
  }

  async #find(call: CallContext): Promise<StoredConfiguration | undefined> {
    try {
      return await this.store.find(call.tenant);
    } catch (error) {
      const evidence = integrityEvidence(error);
      if (evidence !== undefined)
        await this.onIntegrityFailure?.({ recordType: CONFIGURATION_TYPE, ...evidence }, call);
      throw error;
    }
  }
}
