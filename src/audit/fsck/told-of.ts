import { HOLD_TYPE } from '../../domain/hold.js';
import { ERASURE_TYPE } from '../../domain/erasure.js';
import {
  erasureKey,
  ERASURES_TABLE,
  erasuresPartition,
  parseErasureRow,
} from '../../storage/erasure-rows.js';
import { holdKey, HOLDS_TABLE } from '../../storage/hold-rows.js';
import { partitionKey } from '../../storage/keys.js';
import type { Row } from '../../storage/ports.js';
import { rowIntact } from '../../storage/row-checksum.js';
import type { Found } from './findings.js';
import type { LeafEvent } from './leaf-event.js';
import { keyOf, rowAt, type Reads } from './tools.js';

/** Which column of a hold names the event. */
const HOLD_EVENTS: Readonly<Record<string, string>> = { 'hold.placed': 'placed_event', 'hold.released': 'released_event' }; // prettier-ignore
const ERASURE_EVENTS = ['erasure.requested', 'subject.erased'];

/**
 * A hold or an erasure that the log tells of is there, and names the event: else whoever has the key of the account could
 * take a hold away with everything that is of it, or a certificate. One point read for each such event.
 */
export async function checkToldOf(
  reads: Reads,
  tenant: string,
  { leaf, facts, resourceType }: LeafEvent,
  found: Found,
): Promise<void> {
  const { event_type: eventType, event_id: eventId, resource_id: id } = facts;
  const column = HOLD_EVENTS[eventType];
  const said = `leaf ${String(leaf)}, ${eventId}, tells of it`;
  if (column !== undefined && resourceType === HOLD_TYPE) {
    const key = partitionKey(tenant, 'holds');
    const row = await reads.row(HOLDS_TABLE, key, holdKey(id));
    // That it is altered is said where rows are walked.
    if (row !== undefined && (!rowIntact(row) || row.properties[column] === eventId)) return;
    found('hold.missing', rowAt(HOLDS_TABLE, key, holdKey(id)), said);
  }
  if (ERASURE_EVENTS.includes(eventType) && resourceType === ERASURE_TYPE) {
    const key = keyOf(erasuresPartition(tenant));
    const row = await reads.row(ERASURES_TABLE, key, erasureKey(id));
    if (row !== undefined && (!rowIntact(row) || eventsOf(row).includes(eventId))) return;
    found('erasure.missing', rowAt(ERASURES_TABLE, key, erasureKey(id)), said);
  }
}

function eventsOf(row: Row): readonly string[] {
  try {
    return parseErasureRow(row).events;
  } catch {
    return [];
  }
}
