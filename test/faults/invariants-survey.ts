import { RECORD_TYPES } from '../../src/records/registry.js';
import type { Row } from '../../src/storage/ports.js';
import { rowIntact } from '../../src/storage/row-checksum.js';
import { verifyStored } from '../../src/domain/envelope.js';
import type { StorageContents } from '../support/memory-ports.js';

/** One revision as its row and its blob say. */
export interface SurveyedRevision {
  readonly row: Row;
  readonly id: string;
  readonly revision: number;
  readonly eventId: string;
  readonly checksum: string;
  readonly previousChecksum: string | undefined;
  readonly storedAt: string;
  readonly action: string;
  /** Undefined when the blob is not there or not what the row says. */
  readonly data: Record<string, unknown> | undefined;
}

export interface SurveyedRecord {
  readonly tenant: string;
  readonly table: string;
  readonly partitionKey: string;
  readonly id: string;
  readonly row: Row | undefined;
  /** By revision. */
  readonly revisions: readonly SurveyedRevision[];
}

/** A line of a tenant's streams: the exact text and what it says. */
export interface SurveyedLine {
  readonly text: string;
  readonly event: {
    readonly event_id: string;
    readonly event_type: string;
    readonly tenant: string;
    readonly timestamp: string;
    readonly actor: string;
    readonly action: string;
    readonly resource_id: string;
    readonly correlation_id: string;
    readonly revision?: number;
    readonly checksum?: string;
    readonly previous_checksum?: string;
  };
}

/** A whole storage, read without any code of the platform that finds its way through it. */
export interface Survey {
  readonly contents: StorageContents;
  readonly records: ReadonlyMap<string, SurveyedRecord>;
  /** By tenant. */
  readonly log: ReadonlyMap<string, readonly SurveyedLine[]>;
  rows(table: string, prefix: string): readonly Row[];
}

/** Whether a record, or a revision of it, was disposed of, as its row says. */
export function isDisposed(row: Row | undefined, revision: number): boolean {
  if (row === undefined || !rowIntact(row)) return false;
  return row.properties['tombstone'] === true || revision < Number(row.properties['history_from'] ?? 1);
}

export const revisionOf = ({ records }: Survey, id: string, revision: number): SurveyedRevision | undefined =>
  records.get(id)?.revisions.find((one) => one.revision === revision);

export const tenantOf = (key: string): string => key.slice(0, key.indexOf(':'));

const RECORD_TABLES: ReadonlySet<string> = new Set(RECORD_TYPES.map(({ table }) => table));

export function surveyOf(contents: StorageContents): Survey {
  const byTable = new Map<string, Row[]>();
  for (const { table, row } of contents.rows) {
    const known = byTable.get(table);
    if (known === undefined) byTable.set(table, [row]);
    else known.push(row);
  }
  for (const rows of byTable.values()) rows.sort(byKey);
  const rows = (table: string, prefix: string): readonly Row[] =>
    (byTable.get(table) ?? []).filter(({ rowKey }) => rowKey.startsWith(prefix));
  return { contents, records: recordsOf(contents, byTable), log: logOf(contents), rows };
}

function byKey(a: Row, b: Row): number {
  const one = `${a.partitionKey}\n${a.rowKey}`;
  const other = `${b.partitionKey}\n${b.rowKey}`;
  return one < other ? -1 : one > other ? 1 : 0;
}

function recordsOf(
  contents: StorageContents,
  byTable: ReadonlyMap<string, readonly Row[]>,
): Map<string, SurveyedRecord> {
  const blobs = new Map(
    contents.blobs.filter(({ container }) => container === 'records').map((blob) => [blob.name, blob.bytes]),
  );
  const records = new Map<
    string,
    {
      tenant: string;
      table: string;
      partitionKey: string;
      id: string;
      row: Row | undefined;
      revisions: SurveyedRevision[];
    }
  >();
  for (const [table, rows] of byTable) {
    if (!RECORD_TABLES.has(table)) continue;
    for (const row of rows) {
      const match = /^(?:r|v):([a-z]+_[^:]+)/.exec(row.rowKey);
      if (match === null) continue;
      const id = match[1] as string;
      const known = records.get(id) ?? {
        tenant: tenantOf(row.partitionKey),
        table,
        partitionKey: row.partitionKey,
        id,
        row: undefined,
        revisions: [],
      };
      records.set(id, known);
      if (row.rowKey.startsWith('v:')) known.revisions.push(revisionIn(row, blobs));
      else known.row = row;
    }
  }
  return records;
}

function revisionIn(row: Row, blobs: ReadonlyMap<string, Uint8Array>): SurveyedRevision {
  const text = (name: string): string => String(row.properties[name]);
  const previous = row.properties['previous_checksum'];
  const facts = {
    record_type: text('record_type'),
    id: text('id'),
    tenant: tenantOf(row.partitionKey),
    revision: Number(row.properties['revision']),
    schema_version: text('schema_version'),
    checksum: text('checksum'),
    stored_at: text('stored_at'),
  };
  const offset = Number(row.properties['offset']);
  const bytes = blobs.get(text('blob'))?.subarray(offset, offset + Number(row.properties['length']));
  const stored = bytes === undefined || !rowIntact(row) ? undefined : verifyStored(bytes, facts);
  return {
    row,
    id: facts.id,
    revision: facts.revision,
    eventId: text('event_id'),
    checksum: facts.checksum,
    previousChecksum: typeof previous === 'string' ? previous : undefined,
    storedAt: facts.stored_at,
    action: text('action'),
    data: stored === undefined || 'broken' in stored ? undefined : stored.data,
  };
}

function logOf(contents: StorageContents): Map<string, SurveyedLine[]> {
  const log = new Map<string, SurveyedLine[]>();
  const streams = contents.blobs.filter(({ container }) => container === 'audit');
  for (const { name, bytes } of streams.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const tenant = name.slice(0, name.indexOf('/'));
    const lines = Buffer.from(bytes).toString('utf8').split('\n');
    const known = log.get(tenant) ?? [];
    // What follows the last newline is nothing, or half a line that no event is.
    const whole = lines.at(-1) === '' ? lines.slice(0, -1) : lines;
    known.push(...whole.map((text) => ({ text, event: JSON.parse(text) as SurveyedLine['event'] })));
    log.set(tenant, known);
  }
  return log;
}
