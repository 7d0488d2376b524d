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
  /** `due`: to be cleared; `again`: was, and is to be looked at again for what a slow writer left; `done`: it was. */
  readonly state: 'due' | 'again' | 'done';
}

export const CLEARINGS = prefixRange('t:');

export const clearingKey = (id: string): string => `t:${id}`;

export function clearingRow(
  partitionKey: string,
  { id, cause, roundMs, sinceMs, state }: Clearing,
): { readonly rowKey: string; readonly properties: Properties } {
  const rowKey = clearingKey(id);
  const since = sinceMs === undefined ? {} : { since_ms: sinceMs };
  const columns = { schema_version: '1.0', id, cause, round_ms: roundMs, ...since, state };
  return { rowKey, properties: withRowChecksum(partitionKey, rowKey, columns) };
}

/** Undefined for a row that is not what was written: then it says nothing, and the tombstone is looked at again. */
export function parseClearing(row: Row): Clearing | undefined {
  if (!rowIntact(row)) return undefined;
  const { properties } = row;
  const since = properties['since_ms'];
  return {
    id: String(properties['id']),
    cause: String(properties['cause']) as DisposalCause,
    roundMs: Number(properties['round_ms']),
    sinceMs: since === undefined ? undefined : Number(since),
    state: String(properties['state']) as Clearing['state'],
  };
}
