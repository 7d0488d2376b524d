import { AppError } from '../domain/errors.js';
import { recordKey } from './keys.js';
import type { Properties, Row } from './ports.js';
import { broken } from './record-row.js';
import { rowIntact, withRowChecksum } from './row-checksum.js';
import { textColumns, textOf } from './text-columns.js';

/** Why a record was disposed of. */
export type DisposalCause = 'retention' | 'erasure';

/**
 * What stands at `r:<id>` for ever where a record was disposed of: that it was, when and why, and nothing that it said.
 * Reads answer 410, and no record can be made under the id again.
 */
export interface Tombstone {
  readonly id: string;
  readonly recordType: string;
  readonly disposedAt: string;
  readonly cause: DisposalCause;
  /** Its `record.disposed` event. */
  readonly eventId: string;
  /** The last revision there was, its checksum, and the time that the record was listed by. */
  readonly revision: number;
  readonly checksum: string;
  readonly createdAt: string;
  /** `clearing`: what is left of the record may still lie beside it; `cleared`: nothing does. */
  readonly state: 'clearing' | 'cleared';
  /** While it is clearing: what the record was derived from, for the rows of `lineage`. */
  readonly links: readonly string[];
  /** While it is clearing: times of the first and the last value of its series, milliseconds, once they are known. */
  readonly bounds: readonly [firstMs: number, lastMs: number] | undefined;
}

/** The row of a tombstone, to be written in the place of the record's. */
export function tombstoneRow(
  partitionKey: string,
  tombstone: Tombstone,
): { readonly rowKey: string; readonly properties: Properties } {
  const rowKey = recordKey(tombstone.id);
  const { bounds, links } = tombstone;
  const clearing = tombstone.state === 'clearing';
  const columns: Properties = {
    tombstone: true,
    schema_version: '1.0',
    id: tombstone.id,
    record_type: tombstone.recordType,
    disposed_at: tombstone.disposedAt,
    cause: tombstone.cause,
    event_id: tombstone.eventId,
    revision: tombstone.revision,
    checksum: tombstone.checksum,
    created_at: tombstone.createdAt,
    state: tombstone.state,
    ...(clearing && links.length > 0 ? textColumns('links', JSON.stringify(links)) : {}),
    ...(clearing && bounds !== undefined ? { first_ms: bounds[0], last_ms: bounds[1] } : {}),
  };
  return { rowKey, properties: withRowChecksum(partitionKey, rowKey, columns) };
}

/** True for a tombstone. Throws `integrity-failure` for one that was altered, or for a record that was made to look like one. */
export function isTombstone(row: Row): boolean {
  if (row.properties['tombstone'] === undefined) return false;
  if (!rowIntact(row)) throw broken(row.rowKey.slice(2), 0, 'row');
  return row.properties['tombstone'] === true;
}

/** Reads a row for which `isTombstone` holds. */
export function parseTombstone({ properties }: Row): Tombstone {
  const text = (name: string): string => String(properties[name]);
  const first = properties['first_ms'];
  return {
    id: text('id'),
    recordType: text('record_type'),
    disposedAt: text('disposed_at'),
    cause: text('cause') as DisposalCause,
    eventId: text('event_id'),
    revision: Number(properties['revision']),
    checksum: text('checksum'),
    createdAt: text('created_at'),
    state: text('state') as Tombstone['state'],
    links: JSON.parse(textOf('links', properties) || '[]') as string[],
    bounds: first === undefined ? undefined : [Number(first), Number(properties['last_ms'])],
  };
}

/** `record-erased`: the record, or the revision that is asked for, was disposed of. */
export function disposedOf(what = 'record'): AppError {
  return new AppError('record-erased', `The ${what} was disposed of: its time was over, or it was erased.`);
}
