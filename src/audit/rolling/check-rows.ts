import { parseTime } from '../../domain/clock.js';
import { dayOf, partitionKey, recordKey } from '../../storage/keys.js';
import type { Row } from '../../storage/ports.js';
import { rowIntact } from '../../storage/row-checksum.js';
import { rowsByKeys } from '../../storage/rows-by-keys.js';
import { INDEX_TABLE } from '../clear-order.js';
import { indexKeysOf } from '../index-rows.js';
import { factsOf } from '../pending-row.js';
import type { Turn } from './turn.js';

/** A leaf that the tiles bear out. */
export interface Leaf {
  readonly index: number;
  /** The exact bytes of the event, as text. */
  readonly text: string;
}

interface Expected extends Leaf {
  readonly eventId: string;
  /** The event's own row, and that of the list of all events. */
  readonly keys: readonly string[];
  /** Those of the other lists. */
  readonly others: readonly string[];
}

/** Rows of one range read: a bundle's events mostly lie together. */
const PAGE = 256;

/**
 * Holds the rows that events are answered from against their leaves: each event's own and that of the list of all events,
 * and of one event, by chance, those of the other lists. Mostly 2 range reads and 3 point reads for the events of a bundle;
 * where they are spread out among others, at most one for each. Resolves to the number of rows.
 */
export async function checkRows(turn: Turn, leaves: readonly Leaf[]): Promise<number> {
  const days = new Map<string, Expected[]>();
  for (const leaf of leaves) {
    const facts = factsOf(leaf.text);
    if (facts?.tenant !== turn.tenant) {
      turn.found('event.invalid', `leaf ${String(leaf.index)}`, 'it is no event of this tenant');
      continue;
    }
    const atMs = parseTime(facts.timestamp) as number;
    const [all = '', ...others] = indexKeysOf({ facts, atMs });
    const key = partitionKey(turn.tenant, dayOf(atMs));
    const event = { ...leaf, eventId: facts.event_id, keys: [recordKey(facts.event_id), all], others };
    days.set(key, [...(days.get(key) ?? []), event]);
  }
  let rows = 0;
  for (const [key, events] of days) rows += await checkDay(turn, key, events);
  return rows;
}

async function checkDay(turn: Turn, key: string, events: readonly Expected[]): Promise<number> {
  const own = await readRows(turn, key, events.map(({ keys }) => keys[0] as string)); // prettier-ignore
  const all = await readRows(turn, key, events.map(({ keys }) => keys[1] as string)); // prettier-ignore
  const rows = new Map([...own, ...all]);
  const chosen = events[drawn(turn, events.length)] as Expected;
  const { tables } = turn.tools;
  for (const rowKey of chosen.others) {
    const row = await turn.retry(() => tables.find(INDEX_TABLE, key, rowKey));
    if (row !== undefined) rows.set(rowKey, row);
  }
  for (const event of events)
    for (const rowKey of event === chosen ? [...event.keys, ...event.others] : event.keys) {
      const fault = faultOf(rows.get(rowKey), event);
      // The value of an index may be anything: the row is named by what it is of.
      const name = rowKey.startsWith('i:') ? `the index ${rowKey.split(':')[1] ?? ''}` : 'its own row';
      if (fault !== undefined)
        turn.found('event.index', `${INDEX_TABLE} ${key} ${event.eventId}`, `${name}: ${fault} (leaf ${String(event.index)})`); // prettier-ignore
    }
  return 2 * events.length + chosen.others.length;
}

/** A number below `count` that nobody can foresee. */
function drawn({ tools }: Turn, count: number): number {
  const [a = 0, b = 0] = tools.entropy.bytes(2);
  return (a * 256 + b) % count;
}

function faultOf(row: Row | undefined, { index, text }: Leaf): string | undefined {
  if (row === undefined) return 'there is no such row';
  if (row.properties['event'] !== text) return 'it has another event than the leaf';
  if (row.properties['leaf_index'] !== index) return 'it names another leaf';
  return rowIntact(row) ? undefined : 'its checksum does not hold';
}

/** The rows of a day that have these keys. */
function readRows(turn: Turn, key: string, rowKeys: readonly string[]): Promise<ReadonlyMap<string, Row>> {
  const { tables } = turn.tools;
  return rowsByKeys((query) => turn.retry(() => tables.range(INDEX_TABLE, key, query)), rowKeys, PAGE);
}
