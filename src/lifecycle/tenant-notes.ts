import type { Budget } from '../storage/backoff.js';
import { partitionKey, SYSTEM_TENANT } from '../storage/keys.js';
import { isFault, type RecordTable, type RowOperation } from '../storage/ports.js';
import { rowIntact, withRowChecksum } from '../storage/row-checksum.js';
import { JOBS_TABLE } from './jobs-table.js';

/** What a job remembers of a tenant, and the version of the row that holds it. */
export interface TenantNote {
  /** Undefined for a row that is not what was written. */
  readonly text: string | undefined;
  readonly etag: string;
}

/** What a job remembers of each tenant from round to round: a row for each in table `jobs`, replaced under its ETag. */
export class TenantNotes {
  readonly #partition: string;

  constructor(
    private readonly tables: RecordTable,
    /** Name of the job; also that of the partition. */
    readonly job: string,
  ) {
    this.#partition = partitionKey(SYSTEM_TENANT, job);
  }

  /** One point read. Throws `storage-unavailable`. */
  async find(tenant: string, budget: Budget): Promise<TenantNote | undefined> {
    const row = await budget.retry(() => this.tables.find(JOBS_TABLE, this.#partition, tenant));
    if (row === undefined) return undefined;
    return { text: rowIntact(row) ? String(row.properties['note']) : undefined, etag: row.etag };
  }

  /** Writes it down unless somebody else was faster. Throws `storage-unavailable`. */
  async replace(tenant: string, text: string, etag: string | undefined, budget: Budget): Promise<void> {
    const columns = { schema_version: '1.0', note: text };
    const row = { rowKey: tenant, properties: withRowChecksum(this.#partition, tenant, columns) };
    const operation: RowOperation = etag === undefined ? { kind: 'insert', ...row } : { kind: 'replace', ...row, etag }; // prettier-ignore
    try {
      await budget.retry(() => this.tables.commit(JOBS_TABLE, this.#partition, [operation]));
    } catch (error) {
      if (!isFault(error, 'exists', 'conflict', 'missing')) throw error;
    }
  }
}
