import { parseId } from '../../domain/ids.js';
import type { PartitionRef } from '../../storage/directory.js';
import { dayOf, partitionKey, pendingEventKey, recordKey } from '../../storage/keys.js';
import type { Row } from '../../storage/ports.js';
import { rowIntact } from '../../storage/row-checksum.js';
import { INDEX_TABLE } from '../clear-order.js';
import { leafHash } from '../merkle.js';
import { leafEventOf, type LeafEvent } from './leaf-event.js';
import { keyOf, type Reads } from './tools.js';

/** `pending`: it waits to be sealed; `missing`: it is nowhere; `doubtful`: its row in the index does not hold, and is found there. */
export type EventFound = { readonly event: LeafEvent; readonly pending: boolean } | 'missing' | 'doubtful';

/**
 * The event with an id, from the index of events, held against the log; or from where it waits. 1 read, 3 at most. An event is
 * in the index before it stops to wait, so looking there once more misses none.
 */
export async function eventOf(reads: Reads, ref: PartitionRef, eventId: string): Promise<EventFound> {
  const ms = parseId(eventId)?.ms;
  if (ms === undefined) return 'missing';
  const indexed = (): Promise<Row | undefined> =>
    reads.row(INDEX_TABLE, partitionKey(ref.tenant, dayOf(ms)), recordKey(eventId));
  let row = await indexed();
  if (row === undefined) {
    const waiting = await reads.row(ref.table, keyOf(ref), pendingEventKey(eventId));
    if (waiting !== undefined) {
      const event = rowIntact(waiting) ? leafEventOf(ref.tenant, -1, String(waiting.properties['event'])) : undefined; // prettier-ignore
      return event === undefined ? 'doubtful' : { event, pending: true };
    }
    row = await indexed();
  }
  return row === undefined ? 'missing' : fromIndex(reads, ref.tenant, row);
}

async function fromIndex(reads: Reads, tenant: string, row: Row): Promise<EventFound> {
  const text = String(row.properties['event']);
  const leaf = Number(row.properties['leaf_index']);
  const event = rowIntact(row) && Number.isSafeInteger(leaf) ? leafEventOf(tenant, leaf, text) : undefined;
  if (event === undefined || (await reads.leaves.leaf(tenant, leaf)) !== leafHash(text)) return 'doubtful';
  return { event, pending: false };
}
