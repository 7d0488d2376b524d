import { describe, expect, it } from 'vitest';
import { factsOf, isCorrupt, parsePending } from '../../src/audit/pending-row.js';
import { LIMITS } from '../../src/domain/limits.js';
import { partitionKey } from '../../src/storage/keys.js';
import type { Properties } from '../../src/storage/ports.js';
import { withRowChecksum } from '../../src/storage/row-checksum.js';
import { DECISIONS, pendingChange, TENANT } from './support.js';

const KEY = partitionKey(TENANT, DECISIONS.partition);
const { rowKey, properties: written } = pendingChange(DECISIONS, {
  record: 'dec_1',
  revision: 2,
  atMs: Date.UTC(2026, 0, 10),
});
const { row_checksum: _checksum, ...columns } = written;
const event = JSON.parse(String(columns['event'])) as Record<string, unknown>;

/** The row with changed columns, and with a checksum that says they were meant. */
function parsed(change: Properties, key = rowKey, ref = DECISIONS) {
  const properties = withRowChecksum(KEY, key, { ...columns, ...change });
  return parsePending(ref, { partitionKey: KEY, rowKey: key, etag: '"1"', timestampMs: 0, properties });
}
const eventWith = (change: object): Properties => ({ event: JSON.stringify({ ...event, ...change }) });

describe('a pending row', () => {
  it('is the event, its record and its place', () => {
    const expected = {
      eventId: rowKey.slice(2),
      text: columns['event'],
      sealed: undefined,
      change: { record: 'dec_1', revision: 2 },
      table: 'decisions',
      partitionKey: KEY,
      rowKey,
    };
    expect(parsed({})).toEqual(expected);
    expect(parsed({ sealed: '{}' })).toEqual({ ...expected, sealed: '{}' });
    const { revision: _revision, ...unchanged } = event;
    const text = JSON.stringify(unchanged);
    expect(parsed({ event: text })).toEqual({ ...expected, text, change: undefined });
  });

  it.each<[string, Properties]>([
    ['is no text', { event: 7 }],
    ['is no JSON', { event: '{' }],
    ['is no object', { event: '[]' }],
    ['has another id', eventWith({ event_id: 'evt_other' })],
    ['is another tenant’s', eventWith({ tenant: 'other' })],
    ['has no time', eventWith({ timestamp: 'now' })],
    ['has no revision that could be', eventWith({ revision: 0 })],
    ['is more than one line', { event: JSON.stringify(event, null, 1) }],
    ['is no Unicode', { event: String(columns['event']).replace('"test"', '"\ud800"') }],
    ['is larger than an event may be', eventWith({ details: { note: 'é'.repeat(LIMITS.eventBytes / 2) } })],
  ])('is corrupt when its event %s, though its checksum holds', (_, change) => {
    const row = parsed(change);
    if (!isCorrupt(row)) throw new Error('it is not taken for corrupt');
    expect(row.row).toEqual({ tenant: TENANT, table: 'decisions', partition: '2026-01', rowKey });
    expect([...row.records]).toEqual(['dec_1']);
  });

  it('is corrupt under another key, in another tenant’s partition, and without its checksum', () => {
    expect(isCorrupt(parsed({}, `${rowKey}0`))).toBe(true);
    expect(isCorrupt(parsed({}, rowKey, { ...DECISIONS, tenant: 'other' }))).toBe(true);
    const bare = { partitionKey: KEY, rowKey, etag: '"1"', timestampMs: 0, properties: columns };
    expect(isCorrupt(parsePending(DECISIONS, bare))).toBe(true);
    expect(isCorrupt(parsed({}))).toBe(false);
  });

  it('that is corrupt may be of either record that it speaks of, or of none', () => {
    const recordsOf = (change: Properties) => {
      const row = parsed({ ...change }, `${rowKey}0`);
      return isCorrupt(row) ? [...row.records] : undefined;
    };
    expect(recordsOf({ record_id: 'dec_2' })).toEqual(['dec_2', 'dec_1']);
    expect(recordsOf({ event: '{}', record_id: 'dec_2' })).toEqual(['dec_2']);
    expect(recordsOf({ event: '{}', record_id: 7 })).toEqual([]);
  });

  it('may be as large as an event may be, and no larger', () => {
    const room = LIMITS.eventBytes - Buffer.byteLength(JSON.stringify({ ...event, details: { note: '' } }));
    expect(isCorrupt(parsed(eventWith({ details: { note: 'x'.repeat(room) } })))).toBe(false);
    expect(isCorrupt(parsed(eventWith({ details: { note: 'x'.repeat(room + 1) } })))).toBe(true);
  });
});

describe('the facts of an event', () => {
  it('are there when all of them are', () => {
    const { timestamp, actor, resource_type, resource_id, record_type, event_type } = event;
    const { schema_version } = event;
    expect(factsOf(String(columns['event']))).toEqual({
      event_id: rowKey.slice(2),
      tenant: TENANT,
      revision: 2,
      ...{ timestamp, actor, resource_type, resource_id, record_type, event_type, schema_version },
    });
    for (const member of ['event_id', 'event_type', 'schema_version', 'tenant', 'timestamp', 'actor', 'resource_id']) {
      expect(factsOf(JSON.stringify({ ...event, [member]: undefined }))).toBeUndefined();
    } // prettier-ignore
    for (const member of ['event_id', 'event_type', 'schema_version', 'tenant'])
      expect(factsOf(JSON.stringify({ ...event, [member]: '' }))).toBeUndefined();
  });
});
