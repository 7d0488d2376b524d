import { migratedData } from '../domain/apply-change.js';
import { AppError, isAppError } from '../domain/errors.js';
import type { RecordType } from '../domain/record-type.js';
import { upgradeData } from '../domain/upgrade.js';
import { Budget } from './backoff.js';
import type { Change } from './change.js';
import type { DetailStore } from './detail-store.js';
import type { CallContext, StorageManagerOptions } from './manager-types.js';
import type { RecordReader } from './record-reader.js';
import type { RecordRow } from './record-row.js';
import type { RecordWriter } from './record-writer.js';

/**
 * Brings stored records to the current schema version: one revision more with the same content, and an audit event.
 * What was stored before stays as it is, so a final record may be migrated like any other.
 */
export class RecordMigrator {
  constructor(
    private readonly tools: StorageManagerOptions,
    private readonly reader: RecordReader,
    private readonly details: DetailStore,
    private readonly writer: RecordWriter,
  ) {}

  /**
   * True when it was migrated, or would be (`dryRun`, which reads and validates: 1 point read and 1 blob read); false
   * when somebody has brought it up to date meanwhile. Costs what an action costs. Throws `record-invalid` when the
   * upgraded data breaks a current rule and `internal-error` when it cannot be upgraded; it is then left as it is.
   */
  async migrate(type: RecordType, id: string, dryRun: boolean, call: CallContext): Promise<boolean> {
    try {
      if (dryRun) await this.#check(type, id, call);
      else await this.writer.change(type, id, (row) => migrateChange(type, row), call);
      return true;
    } catch (error) {
      if (isAppError(error, 'version-conflict')) return false;
      throw error;
    }
  }

  async #check(type: RecordType, id: string, call: CallContext): Promise<void> {
    const budget = new Budget(this.tools.clock, this.tools.entropy);
    const row = await this.reader.recordRow(type, call.tenant, id, budget);
    assertOlder(type, row);
    const { data } = await this.details.read(type, call.tenant, row, budget);
    migratedData(type, upgradeData(type, row.schemaVersion, data));
  }
}

/** Conditional on the version that is stored and not on a revision: whoever changes the record in between has migrated it. */
function migrateChange(type: RecordType, row: RecordRow): Change {
  assertOlder(type, row);
  return {
    next: (current) => migratedData(type, current),
    name: () => ({
      eventType: 'record.updated',
      action: 'migrate',
      details: { from: row.schemaVersion, to: type.schemaVersion },
    }),
    ifMatch: undefined,
    ifMatchRequired: false,
  };
}

/** Throws `version-conflict` when there is nothing to migrate. */
function assertOlder(type: RecordType, row: RecordRow): void {
  if (row.schemaVersion === type.schemaVersion)
    throw new AppError('version-conflict', 'The record is stored in the current schema version.');
}
