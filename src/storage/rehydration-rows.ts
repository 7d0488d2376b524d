import { formatTime } from '../domain/clock.js';
import { AppError } from '../domain/errors.js';
import type { RecordType } from '../domain/record-type.js';
import { rehydrationKey } from './keys.js';
import type { Properties, RehydratePriority, Row } from './ports.js';
import { broken } from './record-row.js';
import { rowIntact, withRowChecksum } from './row-checksum.js';
import { textColumns, textOf } from './text-columns.js';

/** A pack in the archive, and the hot blob that it was or is being copied to. */
export interface PackCopy {
  readonly pack: string;
  readonly copy: string;
}

/** The row `y:<id>` in the partition of a record: what of it was brought back from the archive. */
export interface Rehydration {
  readonly id: string;
  readonly operationId: string;
  readonly priority: RehydratePriority;
  readonly state: 'pending' | 'ready';
  readonly copies: readonly PackCopy[];
  readonly requestedMs: number;
  /** Until when the copies stay; undefined while they are not there. */
  readonly untilMs: number | undefined;
}

export interface StoredRehydration extends Rehydration {
  readonly etag: string;
}

/** Columns of the row, with its checksum. */
export function rehydrationRow(
  partitionKey: string,
  one: Rehydration,
): { readonly rowKey: string; readonly properties: Properties } {
  const rowKey = rehydrationKey(one.id);
  const columns = {
    schema_version: '1.0',
    id: one.id,
    operation_id: one.operationId,
    priority: one.priority,
    state: one.state,
    requested_at: formatTime(one.requestedMs),
    ...(one.untilMs === undefined ? {} : { until: formatTime(one.untilMs) }),
    ...textColumns('copies', JSON.stringify(one.copies)),
  };
  return { rowKey, properties: withRowChecksum(partitionKey, rowKey, columns) };
}

/** Reads the row. Throws `integrity-failure` when it is not what was written. */
export function parseRehydration(row: Row): StoredRehydration {
  const { properties } = row;
  const text = (name: string): string => String(properties[name]);
  if (!rowIntact(row)) throw broken(row.rowKey.slice(rehydrationKey('').length), 0, 'rehydration row');
  const until = properties['until'];
  return {
    id: text('id'),
    operationId: text('operation_id'),
    priority: text('priority') as RehydratePriority,
    state: text('state') as Rehydration['state'],
    copies: JSON.parse(textOf('copies', properties)) as readonly PackCopy[],
    requestedMs: Date.parse(text('requested_at')),
    untilMs: typeof until === 'string' ? Date.parse(until) : undefined,
    etag: row.etag,
  };
}

/** `record-archived`: the record is there and cannot be read now (http-api.md, Errors). */
export function archived({ collection }: RecordType, id: string): AppError {
  return new AppError('record-archived', 'It is in the archive. Ask for it to be brought back, and read it then.', { evidence: { collection, id } }); // prettier-ignore
}
