import { parseTime } from '../../domain/clock.js';
import { isAppError } from '../../domain/errors.js';
import type { RecordType } from '../../domain/record-type.js';
import type { PartitionRef } from '../../storage/directory.js';
import { prefixRange, recordKey } from '../../storage/keys.js';
import type { Row } from '../../storage/ports.js';
import type { RecordRow } from '../../storage/record-row.js';
import { rowIntact } from '../../storage/row-checksum.js';
import { parseTombstone } from '../../storage/tombstone-row.js';
import { eventOf } from './event-of.js';
import type { Found } from './findings.js';
import type { LeafEvent } from './leaf-event.js';
import { checkListed } from './listed.js';
import { keyOf, rowAt, type Reads } from './tools.js';

/** What has entries is cleared in two rounds of a day each. */
const CLEARED_WITHIN_MS = 7 * 24 * 3_600_000;

/** Whether a row is a tombstone as it was written; one that was altered is neither that nor a record. */
export const isIntactTombstone = (row: Row): boolean =>
  row.properties['tombstone'] === true && rowIntact(row);

/**
 * A tombstone has its event, and it is the event of this disposal: else anybody could hide a deletion behind one. What it says
 * is cleared is, and nothing waits for that for ever.
 */
export async function checkTombstone(reads: Reads, ref: PartitionRef, row: Row, found: Found): Promise<void> {
  const { id, recordType, eventId, cause, checksum, revision, disposedAt, state } = parseTombstone(row);
  await checkDisposal(reads, ref, row, { id, eventId, said: { cause, checksum, revision }, as: { recordType, disposedAt } }, found); // prettier-ignore
  const where = rowAt(ref.table, keyOf(ref), row.rowKey);
  const lateMs = reads.tools.clock.now() - (parseTime(disposedAt) ?? 0);
  if (state === 'clearing' && lateMs > CLEARED_WITHIN_MS)
    found('disposal.stuck', where, `it was disposed of at ${disposedAt}`, { sinceMs: row.timestampMs });
  if (state === 'cleared') await checkNothingLeft(reads, ref, id, ['v'], found);
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

/** What a row says of a disposal: `said` of the event's details, `as` of the event itself. */
interface SaidOfDisposal {
  readonly id: string;
  readonly eventId: string;
  readonly said: Readonly<Record<string, unknown>>;
  readonly as?: { readonly recordType: string; readonly disposedAt: string };
}

async function checkDisposal(
  reads: Reads,
  ref: PartitionRef,
  row: Row,
  { id, eventId, said, as }: SaidOfDisposal,
  found: Found,
): Promise<void> {
  const where = rowAt(ref.table, keyOf(ref), row.rowKey);
  const since = { sinceMs: row.timestampMs };
  const event = await eventOf(reads, ref, eventId);
  if (event === 'missing') found('disposal.unlogged', where, `there is no event ${eventId}`, since);
  if (typeof event === 'string') return;
  const { facts, details, resourceType } = event.event;
  const other = Object.entries(said).some(([name, value]) => details[name] !== value);
  const another = as !== undefined && (as.recordType !== resourceType || as.disposedAt !== facts.timestamp);
  if (facts.event_type !== 'record.disposed' || facts.resource_id !== id || other || another)
    found('disposal.event', where, `${eventId} tells of another disposal, or of none`, since);
}

/** Rows of a record whose keys begin so are gone, now that it is cleared. One range read for each beginning. */
async function checkNothingLeft(
  reads: Reads,
  ref: PartitionRef,
  id: string,
  beginnings: readonly string[],
  found: Found,
): Promise<void> {
  for (const beginning of beginnings) {
    const page = await reads.page(ref.table, keyOf(ref), prefixRange(`${beginning}:${id}:`), 1);
    for (const { rowKey, timestampMs } of page.rows)
      found('disposal.left', rowAt(ref.table, keyOf(ref), rowKey), `${id} was disposed of, and cleared`, { sinceMs: timestampMs }); // prettier-ignore
  }
}

/** Entries of a record that was disposed of: nothing is left once it is cleared, and their head says so of no other record. */
export async function checkDisposedEntries(
  reads: Reads,
  ref: PartitionRef,
  id: string,
  state: Disposed,
  found: Found,
): Promise<void> {
  if (state === 'cleared') await checkNothingLeft(reads, ref, id, ['p', 'n'], found);
}

/**
 * What the log says was disposed of stays so: where the record was there is the tombstone of that very event, or its history
 * begins where the event says, or later.
 */
export async function checkDisposed(
  reads: Reads,
  tenant: string,
  event: LeafEvent,
  found: Found,
): Promise<void> {
  const { event_id: eventId, resource_id: id } = event.facts;
  const type = reads.tools.types.find(({ recordType }) => recordType === event.resourceType);
  if (type === undefined) return;
  const place = await located(reads, type, tenant, id);
  if (place?.row !== undefined) await checkListed(reads, place.ref, found);
  const wrong = place === undefined ? `nothing says where ${id} is` : undoneBy(place, event);
  if (wrong !== undefined) found('disposal.undone', `leaf ${String(event.leaf)}`, `${eventId}: ${wrong}`);
}

function undoneBy({ ref, row }: Located, { facts, action, details }: LeafEvent): string | undefined {
  const where = rowAt(ref.table, keyOf(ref), recordKey(facts.resource_id));
  if (row === undefined) return `${where} is not there`;
  // That it is altered is said where rows are walked.
  if (!rowIntact(row)) return undefined;
  const { tombstone, event_id: own, history_from: from } = row.properties;
  if (action !== 'dispose') {
    const begins = tombstone === true ? Infinity : Number(from ?? 1);
    return begins < Number(details['history_from']) ? `${where} has an earlier history` : undefined;
  }
  if (tombstone !== true) return `${where} is no tombstone`;
  return own === facts.event_id ? undefined : `${where} is the tombstone of another event`;
}

interface Located {
  readonly ref: PartitionRef;
  readonly row: Row | undefined;
}

async function located(
  reads: Reads,
  type: RecordType,
  tenant: string,
  id: string,
): Promise<Located | undefined> {
  try {
    const ref = await reads.locator.locate(type, tenant, id, reads.budget());
    return { ref, row: await reads.row(ref.table, keyOf(ref), recordKey(id)) };
  } catch (error) {
    if (isAppError(error, 'record-not-found', 'integrity-failure')) return undefined;
    throw error;
  }
}

/** How far the disposal of a record has come; undefined where it was not disposed of. */
export type Disposed = 'clearing' | 'cleared' | undefined;

export async function disposedState(
  reads: Reads,
  type: RecordType,
  tenant: string,
  id: string,
): Promise<Disposed> {
  const row = (await located(reads, type, tenant, id))?.row;
  return row !== undefined && isIntactTombstone(row) ? parseTombstone(row).state : undefined;
}

/** Whether a record, or a revision of it, is not there because it was disposed of, as its row says. */
export async function wasDisposed(
  reads: Reads,
  type: RecordType,
  tenant: string,
  id: string,
  revision: number | undefined,
): Promise<boolean> {
  const row = (await located(reads, type, tenant, id))?.row;
  if (row === undefined) return false;
  if (isIntactTombstone(row)) return true;
  const from = rowIntact(row) ? row.properties['history_from'] : undefined;
  return typeof from === 'number' && revision !== undefined && revision < from;
}
