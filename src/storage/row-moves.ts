import type { Tier } from '../domain/envelope.js';
import type { Properties, Row, RowOperation } from './ports.js';
import type { DetailLocation } from './record-row.js';
import { withRowChecksum } from './row-checksum.js';

/** A revision row, and where its envelope is from now on. */
export interface RevisionMove {
  readonly row: Row;
  readonly to: DetailLocation;
}

/** What a record row has and its index rows have not (`record-row.ts`). */
const OF_RECORD = ['event_id', 'previous_checksum', 'action', 'blob', 'offset', 'length', 'index_keys'];
const isOfRecord = (name: string): boolean => OF_RECORD.includes(name) || /^(?:links_\d+|history_\w+)$/.test(name); // prettier-ignore

/** Rows of one transaction, besides the event: fewer revisions than this, so that the index rows have room. */
export const MOVED_AT_ONCE = 70;

/**
 * The operations that point revisions of a record at where their envelopes are from now on, all with the record row under
 * its ETag: a writer that is in between makes them fail, and a fence does (`lifecycle/fence.ts`). With the current
 * revision go the record row's own place and tier, and the tier that lists show. Pure.
 */
export function moveOperations(
  record: Row,
  moves: readonly RevisionMove[],
  tier: Tier,
): readonly RowOperation[] {
  const current = moves.find(({ row }) => row.properties['revision'] === record.properties['revision']);
  const columns = current === undefined ? record.properties : { ...record.properties, ...placed(current.to, tier) }; // prettier-ignore
  const sealed = (rowKey: string, properties: Properties): Properties => withRowChecksum(record.partitionKey, rowKey, bare(properties)); // prettier-ignore
  const { rowKey, etag } = record;
  const keys = JSON.parse(String(record.properties['index_keys'])) as string[];
  const listed = Object.fromEntries(Object.entries(columns).filter(([name]) => !isOfRecord(name)));
  return [
    { kind: 'replace', rowKey, properties: sealed(rowKey, columns), etag },
    ...moves.map(({ row, to }): RowOperation => ({
      kind: 'replace',
      rowKey: row.rowKey,
      properties: sealed(row.rowKey, { ...row.properties, ...placed(to, tier) }),
      etag: row.etag,
    })),
    // Whoever else writes index rows of this record replaces the record row too, so what is read of it holds for them.
    ...(current === undefined ? [] : keys).map((key): RowOperation => ({
      kind: 'upsert',
      rowKey: key,
      properties: sealed(key, listed),
    })),
  ];
}

function placed(to: DetailLocation, tier: Tier): Properties {
  return { tier, blob: to.blob, offset: to.offset, length: to.length };
}

function bare({ row_checksum: _, ...properties }: Properties): Properties {
  return properties;
}
