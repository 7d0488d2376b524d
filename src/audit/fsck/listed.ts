import { SYSTEM_TABLE, type PartitionRef } from '../../storage/directory.js';
import { keyValue, partitionKey, SYSTEM_TENANT } from '../../storage/keys.js';
import type { Found } from './findings.js';
import { rowAt, type Reads } from './tools.js';

/**
 * A partition that has data is in the directory: whoever walks finds nothing by any other way, fsck included, so what is in one
 * that is not listed is looked at by the next run.
 */
export async function checkListed(reads: Reads, ref: PartitionRef, found: Found): Promise<void> {
  const state = await reads.listing(ref);
  if (state === 'listed') return;
  const { tenant, table, partition } = ref;
  const where = rowAt(SYSTEM_TABLE, partitionKey(SYSTEM_TENANT, `partitions.${tenant}`), `${table}:${keyValue(partition)}`);
  if (state === 'altered') {
    found('directory.altered', where, 'it names another partition than its key does');
    return;
  }
  const run = (): Promise<void> => reads.budget().retry(() => reads.tools.directory.register(ref));
  found('directory.missing', where, 'there is data in it, and it or its tenant is not listed', { repair: { name: where, run } });
} // prettier-ignore
