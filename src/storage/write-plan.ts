import type { AuditEvent } from '../domain/audit-event.js';
import type { SealedSecrets } from '../domain/commitment.js';
import { linksOf } from '../domain/links.js';
import type { RecordData, RecordType } from '../domain/record-type.js';
import { blindColumns, type Blinds } from './blinds.js';
import type { PartitionRef } from './directory.js';
import { partitionKey, recordKey, revisionKey } from './keys.js';
import { pendingEvent } from './pending-event.js';
import type { Properties, RowOperation } from './ports.js';
import { listPartition } from './record-location.js';
import { nameOperation } from './record-locator.js';
import {
  createdAtOf,
  indexKeysOf,
  recordRowColumns,
  revisionRowColumns,
  summaryColumns,
  summaryMembers,
  type RecordRow,
  type RevisionFacts,
} from './record-row.js';
import { withRowChecksum } from './row-checksum.js';

/** A blob to be written before the commit. */
export interface BlobWrite {
  readonly container: string;
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly contentType: string;
}

/**
 * Everything one write will do, as a value: it can be printed, compared and tested before it is executed
 * (`storage/commit.ts`). The blob comes first and means nothing by itself; the transaction is the commit point.
 */
export interface WritePlan {
  readonly partition: PartitionRef;
  readonly blob: BlobWrite | undefined;
  readonly operations: readonly RowOperation[];
  /** The revision row that tells, after an ambiguous failure, whether this very attempt was committed. */
  readonly witness: { readonly rowKey: string; readonly eventId: string };
}

/** One revision to be committed. */
export interface RevisionToWrite {
  readonly type: RecordType;
  readonly facts: RevisionFacts;
  readonly data: RecordData;
  /** Hashes of its sensitive members that indexes name. */
  readonly blinds: Blinds;
  /** The data as lists show it, where parts of the record have made it another. */
  readonly listed?: RecordData | undefined;
  readonly event: AuditEvent;
  /** Blind hashes of everybody that the revision names. */
  readonly subjects: readonly string[];
  /** Sealed `ip_address` and `session_id` of the event, if it has them. */
  readonly sealedEvent: SealedSecrets;
  /** The row this revision follows; undefined for the first. */
  readonly previous: RecordRow | undefined;
  /** ETag of the void row that the first revision of a record takes the place of, where there is one. */
  readonly voidEtag?: string | undefined;
}

/**
 * The row operations of one revision: record, revision, index rows, pending event; at most 8 for a new decision. Index
 * rows of another partition are named by the record row, and written after the commit (`list-refresh.ts`).
 */
export function revisionOperations(partition: PartitionRef, write: RevisionToWrite): readonly RowOperation[] {
  const { type, facts, data, previous } = write;
  const replaced = previous?.etag ?? write.voidEtag;
  const key = partitionKey(partition.tenant, partition.partition);
  const sealed = (rowKey: string, columns: Properties): Properties => withRowChecksum(key, rowKey, columns);
  const createdAt = createdAtOf(type, facts.id, data);
  const summary = { ...summaryMembers(type, write.listed ?? data), ...blindColumns(write.blinds) };
  const indexKeys = indexKeysOf(type, facts.id, data, write.blinds);
  const beside = listPartition(type, partition.tenant) === undefined;
  const record = recordKey(facts.id);
  const columns = sealed(
    record,
    recordRowColumns(
      type,
      facts,
      createdAt,
      indexKeys,
      summary,
      linksOf(type, facts.id, data),
      previous?.history,
    ),
  );
  const revision = revisionKey(facts.id, facts.revision);
  const listed = summaryColumns(type, facts, createdAt, summary);
  return [
    replaced === undefined
      ? { kind: 'insert', rowKey: record, properties: columns }
      : { kind: 'replace', rowKey: record, properties: columns, etag: replaced },
    { kind: 'insert', rowKey: revision, properties: sealed(revision, revisionRowColumns(type, facts)) },
    ...(beside ? indexKeys : []).map((rowKey): RowOperation => ({
      kind: previous === undefined ? 'insert' : 'upsert',
      rowKey,
      properties: sealed(rowKey, listed),
    })),
    ...((beside ? previous?.indexKeys : undefined) ?? [])
      .filter((rowKey) => !indexKeys.includes(rowKey))
      .map((rowKey): RowOperation => ({ kind: 'delete', rowKey, etag: '*' })),
    ...(previous === undefined ? nameOperation(type, partition, facts.id, data) : []),
    pendingEvent(key, write.event, write.sealedEvent, facts, write.subjects),
  ];
}

/** The plan of a write of one revision with a blob of its own. */
export function revisionPlan(
  partition: PartitionRef,
  write: RevisionToWrite,
  blob: BlobWrite,
  extra: readonly RowOperation[],
): WritePlan {
  return {
    partition,
    blob,
    operations: [...revisionOperations(partition, write), ...extra],
    witness: { rowKey: revisionKey(write.facts.id, write.facts.revision), eventId: write.facts.eventId },
  };
}

/** A plan as text, one step a line, without any content: for logs, tests and people. */
export function describePlan(plan: WritePlan): string {
  const { partition, blob, operations } = plan;
  return [
    ...(blob === undefined
      ? []
      : [`put ${blob.container}/${blob.name} (${String(blob.bytes.length)} bytes, once)`]),
    `commit ${partition.table} ${partitionKey(partition.tenant, partition.partition)}`,
    ...operations.map((step) => `  ${step.kind} ${step.rowKey}`),
  ].join('\n');
}
