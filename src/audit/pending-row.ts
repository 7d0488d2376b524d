import { z } from 'zod';
import { parseTime } from '../domain/clock.js';
import { LIMITS } from '../domain/limits.js';
import { pendingEventKey } from '../storage/keys.js';
import type { PartitionRef } from '../storage/directory.js';
import type { Row } from '../storage/ports.js';
import { rowIntact } from '../storage/row-checksum.js';
import { SUBJECTS_COLUMN } from '../storage/subject-rows.js';
import { textOf } from '../storage/text-columns.js';

/** Rows `o:<event id>`: events that are committed and wait for their place in the log. Pure. */
export interface PendingEvent {
  readonly eventId: string;
  /** The exact bytes of the event, as text. */
  readonly text: string;
  /** JSON text of the sealed values, where there are any. */
  readonly sealed: string | undefined;
  /** Blind hashes of whom the change names, joined by spaces, where it names anybody. */
  readonly subjects: string | undefined;
  /** The record this event changed and the revision it made; undefined for an event that is no change. */
  readonly change: { readonly record: string; readonly revision: number } | undefined;
  readonly table: string;
  readonly partitionKey: string;
  readonly rowKey: string;
}

/** A pending row that is not what was written: never sealed, reported, left where it is. */
export interface CorruptRow {
  readonly tenant: string;
  readonly table: string;
  readonly partition: string;
  readonly rowKey: string;
}

/** A corrupt row and the records whose event it may have been. */
export interface CorruptPending {
  readonly row: CorruptRow;
  readonly records: ReadonlySet<string>;
}

/** What of an event's own members the index and the order need. */
const factsSchema = z.object({
  event_id: z.string().min(1),
  event_type: z.string().min(1),
  schema_version: z.string().min(1),
  tenant: z.string().min(1),
  timestamp: z.string().refine((text) => parseTime(text) !== undefined),
  actor: z.string(),
  resource_type: z.string().optional(),
  resource_id: z.string(),
  record_type: z.string().optional(),
  revision: z.number().int().positive().optional(),
});
export type EventFacts = z.infer<typeof factsSchema>;

/** The members of an event the sealer works with, or undefined when the text is not an event. */
export function factsOf(text: string): EventFacts | undefined {
  try {
    return factsSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** Parses a pending row of a partition. What is not exactly what was written comes back as corrupt. */
export function parsePending(ref: PartitionRef, row: Row): PendingEvent | CorruptPending {
  const { event, sealed } = row.properties;
  const text = typeof event === 'string' ? event : '';
  const facts = factsOf(text);
  const fits =
    facts !== undefined &&
    rowIntact(row) &&
    row.rowKey === pendingEventKey(facts.event_id) &&
    facts.tenant === ref.tenant &&
    // A line of the stream must be one line, and the bytes must be those of the text.
    !text.includes('\n') &&
    text.isWellFormed() &&
    Buffer.byteLength(text) <= LIMITS.eventBytes;
  if (!fits) return corrupt(ref, row, facts);
  return {
    eventId: facts.event_id,
    text,
    sealed: typeof sealed === 'string' ? sealed : undefined,
    subjects: textOf(SUBJECTS_COLUMN, row.properties) || undefined,
    change:
      facts.revision === undefined ? undefined : { record: facts.resource_id, revision: facts.revision },
    table: ref.table,
    partitionKey: row.partitionKey,
    rowKey: row.rowKey,
  };
}

/**
 * Whose event a corrupt row was is said twice, in the event and in `record_id`. One of the two may be what was
 * altered, so both are believed: at worst a second record waits until somebody repairs the row.
 */
function corrupt(ref: PartitionRef, row: Row, facts: EventFacts | undefined): CorruptPending {
  const stated = row.properties['record_id'];
  const records = new Set<string>();
  if (typeof stated === 'string') records.add(stated);
  if (facts !== undefined) records.add(facts.resource_id);
  return {
    row: { tenant: ref.tenant, table: ref.table, partition: ref.partition, rowKey: row.rowKey },
    records,
  };
}

export function isCorrupt(row: PendingEvent | CorruptPending): row is CorruptPending {
  return 'records' in row;
}
