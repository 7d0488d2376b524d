import { dayOf, partitionKey } from '../storage/keys.js';
import { parseTime } from '../domain/clock.js';
import type { NamedSubject } from '../storage/subject-rows.js';
import { ledgerBroken, type PendingRowRef, type Stage, type StagedEvent } from './ledger-state.js';
import { factsOf, type EventFacts } from './pending-row.js';

/** Table of the index over all events; derived, but for pending rows and sealed values. */
export const INDEX_TABLE = 'auditevents';

/** A staged event with what the index needs of it. */
export interface SealedEvent extends StagedEvent {
  readonly facts: EventFacts;
  /** Milliseconds of its timestamp. */
  readonly atMs: number;
  /** `YYYY-MM-DD` of its timestamp: the partition of its index rows. */
  readonly day: string;
  /**
   * True for an event without a change: its permanent row was inserted, together with its pending row, in the very
   * partition its index rows go to, so that the three are finished in one transaction.
   */
  readonly bornInIndex: boolean;
}

/** Events of one partition, in log order. */
export interface PartitionGroup {
  readonly table: string;
  readonly partitionKey: string;
  readonly events: readonly SealedEvent[];
}

/** The stage's events, read. Throws `integrity-failure` for what cannot be an event. */
function sealedEvents(stage: Stage): readonly SealedEvent[] {
  return stage.events.map((staged) => {
    const facts = factsOf(staged.event);
    if (facts === undefined)
      throw ledgerBroken(stage.tenant, `leaf ${String(staged.leaf_index)} is not an event`);
    const atMs = parseTime(facts.timestamp) as number;
    const day = dayOf(atMs);
    const bornInIndex =
      staged.table === INDEX_TABLE && staged.partition_key === partitionKey(stage.tenant, day);
    return { ...staged, facts, atMs, day, bornInIndex };
  });
}

/** The partitions of the index that the stage's rows go to, in the order they are written. */
export function indexOrder(stage: Stage): readonly PartitionGroup[] {
  return grouped(sealedEvents(stage), ({ day }) => [INDEX_TABLE, partitionKey(stage.tenant, day)]);
}

/** The partitions that hold pending rows of changes, in the order they are cleared, after the index is written. */
export function clearOrder(stage: Stage): readonly PartitionGroup[] {
  const elsewhere = sealedEvents(stage).filter(({ bornInIndex }) => !bornInIndex);
  return grouped(elsewhere, ({ table, partition_key }) => [table, partition_key]);
}

/** A revision that an event of a stage is of. */
export interface SealedChange {
  readonly recordType: string;
  readonly id: string;
  readonly revision: number;
}

/** The records that the stage's events changed, each with the last of its revisions. */
export function changesOf(stage: Stage): readonly SealedChange[] {
  const last = new Map<string, SealedChange>();
  for (const { facts } of sealedEvents(stage)) {
    const { record_type: recordType, resource_id: id, revision } = facts;
    // A record's events are in the order of its revisions.
    if (recordType !== undefined && revision !== undefined)
      last.set(`${recordType} ${id}`, { recordType, id, revision });
  }
  return [...last.values()];
}

/** Whom the stage's events name, as the index of subjects has it: each of a record once. */
export function namedByStage(stage: Stage): readonly NamedSubject[] {
  const once = new Map<string, NamedSubject>();
  for (const { subjects = '', facts } of sealedEvents(stage)) {
    const { resource_type: recordType = '', resource_id: recordId } = facts;
    for (const subject of subjects.split(' ').filter((hash) => hash !== ''))
      once.set(`${subject} ${recordId}`, { subject, recordType, recordId });
  }
  return [...once.values()];
}

/**
 * The pending row that finishing the stage deletes last. Everybody who finishes a stage takes the same steps in the
 * same order, so once this row is gone, somebody took them all: one point read tells a finished stage from another.
 */
export function lastCleared(stage: Stage): PendingRowRef {
  const cleared = clearOrder(stage);
  const order = cleared.length > 0 ? cleared : indexOrder(stage);
  const { table, partition_key, row_key } = order.at(-1)?.events.at(-1) as SealedEvent;
  return { table, partition_key, row_key };
}

function grouped(
  events: readonly SealedEvent[],
  placeOf: (event: SealedEvent) => readonly [table: string, partitionKey: string],
): readonly PartitionGroup[] {
  const groups = new Map<string, { table: string; partitionKey: string; events: SealedEvent[] }>();
  for (const event of events) {
    const [table, key] = placeOf(event);
    const group = groups.get(`${table} ${key}`) ?? { table, partitionKey: key, events: [] };
    group.events.push(event);
    groups.set(`${table} ${key}`, group);
  }
  return [...groups.values()];
}
