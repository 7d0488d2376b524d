import { AppError } from '../../domain/errors.js';
import type { WrappedKey } from '../../domain/key-wrapper.js';
import { partitionKey, SYSTEM_TENANT } from '../../storage/keys.js';
import type { Properties, RecordTable, Row } from '../../storage/ports.js';
import { rowIntact, withRowChecksum } from '../../storage/row-checksum.js';

/** Table of wrapped keys, apart from all others so that its backups can expire within 30 days (security.md, Keys). */
export const KEYS_TABLE = 'keys';
const SCHEMA_VERSION = '1.0';

/** The tenants that have a key: what a rotation goes through. Written before the key, and nothing without it. */
export const TENANTS_PARTITION = partitionKey(SYSTEM_TENANT, 'tenants');
export const keysPartition = (tenant: string): string => partitionKey(tenant, 'keys');

/** The one key of a tenant; a name of its own, so that there may be a second one some day. */
export const TENANT_KEY_ROW = 't:1';
/** `blind`: the blind hash of the subject's name. */
export const subjectKeyRow = (blind: string): string => `s:${blind}`;
/** Key of what is about nobody who is named; no blind hash is called so. */
export const NOBODY_ROW = 's:_';
export const dataKeyRow = (id: string): string => `k:${id}`;

/** The columns of a row with schema version and checksum. */
export function keyRow(
  partition: string,
  rowKey: string,
  columns: Properties,
): { readonly rowKey: string; readonly properties: Properties } {
  return {
    rowKey,
    properties: withRowChecksum(partition, rowKey, { ...columns, schema_version: SCHEMA_VERSION }),
  };
}

/** One point read. Throws `integrity-failure` for a row that is not what was written. */
export async function findKeyRow(
  tables: RecordTable,
  tenant: string,
  rowKey: string,
): Promise<Row | undefined> {
  const row = await tables.find(KEYS_TABLE, keysPartition(tenant), rowKey);
  if (row !== undefined && !rowIntact(row)) throw brokenKey(tenant, rowKey, 'checksum');
  return row;
}

/** A text column; empty when it is not there. */
export function textOf(row: Row, column: string): string {
  const value = row.properties[column];
  return typeof value === 'string' ? value : '';
}

/** How the tenant's key is wrapped. */
export function wrappedIn(row: Row): WrappedKey {
  return {
    wrappedBy: textOf(row, 'wrapped_by'),
    version: textOf(row, 'wrapped_version'),
    wrapped: textOf(row, 'wrapped'),
  };
}

/** The columns `wrappedIn` reads. */
export function wrappedColumns({ wrappedBy, version, wrapped }: WrappedKey): Properties {
  return { wrapped, wrapped_by: wrappedBy, wrapped_version: version };
}

/** `what`: `checksum`, `missing`, or `key` where it does not unwrap. Row keys hold no name. */
export function brokenKey(tenant: string, row: string, what: string, wrappedBy?: string): AppError {
  return new AppError('integrity-failure', 'A key is missing or is not what was stored.', {
    evidence: {
      tenant,
      table: KEYS_TABLE,
      row,
      what,
      ...(wrappedBy === undefined ? {} : { wrapped_by: wrappedBy }),
    },
  });
}
