import { isAppError } from '../../domain/errors.js';
import { LIMITS } from '../../domain/limits.js';
import { partitionKey } from '../../storage/keys.js';
import { keyAfter } from '../../storage/range.js';
import { rowIntact } from '../../storage/row-checksum.js';
import type { Found } from './findings.js';
import { rowAt, type Reads } from './tools.js';

/** Tables of a tenant that no directory lists, and their one partition. */
const TABLES = { keys: 'keys', actors: 'actors' } as const;
/** The row of a tenant's key. */
const TENANT_KEY = 't:1';

/** Keys and pseudonyms of a tenant: every row is what was written, and its key can be read. No value is opened. */
export async function checkTenantRows(reads: Reads, tenant: string, found: Found): Promise<void> {
  for (const [table, partition] of Object.entries(TABLES)) {
    const key = partitionKey(tenant, partition);
    let next: string | undefined = '!';
    while (next !== undefined) {
      const page = await reads.page(table, key, { from: next, to: '~' }, LIMITS.rangeRows);
      for (const row of page.rows)
        if (!rowIntact(row)) found('row.altered', rowAt(table, key, row.rowKey), 'its checksum does not hold', { sinceMs: row.timestampMs }); // prettier-ignore
      const end: string | undefined = page.rows.at(-1)?.rowKey;
      next = page.more && end !== undefined ? keyAfter(end) : undefined;
    }
  }
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
