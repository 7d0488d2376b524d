import type { StoredEnvelope } from '../../domain/envelope.js';
import { parseId } from '../../domain/ids.js';
import type { RecordType } from '../../domain/record-type.js';
import { blindColumn, blindColumnsIn } from '../../storage/blinds.js';
import type { PartitionRef } from '../../storage/directory.js';
import { listedKey, monthOf, nameKey, partitionKey, pendingEventKey, recordKey } from '../../storage/keys.js';
import { LINEAGE_TABLE, enrollLinks, lineageKey, parseDescent } from '../../storage/lineage-rows.js';
import type { Properties, Row, RowOperation } from '../../storage/ports.js';
import { LOOKUPS_TABLE } from '../../storage/record-locator.js';
import { listPartition } from '../../storage/record-location.js';
import { createdAtOf, indexKeysOf, summaryOf, type RecordRow } from '../../storage/record-row.js';
import { rowIntact, withRowChecksum } from '../../storage/row-checksum.js';
import type { Found, Repair } from './findings.js';
import { checkListed } from './listed.js';
import { differing, keyOf, rowAt, type Reads } from './tools.js';

/** A record that holds together by itself. */
export interface SoundRecord {
  readonly row: Row;
  readonly record: RecordRow;
  /** Its current content, where that could be read. */
  readonly stored: StoredEnvelope | undefined;
}

/** What is kept of a record in other rows, so that it is found: lists, its name, its place, the ways back. */
export async function checkLists(reads: Reads, type: RecordType, ref: PartitionRef, sound: SoundRecord, found: Found): Promise<void> {
  checkKeys(type, ref, sound, found);
  await checkIndexRows(reads, type, ref, sound, found);
  await checkPlace(reads, type, ref, sound, found);
  await checkName(reads, type, ref, sound, found);
  await checkLinks(reads, type, ref, sound, found);
} // prettier-ignore

/** The index rows that a record names are those that its content calls for; what is listed by sensitive members by their hashes. */
function checkKeys(type: RecordType, ref: PartitionRef, { row, record, stored }: SoundRecord, found: Found): void {
  // What an older schema version was listed by is not declared any more.
  if (stored === undefined || stored.schema_version !== type.schemaVersion) return;
  const blinds = Object.fromEntries(
    type.blindMembers.flatMap((member) => {
      const hash = row.properties[blindColumn(member)];
      return typeof hash === 'string' ? [[member, hash]] : [];
    }),
  );
  const expected = indexKeysOf(type, record.id, stored.data, blinds);
  const where = rowAt(ref.table, keyOf(ref), row.rowKey);
  const same = expected.length === record.indexKeys.length && expected.every((key) => record.indexKeys.includes(key));
  if (!same) found('index.keys', where, 'its content calls for other index rows than it names');
  if (record.createdAt !== createdAtOf(type, record.id, stored.data)) found('index.keys', where, 'it is listed by another time');
} // prettier-ignore

/** Columns of every index row of a record. */
function listedColumns(type: RecordType, { properties }: Row): Properties {
  return { ...summaryOf(type, { properties }), ...blindColumnsIn(type, properties) };
}

async function checkIndexRows(reads: Reads, type: RecordType, ref: PartitionRef, { row, record }: SoundRecord, found: Found): Promise<void> {
  const elsewhere = listPartition(type, ref.tenant);
  const at = elsewhere ?? ref;
  const key = keyOf(at);
  const repair: Repair = { name: `lists ${ref.tenant} ${record.id}`, run: () => elsewhere === undefined ? relist(reads, type, ref, row) : relistElsewhere(reads, type, elsewhere, row) };
  const since = { sinceMs: row.timestampMs, repair };
  if (elsewhere !== undefined) {
    await checkListed(reads, elsewhere, found);
    const listed = await reads.row(at.table, key, listedKey(record.id));
    const current = listed !== undefined && rowIntact(listed) && Number(listed.properties['revision']) === record.revision && listed.properties['index_keys'] === JSON.stringify(record.indexKeys);
    // Until its event is sealed, lists may be behind.
    if (!current && (await reads.row(ref.table, keyOf(ref), pendingEventKey(record.eventId))) !== undefined) return;
    if (!current) found('list.behind', rowAt(at.table, key, listedKey(record.id)), `revision ${String(record.revision)} is not listed by it`, since);
  }
  const rows = await reads.byKeys(at.table, key, record.indexKeys);
  const columns = listedColumns(type, row);
  for (const rowKey of record.indexKeys) {
    const one = rows.get(rowKey);
    const where = rowAt(at.table, key, rowKey);
    if (one === undefined) {
      found('index.missing', where, `${record.id} names it`, since);
      continue;
    }
    const wrong = differing(one.properties, withRowChecksum(key, rowKey, columns));
    if (wrong.length > 0) found('index.differs', where, `it differs from ${record.id} in ${wrong.join(', ')}`, since);
  }
} // prettier-ignore

