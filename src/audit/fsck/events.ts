import pLimit from 'p-limit';
import { isAppError } from '../../domain/errors.js';
import { partitionKey, recordKey, revisionKey } from '../../storage/keys.js';
import type { Row, RowOperation } from '../../storage/ports.js';
import { partKey, partsPartition } from '../../storage/part-rows.js';
import { timeOfId } from '../../storage/record-location.js';
import { SYSTEM_TABLE, type PartitionRef } from '../../storage/directory.js';
import { INDEX_TABLE } from '../clear-order.js';
import { leafHash } from '../merkle.js';
import { checkDisposed, wasDisposed } from './disposals.js';
import type { Found } from './findings.js';
import { indexRowsOf, sealedIn, type LeafEvent } from './leaf-event.js';
import { checkListed } from './listed.js';
import { checkToldOf } from './told-of.js';
import { AT_ONCE, differing, keyOf, rowAt, type Reads } from './tools.js';

/** Events of one bundle: each has its five rows in the index, and what it says was changed is stored so. */
export async function checkEvents(
  reads: Reads,
  tenant: string,
  events: readonly LeafEvent[],
  found: Found,
): Promise<void> {
  const days = new Map<string, LeafEvent[]>();
  for (const event of events) {
    const day = days.get(event.indexKey) ?? [];
    day.push(event);
    days.set(event.indexKey, day);
  }
  for (const [key, ofDay] of days) {
    const partition = key.slice(partitionKey(tenant, '').length);
    await checkListed(reads, { tenant, table: INDEX_TABLE, partition }, found);
    await checkIndex(reads, tenant, key, ofDay, found);
  }
  const limit = pLimit(AT_ONCE);
  await Promise.all(events.map((event) => limit(() => checkChanged(reads, tenant, event, found))));
}

async function checkIndex(reads: Reads, tenant: string, key: string, events: readonly LeafEvent[], found: Found): Promise<void> {
  const names = events.flatMap((event) => indexRowsOf(event, undefined).map(({ rowKey }) => rowKey));
  const rows = await reads.byKeys(INDEX_TABLE, key, names);
  for (const event of events) {
    const own = rows.get(recordKey(event.facts.event_id));
    if (await isElsewhere(reads, tenant, event, own)) {
      found('event.duplicate', `leaf ${String(event.leaf)}`, `it is the event of leaf ${String(own?.properties['leaf_index'])} again`);
      continue;
    }
    const expected = indexRowsOf(event, sealedIn(own));
    for (const { rowKey, properties } of expected) {
      const row = rows.get(rowKey);
      const wrong = row === undefined ? ['row'] : differing(row.properties, properties);
      if (wrong.length === 0) continue;
      const detail = row === undefined ? `leaf ${String(event.leaf)} has no such row` : `it differs from leaf ${String(event.leaf)} in ${wrong.join(', ')}`;
      const repair = { name: `events ${event.facts.event_id}`, run: () => writeIndex(reads, key, expected) };
      found('event.index', rowAt(INDEX_TABLE, key, rowKey), detail, { repair });
    }
  }
} // prettier-ignore

async function writeIndex(reads: Reads, key: string, rows: readonly RowOperation[]): Promise<void> {
  await reads.budget().retry(() => reads.tools.ports.tables.commit(INDEX_TABLE, key, rows));
}

/** Whether the index has the very event at another leaf that is it. */
async function isElsewhere(reads: Reads, tenant: string, event: LeafEvent, row: Row | undefined): Promise<boolean> {
  const leaf = row?.properties['leaf_index'];
  if (typeof leaf !== 'number' || leaf === event.leaf || !Number.isSafeInteger(leaf) || leaf < 0) return false;
  return (await reads.leaves.leaf(tenant, leaf)) === leafHash(event.text);
} // prettier-ignore

/** What an event says it changed is there: the revision, the entry or the configuration, and names the event. */
async function checkChanged(reads: Reads, tenant: string, event: LeafEvent, found: Found): Promise<void> {
  if (event.facts.event_type === 'record.disposed') return checkDisposed(reads, tenant, event, found);
  const place = await changedRow(reads, tenant, event);
  if (place === undefined) return checkToldOf(reads, tenant, event, found);
  const missing = (detail: string): void => {
    found('event.revision', `leaf ${String(event.leaf)}`, `${event.facts.event_id}: ${detail}`);
  };
  if (typeof place === 'string') {
    missing(place);
    return;
  }
  const { ref, rowKey, checksum } = place;
  const where = rowAt(ref.table, keyOf(ref), rowKey);
  const row = await reads.row(ref.table, keyOf(ref), rowKey);
  if (row !== undefined) await checkListed(reads, ref, found);
  if (row === undefined && (await isDisposed(reads, tenant, event))) return;
  if (row === undefined) missing(`${where} is not there`);
  else if (row.properties['event_id'] !== event.facts.event_id) missing(`${where} has another event`);
  else if (checksum !== undefined && row.properties['checksum'] !== checksum)
    missing(`${where} has another checksum`);
}

/** What an event changed may be gone for good, and says so. */
async function isDisposed(
  reads: Reads,
  tenant: string,
  { facts, resourceType }: LeafEvent,
): Promise<boolean> {
  const type = reads.tools.types.find(({ recordType }) => recordType === (facts.record_type ?? resourceType));
  return type !== undefined && wasDisposed(reads, type, tenant, facts.resource_id, facts.revision);
}

interface ChangedRow {
  readonly ref: PartitionRef;
  readonly rowKey: string;
  readonly checksum: string | undefined;
}

/** The row that an event stands for; undefined where it is no change, words where it cannot be. */
async function changedRow(
  reads: Reads,
  tenant: string,
  { facts, resourceType, checksum, details }: LeafEvent,
): Promise<ChangedRow | string | undefined> {
  const id = facts.resource_id;
  if (facts.event_type === 'configuration.changed') {
    const ref = { tenant, table: SYSTEM_TABLE, partition: 'configuration' };
    return { ref, rowKey: `v:${facts.event_id}`, checksum: undefined };
  }
  const type = reads.tools.types.find(({ recordType }) => recordType === (facts.record_type ?? resourceType));
  if (type === undefined) return undefined;
  try {
    if (facts.record_type !== undefined && facts.revision !== undefined) {
      const ref = await reads.locator.locate(type, tenant, id, reads.budget());
      return { ref, rowKey: revisionKey(id, facts.revision), checksum };
    }
    const { part, seq } = details;
    if (facts.event_type !== 'record.action' || part !== type.parts?.path || typeof seq !== 'number') return undefined;
    const ref = { tenant, table: type.parts?.table ?? '', partition: partsPartition(timeOfId(type, id), id) };
    return { ref, rowKey: partKey(id, seq), checksum: String(details['checksum']) };
  } catch (error) {
    if (isAppError(error, 'record-not-found', 'integrity-failure')) return `nothing says where ${id} is`;
    throw error;
  }
} // prettier-ignore
