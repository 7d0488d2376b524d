import { parseTime } from '../../domain/clock.js';
import { isObject } from '../../domain/merge-patch.js';
import { dayOf, partitionKey } from '../../storage/keys.js';
import type { Row, RowOperation } from '../../storage/ports.js';
import { INDEX_TABLE, type SealedEvent } from '../clear-order.js';
import { indexUnits } from '../index-rows.js';
import { factsOf, type EventFacts } from '../pending-row.js';

/** An event of the log with what checks need of it. */
export interface LeafEvent {
  readonly leaf: number;
  readonly text: string;
  readonly facts: EventFacts;
  readonly resourceType: string;
  readonly checksum: string | undefined;
  readonly previousChecksum: string | undefined;
  readonly action: string;
  readonly details: Readonly<Record<string, unknown>>;
  /** Partition of its rows in the index of events. */
  readonly indexKey: string;
}

/** Undefined for bytes that are no event. */
export function leafEventOf(tenant: string, leaf: number, text: string): LeafEvent | undefined {
  const facts = factsOf(text);
  if (facts?.tenant !== tenant) return undefined;
  const json = JSON.parse(text) as Readonly<Record<string, unknown>>;
  const word = (name: string): string | undefined => typeof json[name] === 'string' ? json[name] : undefined; // prettier-ignore
  return {
    leaf,
    text,
    facts,
    resourceType: word('resource_type') ?? '',
    checksum: word('checksum'),
    previousChecksum: word('previous_checksum'),
    action: word('action') ?? '',
    details: isObject(json['details']) ? json['details'] : {},
    indexKey: partitionKey(tenant, dayOf(parseTime(facts.timestamp) ?? 0)),
  };
}

/** The rows that an event has in the index; `sealed` are the sealed values that its permanent row has. */
export function indexRowsOf(
  event: LeafEvent,
  sealed: string | undefined,
): readonly Extract<RowOperation, { readonly kind: 'upsert' }>[] {
  const atMs = parseTime(event.facts.timestamp) ?? 0;
  const one: SealedEvent = {
    leaf_index: event.leaf,
    event: event.text,
    ...(sealed === undefined ? {} : { sealed }),
    table: '',
    partition_key: '',
    row_key: '',
    facts: event.facts,
    atMs,
    day: dayOf(atMs),
    bornInIndex: false,
  };
  const [unit] = indexUnits({ table: INDEX_TABLE, partitionKey: event.indexKey, events: [one] });
  return (unit?.force ?? []).filter((operation) => operation.kind === 'upsert');
}

/** The sealed values in an event's permanent row. */
export function sealedIn(row: Row | undefined): string | undefined {
  const sealed = row?.properties['sealed'];
  return typeof sealed === 'string' ? sealed : undefined;
}
