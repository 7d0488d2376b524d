import { AppError } from './errors.js';
import type { RecordData, RecordType } from './record-type.js';

/**
 * Data of any schema version this build knows, as the current version (REQ-STO-018). Throws `internal-error` for a
 * version it does not know, such as one written by a newer build, and for data that is not what that version stored:
 * nothing is guessed.
 */
export function upgradeData(type: RecordType, storedVersion: string, data: RecordData): RecordData {
  if (storedVersion === type.schemaVersion) return data;
  const first = type.migrations.findIndex((migration) => migration.from === storedVersion);
  if (first < 0) {
    throw new AppError(
      'internal-error',
      `This version of the platform cannot read schema version ${storedVersion}.`,
      {
        evidence: { record_type: type.recordType, schema_version: storedVersion },
      },
    );
  }
  try {
    return type.migrations.slice(first).reduce((current, migration) => migration.migrate(current), data);
  } catch (cause) {
    throw new AppError('internal-error', `Data of schema version ${storedVersion} cannot be upgraded.`, {
      cause,
      evidence: { record_type: type.recordType, schema_version: storedVersion },
    });
  }
}
