import type { Properties, Row } from './ports.js';
import { rowIntact, withRowChecksum } from './row-checksum.js';
import { prefixRange } from './keys.js';
import type { DisposalCause } from './tombstone-row.js';

/**
 * `t:<id>` beside a tombstone that was put there lately: so that what is to be cleared is found without a walk over every
 * tombstone there ever was, and what a round has disposed of can be counted, whatever became of the hosts at work.
 */
export interface Clearing {
  readonly id: string;
  readonly cause: DisposalCause;
  /** When the round that disposed of it began, milliseconds; 0 when it was no round. */
  readonly roundMs: number;
  /** From when the record's period counted, milliseconds; undefined where no period was the reason. */
  readonly sinceMs: number | undefined;
  /** Where it is of earlier revisions: how many, when the first and the last of them were followed, and their event. */
  readonly revisions?: number;
  readonly untilMs?: number | undefined;
  readonly eventId?: string;
  /** `due`: to be cleared; `again`: was, and is to be looked at again for what a slow writer left; `done`: it was. */
  readonly state: 'due' | 'again' | 'done';
}

export const CLEARINGS = prefixRange('t:');

/** Of a record; of revisions before `historyFrom` that went while it stayed. */
export const clearingKey = (id: string, historyFrom?: number): string =>
  historyFrom === undefined ? `t:${id}` : `t:${id}:${String(historyFrom).padStart(10, '0')}`;

export function clearingRow(
  partitionKey: string,
  { id, cause, roundMs, sinceMs, untilMs, revisions, eventId, state }: Clearing,
  rowKey = clearingKey(id),
): { readonly rowKey: string; readonly properties: Properties } {
  const columns = {
    schema_version: '1.0',
    id,
    cause,
    round_ms: roundMs,
    ...(sinceMs === undefined ? {} : { since_ms: sinceMs }),
    ...(untilMs === undefined ? {} : { until_ms: untilMs }),
    ...(revisions === undefined ? {} : { revisions }),
    ...(eventId === undefined ? {} : { event_id: eventId }),
    state,
  };
  return { rowKey, properties: withRowChecksum(partitionKey, rowKey, columns) };
}

/** Undefined for a row that is not what was written: then it says nothing, and the tombstone is looked at again. */
export function parseClearing(row: Row): Clearing | undefined {
  if (!rowIntact(row)) return undefined;
  const { properties } = row;
  const number = (name: string): number | undefined =>
    properties[name] === undefined ? undefined : Number(properties[name]);
  const revisions = number('revisions');
  return {
    id: String(properties['id']),
    cause: String(properties['cause']) as DisposalCause,
    roundMs: Number(properties['round_ms']),
    sinceMs: number('since_ms'),
    untilMs: number('until_ms'),
    ...(revisions === undefined ? {} : { revisions }),
    state: String(properties['state']) as Clearing['state'],
  };
}