/** Writes the index rows beside a record anew; its own row is put as it is, under its version, so that a change meanwhile wins. */
async function relist(reads: Reads, type: RecordType, ref: PartitionRef, { rowKey, properties, etag, ...row }: Row): Promise<void> {
  const key = keyOf(ref);
  const columns = listedColumns(type, { ...row, rowKey, properties, etag });
  const keys = JSON.parse(String(properties['index_keys'])) as readonly string[];
  const operations: readonly RowOperation[] = [
    { kind: 'replace', rowKey, properties, etag },
    ...keys.map((name): RowOperation => ({ kind: 'upsert', rowKey: name, properties: withRowChecksum(key, name, columns) })),
  ];
  await reads.budget().retry(() => reads.tools.ports.tables.commit(ref.table, key, operations));
} // prettier-ignore

/** The same where lists lie in another partition, under the version of the row that says what is listed. */
async function relistElsewhere(reads: Reads, type: RecordType, at: PartitionRef, { properties, ...row }: Row): Promise<void> {
  const key = keyOf(at);
  const id = String(properties['id']);
  const before = await reads.row(at.table, key, listedKey(id));
  const keys = JSON.parse(String(properties['index_keys'])) as readonly string[];
  const rowKey = listedKey(id);
  const listed = withRowChecksum(key, rowKey, { schema_version: '1.0', id, revision: Number(properties['revision']), index_keys: JSON.stringify(keys) });
  const columns = listedColumns(type, { ...row, properties });
  const operations: readonly RowOperation[] = [
    before === undefined ? { kind: 'insert', rowKey, properties: listed } : { kind: 'replace', rowKey, properties: listed, etag: before.etag },
    ...keys.map((name): RowOperation => ({ kind: 'upsert', rowKey: name, properties: withRowChecksum(key, name, columns) })),
  ];
  await reads.budget().retry(() => reads.tools.ports.tables.commit(at.table, key, operations));
} // prettier-ignore

/** Where the id of a record does not tell its partition, `lookups` does. */
async function checkPlace(reads: Reads, type: RecordType, ref: PartitionRef, { row, record }: SoundRecord, found: Found): Promise<void> {
  if (type.partition.kind !== 'member') return;
  const key = partitionKey(ref.tenant, monthOf(parseId(record.id)?.ms ?? 0));
  const rowKey = recordKey(record.id);
  const there = await reads.row(LOOKUPS_TABLE, key, rowKey);
  const sound = there !== undefined && rowIntact(there) && there.properties['table'] === ref.table && there.properties['partition'] === ref.partition;
  const repair: Repair = { name: `lookup ${ref.tenant} ${record.id}`, run: () => reads.locator.enroll(type, [{ id: record.id, ref }], reads.budget()) };
  if (!sound) found('lookup.missing', rowAt(LOOKUPS_TABLE, key, rowKey), `${record.id} is in ${ref.partition}`, { sinceMs: row.timestampMs, repair });
} // prettier-ignore

async function checkName(reads: Reads, type: RecordType, ref: PartitionRef, { row, record, stored }: SoundRecord, found: Found): Promise<void> {
  if (type.named === undefined || stored === undefined) return;
  const name = String(stored.data[type.named.member]);
  const there = await reads.row(ref.table, keyOf(ref), nameKey(name));
  const sound = there !== undefined && there.properties['id'] === record.id && there.properties['name'] === name;
  if (!sound) found('name.differs', rowAt(ref.table, keyOf(ref), nameKey(name)), `it is the name of ${record.id}`, { sinceMs: row.timestampMs });
} // prettier-ignore

async function checkLinks(reads: Reads, type: RecordType, ref: PartitionRef, { row, record }: SoundRecord, found: Found): Promise<void> {
  const repair: Repair = { name: `links ${ref.tenant} ${record.id}`, run: () => enrollLinks(reads.tools.ports.tables, type, [{ id: record.id, ref, links: record.links }], reads.budget()) };
  for (const link of record.links) {
    const key = lineageKey(ref.tenant, link);
    if (key === undefined) continue;
    const rowKey = `d:${link}:${record.id}`;
    const there = await reads.row(LINEAGE_TABLE, key, rowKey);
    const way = there === undefined ? undefined : parseDescent(ref.tenant, there).ref;
    if (way?.table !== ref.table || way.partition !== ref.partition)
      found('link.missing', rowAt(LINEAGE_TABLE, key, rowKey), `${record.id} is derived from it`, { sinceMs: row.timestampMs, repair });
  }
} // prettier-ignore
