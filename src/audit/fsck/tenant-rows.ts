import pLimit from 'p-limit';
import { isAppError } from '../../domain/errors.js';
import { LIMITS } from '../../domain/limits.js';
import { IDEMPOTENCY_TABLE } from '../../storage/idempotency.js';
import { partitionKey } from '../../storage/keys.js';
import { OPERATIONS_TABLE } from '../../storage/operations.js';
import { keyAfter } from '../../storage/range.js';
import { rowIntact } from '../../storage/row-checksum.js';
import type { Found } from './findings.js';
import { AT_ONCE, rowAt, type Reads } from './tools.js';

/** Tables of a tenant that no directory lists, and their one partition. */
const TABLES = { keys: 'keys', actors: 'actors' } as const;
/** The row of a tenant's key. */
const TENANT_KEY = 't:1';

/** Partitions of reservations of idempotency keys, and how many of them are a piece. */
export const SHARDS = 256;
const SHARDS_AT_ONCE = 32;

/** Keys and pseudonyms of a tenant: every row is what was written, and its key can be read. No value is opened. */
export async function checkTenantRows(reads: Reads, tenant: string, found: Found): Promise<void> {
  for (const [table, partition] of Object.entries(TABLES))
    await checkIntact(reads, table, partitionKey(tenant, partition), found);
  const where = rowAt(TABLES.keys, partitionKey(tenant, TABLES.keys), TENANT_KEY);
  // A tenant without a key is given one by whoever asks for it: fsck does not ask then.
  if ((await reads.row(TABLES.keys, partitionKey(tenant, TABLES.keys), TENANT_KEY)) === undefined) return;
  try {
    await reads.tools.blindIndex.blind(tenant, 'fsck', '');
  } catch (error) {
    if (!isAppError(error, 'integrity-failure')) throw error;
    found('keys.unreadable', where, String(error.evidence['what'] ?? 'it does not open'));
  }
}

/** Reservations of a tenant from a partition on: every row is what was written. Resolves to the next partition. */
export async function checkReservations(reads: Reads, tenant: string, first: number, found: Found): Promise<number> {
  const next = Math.min(first + SHARDS_AT_ONCE, SHARDS);
  const limit = pLimit(AT_ONCE);
  const shards = Array.from({ length: next - first }, (_, n) => (first + n).toString(16).padStart(2, '0'));
  await Promise.all(shards.map((shard) => limit(() => checkIntact(reads, IDEMPOTENCY_TABLE, partitionKey(tenant, shard), found))));
  return next;
} // prettier-ignore

/** Operations that were accepted on a day. They have no directory: days that have events are asked for. */
export function checkOperations(reads: Reads, tenant: string, day: string, found: Found): Promise<void> {
  return checkIntact(reads, OPERATIONS_TABLE, partitionKey(tenant, day), found);
}

/** Every row of a partition is what was written. Holds a page. */
async function checkIntact(reads: Reads, table: string, key: string, found: Found): Promise<void> {
  let next: string | undefined = '!';
  while (next !== undefined) {
    const page = await reads.page(table, key, { from: next, to: '~' }, LIMITS.rangeRows);
    for (const row of page.rows)
      if (!rowIntact(row)) found('row.altered', rowAt(table, key, row.rowKey), 'its checksum does not hold', { sinceMs: row.timestampMs });
    const end: string | undefined = page.rows.at(-1)?.rowKey;
    next = page.more && end !== undefined ? keyAfter(end) : undefined;
  }
} // prettier-ignore
