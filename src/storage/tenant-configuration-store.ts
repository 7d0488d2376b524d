import type { AuditEvent } from '../domain/audit-event.js';
import type { SealedSecrets } from '../domain/commitment.js';
import { AppError } from '../domain/errors.js';
import { parseId } from '../domain/ids.js';
import {
  changedSettings,
  DEFAULT_CONFIGURATION,
  parseConfiguration,
  type TenantConfiguration,
} from '../domain/tenant-configuration.js';
import { Budget } from './backoff.js';
import { callEvent } from './call-event.js';
import { executePlan } from './commit.js';
import { SYSTEM_TABLE, type PartitionRef } from './directory.js';
import { configurationEtag, ifMatchHolds } from './etag.js';
import { partitionKey } from './keys.js';
import type { CallContext, StorageManagerOptions } from './manager-types.js';
import { pendingEvent } from './pending-event.js';
import type { Row, RowOperation } from './ports.js';
import type { PutCondition } from './put-writer.js';
import { broken } from './record-row.js';
import { rowIntact, withRowChecksum } from './row-checksum.js';
import type { WritePlan } from './write-plan.js';

export interface StoredConfiguration {
  readonly configuration: TenantConfiguration;
  readonly etag: string;
}

/**
 * What tenants have set, one configuration for each. Strongly consistent: what one put stored the next find returns, in
 * any process. A put is compare-and-swap, and is stored together with its audit event or not at all.
 */
export interface TenantConfigurationStore {
  /** Undefined for a tenant that has set nothing. Throws `storage-unavailable`, `integrity-failure`. */
  find(tenant: string): Promise<StoredConfiguration | undefined>;
  /**
   * Sets the whole configuration of the caller's tenant. Throws `version-conflict` when the condition does not hold,
   * `storage-unavailable` when storage does not say; it may then have been stored, and doing it again is harmless.
   */
  put(
    configuration: TenantConfiguration,
    condition: PutCondition,
    call: CallContext,
  ): Promise<StoredConfiguration>;
}

/** Its rows are in a partition of the tenant's own, because its events are the tenant's. */
const PARTITION = 'configuration';
const CURRENT = 'current';
export const CONFIGURATION_TYPE = 'tenant_configuration';

/** What stands, and when it was put: the time of its event. */
interface Current extends StoredConfiguration {
  readonly putMs: number;
}

export type ConfigurationTools = Pick<
  StorageManagerOptions,
  'ports' | 'clock' | 'entropy' | 'directory' | 'secretBox' | 'pseudonym' | 'onCommitted'
>;

/** Keeps configurations in table `system`: the current one, and one row that never changes for each that was put. */
export class TableConfigurationStore implements TenantConfigurationStore {
  constructor(private readonly tools: ConfigurationTools) {}

  async find(tenant: string): Promise<StoredConfiguration | undefined> {
    const row = await this.#current(tenant, this.#budget());
    if (row === undefined) return undefined;
    const stored = parse(row);
    if (stored === undefined) throw broken(tenant, 0, 'configuration row');
    return { configuration: stored.configuration, etag: stored.etag };
  }

  /** One point read and one transaction. A row that was damaged is replaced like any other. */
  async put(
    configuration: TenantConfiguration,
    { ifMatch, onlyNew = false }: PutCondition,
    call: CallContext,
  ): Promise<StoredConfiguration> {
    const budget = this.#budget();
    for (;;) {
      const row = await this.#current(call.tenant, budget);
      const stored = row === undefined ? undefined : parse(row);
      if (onlyNew && row !== undefined) throw conflict('There is a configuration already.');
      if (ifMatch !== undefined && (stored === undefined || !ifMatchHolds(ifMatch, stored.etag)))
        throw conflict('The configuration has changed since it was read.');
      const { event, sealed } = await this.#event(stored, configuration, call);
      const plan = planOf(call.tenant, configuration, row, event, sealed);
      const outcome = await executePlan({ ...this.tools, budget }, plan);
      if (outcome === 'committed') {
        this.tools.onCommitted?.(plan.partition);
        return { configuration, etag: configurationEtag(event.event_id) };
      }
      await budget.pause(outcome, 5, 250);
    }
  }

  #current(tenant: string, budget: Budget): Promise<Row | undefined> {
    const key = partitionKey(tenant, PARTITION);
    return budget.retry(() => this.tools.ports.tables.find(SYSTEM_TABLE, key, CURRENT));
  }

  async #event(
    before: Current | undefined,
    after: TenantConfiguration,
    call: CallContext,
  ): Promise<{ readonly event: AuditEvent; readonly sealed: SealedSecrets }> {
    return callEvent(this.tools, call, {
      // Events of a tenant's configuration sort as it changed, whatever the clocks of the hosts say.
      timestampMs: Math.max(this.tools.clock.now(), (before?.putMs ?? 0) + 1),
      eventType: 'configuration.changed',
      action: 'put',
      resourceType: CONFIGURATION_TYPE,
      resourceId: call.tenant,
      details: { changed: changedSettings(before?.configuration ?? DEFAULT_CONFIGURATION, after) },
    });
  }

  #budget(): Budget {
    return new Budget(this.tools.clock, this.tools.entropy);
  }
}

/** The row of this very put is the witness, so that a put nobody heard of again is neither lost nor done twice. */
function planOf(
  tenant: string,
  configuration: TenantConfiguration,
  replaced: Row | undefined,
  event: AuditEvent,
  sealed: SealedSecrets,
): WritePlan {
  const partition: PartitionRef = { tenant, table: SYSTEM_TABLE, partition: PARTITION };
  const key = partitionKey(tenant, PARTITION);
  const columns = {
    schema_version: '1.0',
    configuration: JSON.stringify(configuration),
    event_id: event.event_id,
    stored_at: event.timestamp,
  };
  const row = (rowKey: string) => ({ rowKey, properties: withRowChecksum(key, rowKey, columns) });
  const witness = { rowKey: `v:${event.event_id}`, eventId: event.event_id };
  const operations: readonly RowOperation[] = [
    replaced === undefined ? { kind: 'insert', ...row(CURRENT) } : { kind: 'replace', ...row(CURRENT), etag: replaced.etag }, // prettier-ignore
    { kind: 'insert', ...row(witness.rowKey) },
    pendingEvent(key, event, sealed, { id: tenant }),
  ];
  return { partition, blob: undefined, operations, witness };
}

/** Undefined when the row is not what was written. */
function parse(row: Row): Current | undefined {
  const eventId = String(row.properties['event_id']);
  const configuration = rowIntact(row)
    ? parseConfiguration(String(row.properties['configuration']))
    : undefined;
  return (
    configuration && { configuration, etag: configurationEtag(eventId), putMs: parseId(eventId)?.ms ?? 0 }
  );
}

function conflict(message: string): AppError {
  return new AppError('version-conflict', message);
}
