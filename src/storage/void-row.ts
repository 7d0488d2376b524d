import { recordKey } from './keys.js';
import type { Row, RowOperation } from './ports.js';
import { broken } from './record-row.js';
import { rowIntact, withRowChecksum } from './row-checksum.js';

/**
 * A void row stands at `r:<id>` where no record is: it was put there so that the create of a writer that slept too long
 * fails (architecture.md, "Orphan blobs"). Everybody but a create of that very id takes it for nothing; the create
 * replaces it under its ETag. It never expires: were it deleted, the transaction it was put up against could still
 * arrive. One row of a hundred bytes for each create that died is a price nobody will notice.
 */
export function voidRow(partitionKey: string, id: string): RowOperation {
  const rowKey = recordKey(id);
  const properties = withRowChecksum(partitionKey, rowKey, { void: true, schema_version: '1.0' });
  return { kind: 'insert', rowKey, properties };
}

/** True for a void row. Throws `integrity-failure` for one that was altered, or for a record that was made to look void. */
export function isVoid(row: Row): boolean {
  if (row.properties['void'] === undefined) return false;
  if (!rowIntact(row)) throw broken(row.rowKey.slice(2), 0, 'row');
  return row.properties['void'] === true;
}
