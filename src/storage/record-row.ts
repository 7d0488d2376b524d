import { AppError, isAppError } from '../domain/errors.js';
import type { EnvelopeHead, Tier } from '../domain/envelope.js';
import type { RecordData, RecordType } from '../domain/record-type.js';
import { summaryPath } from '../domain/summary-path.js';
import { formatTime, parseTime } from '../domain/clock.js';
import { parseId } from '../domain/ids.js';
import { isObject } from '../domain/merge-patch.js';
import type { Blinds } from './blinds.js';
import { compoundKeyValue, indexKey } from './keys.js';
import type { Properties, Property, Row } from './ports.js';
import { rowIntact } from './row-checksum.js';
import { textColumns, textOf } from './text-columns.js';

/** Where a detail envelope lies: a whole blob, or a part of a pack. Bytes. */
export interface DetailLocation {
  readonly blob: string;
  readonly offset: number;
  readonly length: number;
}

/** What every row of a revision says about it. */
export interface RevisionFacts {
  readonly id: string;
  readonly revision: number;
  readonly schemaVersion: string;
  readonly tier: Tier;
  readonly checksum: string;
  readonly previousChecksum: string | undefined;
  readonly storedAt: string;
  readonly eventId: string;
  readonly action: string;
  readonly location: DetailLocation;
}

/** Where the history of a record begins whose earlier revisions were disposed of. */
export interface History {
  readonly from: number;
  readonly eventId: string;
}

/** The record row `r:`: the current revision, what lists show, and which index rows belong to it. */
export interface RecordRow extends RevisionFacts {
  readonly createdAt: string;
  readonly indexKeys: readonly string[];
  /** Ids of the records this one is derived from (`domain/links.ts`). */
  readonly links: readonly string[];
  /** The first revision there still is, and the event of the disposal, where earlier ones were disposed of. */
  readonly history: History | undefined;
  readonly etag: string;
}

/** A summary: what a list shows of a record (http-api.md, Collections). */
export type Summary = Readonly<Record<string, Property>>;

/** A declared summary member: a member of the data, or what lies inside one. */
function summaryValue(type: RecordType, data: RecordData, member: string): unknown {
  return summaryPath(type, member).reduce<unknown>(
    (value, name) => (isObject(value) ? value[name] : undefined),
    data,
  );
}

/** The declared summary members of a record's data. */
export function summaryMembers(type: RecordType, data: RecordData): Summary {
  const summary: Record<string, Property> = {};
  for (const member of type.summary) {
    const value = summaryValue(type, data, member);
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
      summary[member] = value;
  }
  return summary;
}

/** The time a record is listed by: what the type says, or when it was first written, as its id tells. */
export function createdAtOf(type: RecordType, id: string, data: RecordData): string {
  return type.orderedBy === undefined ? formatTime(parseId(id)?.ms ?? 0) : String(data[type.orderedBy]);
}

/** The keys of all index rows of a record, the index of all records first; of sensitive members they have the hashes. */
export function indexKeysOf(
  type: RecordType,
  id: string,
  data: RecordData,
  blinds: Blinds,
): readonly string[] {
  const orderedMs = parseTime(createdAtOf(type, id, data)) ?? 0;
  return type.allIndexes.flatMap((index) => {
    const values = index.fields.map((field) =>
      type.blindMembers.includes(field) ? blinds[field] : summaryValue(type, data, field),
    );
    if (!values.every((value) => typeof value === 'string')) return [];
    return [indexKey(index.name, compoundKeyValue(values), orderedMs, id)];
  });
}

function revisionColumns(type: RecordType, facts: RevisionFacts): Properties {
  return {
    record_type: type.recordType,
    id: facts.id,
    revision: facts.revision,
    schema_version: facts.schemaVersion,
    tier: facts.tier,
    checksum: facts.checksum,
    ...(facts.previousChecksum === undefined ? {} : { previous_checksum: facts.previousChecksum }),
    event_id: facts.eventId,
    action: facts.action,
    blob: facts.location.blob,
    offset: facts.location.offset,
    length: facts.location.length,
  };
}

/** Columns of `v:<id>:<revision>`. */
export function revisionRowColumns(type: RecordType, facts: RevisionFacts): Properties {
  return { ...revisionColumns(type, facts), stored_at: facts.storedAt };
}

/** Columns of `r:<id>`; whoever writes the row again passes on the `links` and the `history` that were in it. */
export function recordRowColumns(
  type: RecordType,
  facts: RevisionFacts,
  createdAt: string,
  indexKeys: readonly string[],
  summary: Summary,
  links: readonly string[],
  history?: History,
): Properties {
  return {
    ...summary,
    ...revisionColumns(type, facts),
    created_at: createdAt,
    updated_at: facts.storedAt,
    index_keys: JSON.stringify(indexKeys),
    ...(links.length === 0 ? {} : textColumns('links', JSON.stringify(links))),
    ...(history === undefined ? {} : { history_from: history.from, history_event: history.eventId }),
  };
}

