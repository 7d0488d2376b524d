import pLimit from 'p-limit';
import { canonicalJson, type Json } from '../../domain/canonical-json.js';
import { ERASURE_SCHEMA_VERSION, ERASURE_TYPE, isOpenErasure } from '../../domain/erasure.js';
import type { PartitionRef } from '../../storage/directory.js';
import {
  ERASURES_TABLE,
  OPEN_PARTITION,
  openKey,
  parseErasureRow,
  type StoredErasure,
} from '../../storage/erasure-rows.js';
import { prefixRange, revisionKey } from '../../storage/keys.js';
import type { Row } from '../../storage/ports.js';
import { rowIntact, withRowChecksum } from '../../storage/row-checksum.js';
import { checkErased } from './erased.js';
import { eventOf } from './event-of.js';
import type { Found, Suspicions } from './findings.js';
import { lookSettled } from './look-settled.js';
import { AT_ONCE, keyOf, rowAt, type Reads } from './tools.js';

/** Erasures that are looked at together. */
const ERASURES = 40;

/**
 * Erasures of a tenant after a row key, one page. Each has the events that its state takes, and they say what it says, the
 * certificate above all; one that is open is on the list of the job; of one that is done the key is destroyed, and what led
 * to the subject is gone. Nothing is opened. Resolves to the last row, undefined at the end.
 */
export async function checkErasures(
  reads: Reads,
  ref: PartitionRef,
  after: string | undefined,
  suspicions: Suspicions,
): Promise<string | undefined> {
  const page = await reads.pageAfter(ref, prefixRange('r:'), after, ERASURES);
  const limit = pLimit(AT_ONCE);
  await Promise.all(
    page.rows.map((row) =>
      limit(async () => {
        suspicions.add(await lookSettled(reads, ref, row, (now, found) => checkErasure(reads, ref, now, found))); // prettier-ignore
      }),
    ),
  );
  return reads.after(page);
}

async function checkErasure(reads: Reads, ref: PartitionRef, row: Row, found: Found): Promise<void> {
  // That it is altered is said where rows are walked.
  if (!rowIntact(row)) return;
  const where = rowAt(ref.table, keyOf(ref), row.rowKey);
  let erasure: StoredErasure;
  try {
    erasure = parseErasureRow(row);
  } catch {
    found('erasure.event', where, 'it is the row of another erasure', { sinceMs: row.timestampMs });
    return;
  }
  await checkSteps(reads, ref, row, erasure, found);
  if (isOpenErasure(erasure.state)) await checkOpen(reads, ref, row, erasure, found);
  await checkErased(reads, ref, row, erasure, found);
}

/** What an event says of a step of an erasure. */
interface Told {
  readonly eventType: string;
  readonly action: string;
  readonly details: unknown;
}

/** The events that an erasure has, as its row is. */
function toldOf({ state, committed, certificate }: StoredErasure): readonly Told[] {
  const { reason, reference } = committed;
  const details = { reason, ...(reference === undefined ? {} : { reference }) };
  const requested = { eventType: 'erasure.requested', action: 'request', details };
  const certified = (action: string, as: string): Told => ({ eventType: 'subject.erased', action, details: { state: as, ...certificate } }); // prettier-ignore
  if (state === 'unknown-subject') return [requested, { eventType: 'subject.erased', action: 'find', details: { state } }]; // prettier-ignore
  if (state === 'provisional') return [requested, certified('erase', state)];
  if (state === 'complete')
    return [requested, certified('erase', 'provisional'), certified('certify', state)];
  return [requested];
}

async function checkSteps(reads: Reads, ref: PartitionRef, row: Row, erasure: StoredErasure, found: Found): Promise<void> {
  const { erasureId, state, events } = erasure;
  const where = rowAt(ref.table, keyOf(ref), row.rowKey);
  const since = { sinceMs: row.timestampMs };
  const steps = toldOf(erasure);
  if (steps.length !== events.length) found('erasure.event', where, `it is ${state}, and has ${String(events.length)} events`, since);
  for (const [at, { eventType, action, details }] of steps.entries()) {
    const eventId = events[at];
    if (eventId === undefined) return;
    const witness = await reads.row(ref.table, keyOf(ref), revisionKey(erasureId, at + 1));
    if (witness === undefined || (rowIntact(witness) && witness.properties['event_id'] !== eventId))
      found('erasure.event', where, `the row of its step ${String(at + 1)} is missing, or of another event`, since);
    const told = await eventOf(reads, ref, eventId);
    if (told === 'missing') found('erasure.event', where, `there is no event ${eventId}`, since);
    if (typeof told === 'string') continue;
    const { event } = told;
    const same =
      event.resourceType === ERASURE_TYPE &&
      event.facts.resource_id === erasureId &&
      event.facts.event_type === eventType &&
      event.action === action &&
      canonicalJson(event.details as Json) === canonicalJson(details as Json);
    if (!same) found('erasure.event', where, `it is not what ${eventId} says`, since);
  }
} // prettier-ignore

/** Nobody goes on with what is not on the list. */
async function checkOpen(reads: Reads, { tenant }: PartitionRef, row: Row, { erasureId, state }: StoredErasure, found: Found): Promise<void> {
  const rowKey = openKey(tenant, erasureId);
  if ((await reads.row(ERASURES_TABLE, OPEN_PARTITION, rowKey)) !== undefined) return;
  const properties = withRowChecksum(OPEN_PARTITION, rowKey, { schema_version: ERASURE_SCHEMA_VERSION });
  // For one that was done meanwhile it means nothing, and the job takes it off.
  const run = () => reads.budget().retry(() => reads.tools.ports.tables.commit(ERASURES_TABLE, OPEN_PARTITION, [{ kind: 'upsert', rowKey, properties }]));
  found('erasure.open', rowAt(ERASURES_TABLE, OPEN_PARTITION, rowKey), `${erasureId} is ${state}`, { sinceMs: row.timestampMs, repair: { name: `erasure ${erasureId}`, run } });
} // prettier-ignore
