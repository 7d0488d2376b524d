import { describe, expect, it } from 'vitest';
import { clearOrder, indexOrder, lastCleared } from '../../src/audit/clear-order.js';
import { clearUnits, eventColumns, indexUnits } from '../../src/audit/index-rows.js';
import { LEDGER_SCHEMA_VERSION, type Stage, type StagedEvent } from '../../src/audit/ledger-state.js';
import { indexKey, partitionKey } from '../../src/storage/keys.js';
import type { Properties } from '../../src/storage/ports.js';
import { withRowChecksum } from '../../src/storage/row-checksum.js';
import { DECISIONS, pendingChange, TENANT } from './support.js';

const AT = Date.UTC(2026, 0, 10, 12);
const KEY = partitionKey(TENANT, '2026-01-10');
const ACTOR = 'act_00000000-0000-7000-8000-000000000000';

/** A staged event; one that is no change has its pending row where its index rows go. */
function staged(leaf: number, place: Partial<StagedEvent> = {}): StagedEvent {
  const change = { record: `dec_${String(leaf)}`, revision: 1, atMs: AT + leaf };
  const { rowKey, properties } = pendingChange(DECISIONS, change);
  return {
    table: 'decisions',
    partition_key: partitionKey(TENANT, DECISIONS.partition),
    row_key: rowKey,
    leaf_index: leaf,
    event: String(properties['event']),
    ...place,
  };
}
const born = { table: 'auditevents', partition_key: KEY };
const stage = (...events: StagedEvent[]): Stage => ({
  schema_version: LEDGER_SCHEMA_VERSION,
  tenant: TENANT,
  follows: 0,
  stream: { name: 's', offset: 0, lines: events.length, create: true },
  events,
});
const unitsOf = (event: StagedEvent) => indexOrder(stage(event)).flatMap(indexUnits);
const permanentKey = ({ row_key }: StagedEvent): string => `r:${row_key.slice(2)}`;
const sealed = (rowKey: string, columns: Properties) => ({ rowKey, properties: withRowChecksum(KEY, rowKey, columns) }); // prettier-ignore

/** The four index rows of an event. */
function indexRows(event: StagedEvent, leaf: number) {
  const id = event.row_key.slice(2);
  const columns = { event: event.event, schema_version: '1.0', leaf_index: leaf };
  return [
    ['all', ''],
    ['actor', ACTOR],
    ['resource_id', `dec_${String(leaf)}`],
    ['event_type', 'record.created'],
  ].map(([index = '', value = '']) => sealed(indexKey(index, value, AT + leaf, id), columns));
}

describe('the index rows of a change', () => {
  it('are inserted with its permanent row, which proves them, and forced as a whole', () => {
    const event = staged(3, { sealed: '{}' });
    const columns = { event: event.event, schema_version: '1.0', leaf_index: 3, sealed: '{}' };
    const rows = [sealed(permanentKey(event), columns), ...indexRows(event, 3)];
    expect(unitsOf(event)).toEqual([
      {
        operations: rows.map((row) => ({ kind: 'insert', ...row })),
        proof: { rowKey: permanentKey(event), gone: false },
        force: rows.map((row) => ({ kind: 'upsert', ...row })),
      },
    ]);
  });

  it('leave its pending row to be cleared afterwards, which is the last of all', () => {
    const [event, other] = [staged(0), staged(1, born)];
    const [group] = clearOrder(stage(event, other));
    if (group === undefined) throw new Error('there is something to clear');
    expect(clearUnits(group)).toEqual([
      {
        operations: [{ kind: 'delete', rowKey: event.row_key, etag: '*' }],
        proof: { rowKey: event.row_key, gone: true },
      },
    ]);
    const { table, partition_key, row_key } = event;
    expect(lastCleared(stage(event, other))).toEqual({ table, partition_key, row_key });
  });
});

describe('the index rows of an event that is no change', () => {
  it('complete its permanent row and clear its pending row in one', () => {
    const event = staged(4, born);
    const columns = { event: event.event, schema_version: '1.0', leaf_index: 4 };
    const whole = sealed(permanentKey(event), columns);
    const { leaf_index, row_checksum } = whole.properties as { leaf_index: number; row_checksum: string };
    const clear = { kind: 'delete', rowKey: event.row_key, etag: '*' };
    const index = indexRows(event, 4);
    expect(unitsOf(event)).toEqual([
      {
        operations: [
          { kind: 'merge', rowKey: whole.rowKey, properties: { leaf_index, row_checksum }, etag: '*' },
          ...index.map((row) => ({ kind: 'insert', ...row })),
          clear,
        ],
        proof: { rowKey: event.row_key, gone: true },
        force: [whole, ...index].map((row): object => ({ kind: 'upsert', ...row })).concat(clear),
      },
    ]);
    expect(clearOrder(stage(event))).toEqual([]);
    expect(lastCleared(stage(staged(0, born), event)).row_key).toBe(event.row_key);
  });
});

describe('the columns of an event', () => {
  it('have no leaf index before it is sealed, and no sealed values where there are none', () => {
    const bare = { text: '{}', schemaVersion: '1.0', sealed: undefined };
    expect(Object.keys(eventColumns(bare))).toEqual(['event', 'schema_version']);
    expect(eventColumns({ ...bare, sealed: 'x' }, 0)).toEqual({ event: '{}', schema_version: '1.0', sealed: 'x', leaf_index: 0 }); // prettier-ignore
  });
});

describe('the order of partitions', () => {
  it('is that of their first events, each once, whatever lies between', () => {
    const other = { partition_key: partitionKey(TENANT, '2026-02') };
    const events = [staged(0), staged(1, other), staged(2), staged(3, born)];
    const order = clearOrder(stage(...events)).map(({ partitionKey: key, events: of }) => [key, of.length]);
    expect(order).toEqual([
      ['acme:2026-01', 2],
      ['acme:2026-02', 1],
    ]);
    expect(indexOrder(stage(...events)).map(({ partitionKey: key }) => key)).toEqual([KEY]);
    expect(lastCleared(stage(...events)).row_key).toBe(events[1]?.row_key);
  });

  it('is refused for a leaf that is no event', () => {
    expect(() => indexOrder(stage(staged(0, { event: '{}' })))).toThrow(
      expect.objectContaining({ code: 'integrity-failure' }),
    );
  });
});
