import { isAppError } from '../../domain/errors.js';
import type { RecordType } from '../../domain/record-type.js';
import type { PartitionRef } from '../../storage/directory.js';
import { recordKey } from '../../storage/keys.js';
import type { Row } from '../../storage/ports.js';
import type { RecordRow } from '../../storage/record-row.js';
import { rowIntact } from '../../storage/row-checksum.js';
import { parseTombstone } from '../../storage/tombstone-row.js';
import { eventOf } from './event-of.js';
import type { Found } from './findings.js';
import { keyOf, rowAt, type Reads } from './tools.js';

/** Whether a row is a tombstone as it was written; one that was altered is neither that nor a record. */
export const isIntactTombstone = (row: Row): boolean =>
  row.properties['tombstone'] === true && rowIntact(row);

/** A tombstone has its event, and it is the event of this disposal: else anybody could hide a deletion behind one. */
export async function checkTombstone(reads: Reads, ref: PartitionRef, row: Row, found: Found): Promise<void> {
  const { id, eventId, cause, checksum, revision } = parseTombstone(row);
  const said = { cause, checksum, revision };
  await checkDisposal(reads, ref, row, { id, eventId, said }, found);
}

/** The same of a record whose earlier revisions were disposed of. */
export async function checkHistory(
  reads: Reads,
  ref: PartitionRef,
  row: Row,
  { id, history }: RecordRow,
  found: Found,
): Promise<void> {
  if (history === undefined) return;
  const said = { history_from: history.from };
  await checkDisposal(reads, ref, row, { id, eventId: history.eventId, said }, found);
}

async function checkDisposal(
  reads: Reads,
  ref: PartitionRef,
  row: Row,
  { id, eventId, said }: { readonly id: string; readonly eventId: string; readonly said: Readonly<Record<string, unknown>> }, // prettier-ignore
  found: Found,
): Promise<void> {
  const where = rowAt(ref.table, keyOf(ref), row.rowKey);
  const since = { sinceMs: row.timestampMs };
  const event = await eventOf(reads, ref, eventId);
  if (event === 'missing') found('disposal.unlogged', where, `there is no event ${eventId}`, since);
  if (typeof event === 'string') return;
  const { facts, details } = event.event;
  const other = Object.entries(said).some(([name, value]) => details[name] !== value);
  if (facts.event_type !== 'record.disposed' || facts.resource_id !== id || other)
    found('disposal.event', where, `${eventId} tells of another disposal, or of none`, since);
}

/** Whether a record, or a revision of it, is not there because it was disposed of, as its row says. */
export async function wasDisposed(
  reads: Reads,
  type: RecordType,
  tenant: string,
  id: string,
  revision: number | undefined,
): Promise<boolean> {
  try {
    const ref = await reads.locator.locate(type, tenant, id, reads.budget());
    const row = await reads.row(ref.table, keyOf(ref), recordKey(id));
    if (row === undefined) return false;
    if (isIntactTombstone(row)) return true;
    const from = rowIntact(row) ? row.properties['history_from'] : undefined;
    return typeof from === 'number' && revision !== undefined && revision < from;
  } catch (error) {
    if (isAppError(error, 'record-not-found', 'integrity-failure')) return false;
    throw error;
  }
}
