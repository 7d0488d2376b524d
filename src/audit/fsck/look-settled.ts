import type { PartitionRef } from '../../storage/directory.js';
import type { Row } from '../../storage/ports.js';
import { Suspicions, type Found } from './findings.js';
import { keyOf, type Reads } from './tools.js';

/** A record that changes, or is added to, while it is looked at is looked at again so often. */
const ATTEMPTS = 5;

/** What is suspicious about what a row leads to, looked at again while somebody changes the row. */
export async function lookSettled(
  reads: Reads,
  ref: PartitionRef,
  first: Row,
  check: (row: Row, found: Found) => Promise<void>,
): Promise<Suspicions> {
  let row = first;
  for (let attempt = 1; ; attempt += 1) {
    const suspicions = new Suspicions(ref.tenant);
    await check(row, suspicions.found);
    if (suspicions.all.length === 0 || attempt === ATTEMPTS) return suspicions;
    const now = await reads.row(ref.table, keyOf(ref), row.rowKey);
    if (now === undefined || now.etag === row.etag) return suspicions;
    row = now;
  }
}
