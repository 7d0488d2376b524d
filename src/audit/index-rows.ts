import { indexKey, keyValue, recordKey } from '../storage/keys.js';
import type { Properties, RowOperation } from '../storage/ports.js';
import { withRowChecksum } from '../storage/row-checksum.js';
import type { Unit } from './apply-units.js';
import type { PartitionGroup, SealedEvent } from './clear-order.js';

/** The rows of `auditevents` as values (audit-ledger.md, Events). Pure. */
type Write = Exclude<RowOperation, { kind: 'delete' }>;

/** Columns of the permanent row `r:<event id>`; the leaf index is there once the event is sealed. */
export function eventColumns(
  event: { readonly text: string; readonly schemaVersion: string; readonly sealed: string | undefined },
  leafIndex?: number,
): Properties {
  return {
    event: event.text,
    schema_version: event.schemaVersion,
    ...(event.sealed === undefined ? {} : { sealed: event.sealed }),
    ...(leafIndex === undefined ? {} : { leaf_index: leafIndex }),
  };
}

/** Keys of an event's index rows: all, by actor, by resource, by type; newest first. */
export function indexKeysOf(event: Pick<SealedEvent, 'facts' | 'atMs'>): readonly string[] {
  const { facts, atMs } = event;
  return [
    ['all', ''],
    ['actor', facts.actor],
    ['resource_id', facts.resource_id],
    ['event_type', facts.event_type],
  ].map(([index = '', value = '']) => indexKey(index, keyValue(value), atMs, facts.event_id));
}

/** One unit per event: its index rows and what makes its permanent row complete. */
export function indexUnits(group: PartitionGroup): readonly Unit[] {
  return group.events.map((event) => {
    const permanent = recordKey(event.facts.event_id);
    const whole = eventColumns(
      { text: event.event, schemaVersion: event.facts.schema_version, sealed: event.sealed },
      event.leaf_index,
    );
    const listed: Properties = {
      event: event.event,
      schema_version: event.facts.schema_version,
      leaf_index: event.leaf_index,
    };
    const row = (rowKey: string, columns: Properties): Write => ({
      kind: 'insert',
      rowKey,
      properties: withRowChecksum(group.partitionKey, rowKey, columns),
    });
    const index = indexKeysOf(event).map((rowKey) => row(rowKey, listed));
    const complete = row(permanent, whole);
    return event.bornInIndex ? bornUnit(event, complete, index) : changeUnit(complete, index);
  });
}

/** A change: all five rows are the sealer's. Its pending row is elsewhere and goes afterwards. */
function changeUnit(complete: Write, index: readonly Write[]): Unit {
  const rows = [complete, ...index];
  return {
    operations: rows,
    proof: { rowKey: complete.rowKey, gone: false },
    force: rows.map(asUpsert),
  };
}

/**
 * An event without a change: its permanent row is there and only gets its leaf index. Its pending row goes in the
 * same transaction, so that a finisher that slept meanwhile finds it gone and changes nothing.
 */
function bornUnit(event: SealedEvent, complete: Write, index: readonly Write[]): Unit {
  const { leaf_index, row_checksum } = complete.properties as { leaf_index: number; row_checksum: string };
  const clear: RowOperation = { kind: 'delete', rowKey: event.row_key, etag: '*' };
  return {
    operations: [
      { kind: 'merge', rowKey: complete.rowKey, properties: { leaf_index, row_checksum }, etag: '*' },
      ...index,
      clear,
    ],
    proof: { rowKey: event.row_key, gone: true },
    force: [asUpsert(complete), ...index.map(asUpsert), clear],
  };
}

function asUpsert(write: Write): RowOperation {
  return { kind: 'upsert', rowKey: write.rowKey, properties: write.properties };
}

/** One unit per pending row to be deleted. */
export function clearUnits(group: PartitionGroup): readonly Unit[] {
  return group.events.map(({ row_key }) => ({
    operations: [{ kind: 'delete', rowKey: row_key, etag: '*' }],
    proof: { rowKey: row_key, gone: true },
  }));
}