/** Columns of an index row: the summary that a list returns, and what `summary` has besides. */
export function summaryColumns(
  type: RecordType,
  facts: RevisionFacts,
  createdAt: string,
  summary: Summary,
): Summary {
  return {
    record_type: type.recordType,
    id: facts.id,
    revision: facts.revision,
    schema_version: facts.schemaVersion,
    tier: facts.tier,
    checksum: facts.checksum,
    created_at: createdAt,
    updated_at: facts.storedAt,
    ...summary,
  };
}

/** `integrity-failure` for a record that does not hold together; the caller audits it. */
export function broken(id: string, revision: number, what: string): AppError {
  return new AppError('integrity-failure', 'The stored record does not match its checksum.', {
    evidence: { id, revision, what },
  });
}

/** The facts of an integrity failure that `broken` made, for the auditor; undefined for any other error. */
export function integrityEvidence(
  error: unknown,
): { id: string; revision: number; what: string } | undefined {
  if (!isAppError(error, 'integrity-failure')) return undefined;
  const { id, revision, what } = error.evidence;
  return typeof id === 'string' ? { id, revision: Number(revision), what: String(what) } : undefined;
}

/**
 * Like `integrityEvidence`, also for what lies beside the record, a key or a pseudonym: the place that does not hold
 * together, and `-` for the id. Of the keys' rows only those with random names are named: that of a subject is a hash of
 * whom it is about, and events are kept for ever.
 */
export function integrityPlace(error: unknown): { id: string; revision: number; what: string } | undefined {
  const evidence = integrityEvidence(error);
  if (evidence !== undefined || !isAppError(error, 'integrity-failure')) return evidence;
  const { table, row, what } = error.evidence;
  const key = typeof row === 'string' && row.startsWith('k:') ? row : undefined;
  const place = [table, key, what].filter((word) => typeof word === 'string').join(' ');
  return { id: '-', revision: 0, what: place === '' ? error.message : place };
}

function factsOf(row: Row): RevisionFacts {
  const columns = row.properties;
  const text = (name: string): string => String(columns[name] ?? '');
  return {
    id: text('id'),
    revision: Number(columns['revision']),
    schemaVersion: text('schema_version'),
    tier: text('tier') as Tier,
    checksum: text('checksum'),
    previousChecksum: columns['previous_checksum'] === undefined ? undefined : text('previous_checksum'),
    storedAt: text(columns['stored_at'] === undefined ? 'updated_at' : 'stored_at'),
    eventId: text('event_id'),
    action: text('action'),
    location: { blob: text('blob'), offset: Number(columns['offset']), length: Number(columns['length']) },
  };
}

function historyOf({ history_from: from, history_event: eventId }: Properties): History | undefined {
  return from === undefined ? undefined : { from: Number(from), eventId: String(eventId) };
}

/** Reads a record row. Throws `integrity-failure` when it is not what was written or not that record's. */
export function parseRecordRow(row: Row, id: string): RecordRow {
  const facts = factsOf(row);
  if (!rowIntact(row) || facts.id !== id) throw broken(id, facts.revision, 'row');
  return {
    ...facts,
    createdAt: String(row.properties['created_at']),
    indexKeys: JSON.parse(String(row.properties['index_keys'])) as string[],
    links: JSON.parse(textOf('links', row.properties) || '[]') as string[],
    history: historyOf(row.properties),
    etag: row.etag,
  };
}

/** Reads a revision row. Throws `integrity-failure` when it is not what was written. */
export function parseRevisionRow(row: Row, id: string): RevisionFacts {
  const facts = factsOf(row);
  if (!rowIntact(row) || facts.id !== id) throw broken(id, facts.revision, 'revision row');
  return facts;
}

/** The envelope head a revision row stands for. */
export function envelopeHead(type: RecordType, tenant: string, facts: RevisionFacts): EnvelopeHead {
  return {
    record_type: type.recordType,
    id: facts.id,
    tenant,
    revision: facts.revision,
    schema_version: facts.schemaVersion,
    stored_at: facts.storedAt,
    tier: facts.tier,
    checksum_algorithm: 'SHA-256',
    checksum: facts.checksum,
  };
}

/** What every summary has besides the members its type declares. */
const SUMMARY_HEAD = ['record_type', 'id', 'revision', 'schema_version', 'tier', 'checksum', 'created_at', 'updated_at']; // prettier-ignore

/** Every member that a summary of the type may have. */
export const summaryNames = (type: RecordType): readonly string[] => [...SUMMARY_HEAD, ...type.summary];

/** A summary from an index row or a record row of the type. */
export function summaryOf(type: RecordType, row: Pick<Row, 'properties'>): Summary {
  const summary: Record<string, Property> = {};
  for (const name of summaryNames(type)) {
    const value = row.properties[name];
    if (value !== undefined) summary[name] = value;
  }
  return summary;
}
