import type { PartitionRef } from '../storage/directory.js';
import { keyValue } from '../storage/keys.js';
import type { Properties, Row } from '../storage/ports.js';
import { rowIntact, withRowChecksum } from '../storage/row-checksum.js';
import { textColumns, textOf } from '../storage/text-columns.js';
import { LIMITS } from '../domain/limits.js';
import { addCounts, type Counts, type Step } from './job.js';
import { addReports, type DisposalReport } from './report.js';

/** What a round of a job has to do in one partition, and how far it is: the truth of it, whatever messages say. */
export interface Work extends PartitionRef {
  /** When the round began that it is part of: its name. */
  readonly roundMs: number;
  /** `failed`: given up until the next round. */
  readonly state: 'waiting' | 'done' | 'failed';
  /** Where it goes on; empty at its beginning. */
  readonly cursor: string;
  readonly counts: Counts;
  readonly report: DisposalReport;
  /** False until somebody was about to send a message for it. */
  readonly sent: boolean;
  /** Tries since it last got anywhere. */
  readonly attempts: number;
  /** Why the last of them broke off; empty when it got somewhere. */
  readonly error: string;
}

/** Work as it is stored. */
export interface KeptWork {
  readonly work: Work;
  readonly rowKey: string;
  readonly etag: string;
  /** The service's clock when it was last written. */
  readonly timestampMs: number;
}

/** Within the rows of a job: by tenant, and of a tenant in the order of the directory. */
export function workKey({ tenant, table, partition }: PartitionRef): string {
  return `${tenant}:${table}:${keyValue(partition)}`;
}

export function newWork({ tenant, table, partition }: PartitionRef, roundMs: number, sent: boolean): Work {
  const nothing = { cursor: '', counts: {}, report: {}, attempts: 0, error: '' };
  return { tenant, table, partition, roundMs, state: 'waiting', sent, ...nothing };
}

/** After a step that got somewhere. Pure. */
export function advanced(work: Work, step: Step): Work {
  const counts = addCounts(work.counts, step.counts);
  const report = addReports(work.report, step.report);
  const state = step.next === undefined ? 'done' : 'waiting';
  return { ...work, state, cursor: step.next ?? '', counts, report, attempts: 0, error: '' };
}

/** After a try that broke off; one too many gives it up. Pure. */
export function broken(work: Work, error: string): Work {
  const attempts = work.attempts + 1;
  return { ...work, attempts, error, state: attempts >= LIMITS.workAttempts ? 'failed' : 'waiting' };
}

/** Whether anybody has begun with it. Pure. */
export function isTakenUp({ state, cursor, attempts }: Work): boolean {
  return state !== 'waiting' || cursor !== '' || attempts > 0;
}

/** What a round counts of it. Pure. */
export function countsOfWork({ state, counts }: Work): Counts {
  if (state === 'waiting') return { ...counts, partitionsWaiting: 1 };
  return state === 'failed' ? { ...counts, partitionsFailed: 1 } : counts;
}

/** `mark` is of this one writing: who gets no answer knows by it whether the row is the one that was written. */
export function workColumns(partition: string, rowKey: string, work: Work, mark: string): Properties {
  return withRowChecksum(partition, rowKey, {
    schema_version: '1.0',
    tenant: work.tenant,
    table: work.table,
    partition: work.partition,
    round_ms: work.roundMs,
    state: work.state,
    ...textColumns('cursor', work.cursor),
    counts: JSON.stringify(work.counts),
    ...textColumns('report', JSON.stringify(work.report)),
    sent: work.sent,
    attempts: work.attempts,
    error: work.error,
    mark,
  });
}

/** Undefined for a row that is not what was written. */
export function parseWork(row: Row): Work | undefined {
  if (!rowIntact(row)) return undefined;
  const { properties } = row;
  return {
    tenant: String(properties['tenant']),
    table: String(properties['table']),
    partition: String(properties['partition']),
    roundMs: Number(properties['round_ms']),
    state: properties['state'] as Work['state'],
    cursor: textOf('cursor', properties),
    counts: JSON.parse(String(properties['counts'])) as Counts,
    report: JSON.parse(textOf('report', properties)) as DisposalReport,
    sent: properties['sent'] === true,
    attempts: Number(properties['attempts']),
    error: String(properties['error']),
  };
}
