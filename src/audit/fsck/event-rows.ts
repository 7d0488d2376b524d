import type { PartitionRef } from '../../storage/directory.js';
import { pendingEventKey, recordKey } from '../../storage/keys.js';
import type { Row } from '../../storage/ports.js';
import { rowIntact } from '../../storage/row-checksum.js';
import { LIMITS } from '../../domain/limits.js';
import { leafHash } from '../merkle.js';
import type { Found } from './findings.js';
import { indexRowsOf, leafEventOf } from './leaf-event.js';
import { ALL_ROWS, keyOf, rowAt, type Reads } from './tools.js';

/** Rows of a day of the index of events after a row key, one page: none says what the log does not. */
export async function checkEventRows(
  reads: Reads,
  ref: PartitionRef,
  after: string | undefined,
  found: Found,
): Promise<string | undefined> {
  const key = keyOf(ref);
  const page = await reads.pageAfter(ref, ALL_ROWS, after, LIMITS.rangeRows);
  for (const row of page.rows) {
    const wrong = row.rowKey.startsWith('o:') ? pendingFault(row) : await indexFault(reads, ref, row);
    if (wrong === undefined) continue;
    const where = rowAt(ref.table, key, row.rowKey);
    if (row.rowKey.startsWith('o:')) found('row.altered', where, wrong, { sinceMs: row.timestampMs });
    else found('event.extra', where, wrong, { sinceMs: row.timestampMs, repair: removal(reads, ref, row) });
  }
  return reads.after(page);
}

const pendingFault = (row: Row): string | undefined => rowIntact(row) ? undefined : 'its checksum does not hold'; // prettier-ignore

/** Only what lists by is deleted: what an event's own row says is left to be looked at, whatever it is. */
function removal(reads: Reads, ref: PartitionRef, { rowKey, etag }: Row) {
  if (!rowKey.startsWith('i:')) return undefined;
  const { tables } = reads.tools.ports;
  const run = async (): Promise<void> => {
    await reads
      .budget()
      .retry(() => tables.commit(ref.table, keyOf(ref), [{ kind: 'delete', rowKey, etag }]));
  };
  return { name: `event row ${keyOf(ref)} ${rowKey}`, run };
}

/** Why a row is not one of an event of the log. That one is damaged that belongs there is said of the leaf. */
async function indexFault(reads: Reads, ref: PartitionRef, row: Row): Promise<string | undefined> {
  const leaf = row.properties['leaf_index'];
  const id = row.rowKey.slice(row.rowKey.lastIndexOf(':') + 1);
  if (leaf === undefined && row.rowKey === recordKey(id)) return waitingFault(reads, ref, row, id);
  const text = String(row.properties['event']);
  const event = typeof leaf === 'number' && Number.isSafeInteger(leaf) && leaf >= 0 ? leafEventOf(ref.tenant, leaf, text) : undefined; // prettier-ignore
  const isLeaf = event !== undefined && (await reads.leaves.leaf(ref.tenant, event.leaf)) === leafHash(text);
  if (isLeaf && indexRowsOf(event, undefined).some(({ rowKey }) => rowKey === row.rowKey)) return undefined;
  if (isLeaf) return `it is no row of leaf ${String(event.leaf)}`;
  // A damaged row of an event that the log has is named where the leaf is looked at, and made anew from there.
  const own = await reads.row(ref.table, keyOf(ref), recordKey(id));
  if (
    own !== undefined &&
    own.rowKey !== row.rowKey &&
    rowIntact(own) &&
    (await hasLeaf(reads, ref, own, row))
  )
    return undefined;
  return rowIntact(row) ? 'it is of no leaf of the log' : 'it is not what was written, and of no leaf of the log'; // prettier-ignore
}

async function hasLeaf(reads: Reads, ref: PartitionRef, own: Row, row: Row): Promise<boolean> {
  const event = leafEventOf(
    ref.tenant,
    Number(own.properties['leaf_index']),
    String(own.properties['event']),
  );
  if (event === undefined || !Number.isSafeInteger(event.leaf)) return false;
  const belongs = indexRowsOf(event, undefined).some(({ rowKey }) => rowKey === row.rowKey);
  return belongs && (await reads.leaves.leaf(ref.tenant, event.leaf)) === leafHash(event.text);
}

/** An event without a change that has no leaf yet waits beside its row. */
async function waitingFault(
  reads: Reads,
  ref: PartitionRef,
  row: Row,
  id: string,
): Promise<string | undefined> {
  const waiting = await reads.row(ref.table, keyOf(ref), pendingEventKey(id));
  if (waiting !== undefined) return rowIntact(row) ? undefined : 'its checksum does not hold';
  const now = await reads.row(ref.table, keyOf(ref), row.rowKey);
  return now?.properties['leaf_index'] === undefined ? 'it has no leaf and does not wait for one' : undefined; // prettier-ignore
}
