import { checksumOf, type Json } from '../src/domain/canonical-json.js';
import { LIMITS } from '../src/domain/limits.js';
import { BLOB_CONTAINERS, partitionKey } from '../src/storage/keys.js';
import type { Properties, Row, RowOperation, StoragePorts } from '../src/storage/ports.js';
import { readRange } from '../src/storage/range.js';
import { withRowChecksum } from '../src/storage/row-checksum.js';
import { SUBJECTS_TABLE } from '../src/storage/subject-rows.js';

/** Rows of one partition of which each copy has the same again under its own id. */
interface Group {
  readonly table: string;
  readonly partitionKey: string;
  readonly rows: readonly Row[];
}

/** Titles of one length, so that a copy has as many bytes as what it is a copy of. */
export const titleOf = (serial: number): string => `Order ${String(serial).padStart(7, '0')}`;

const EVERYTHING = { from: '!', to: '~' };
const AT_ONCE = 16;

/**
 * Stores records `from` to `to` as copies of a sealed one in its partition: rows and blobs as the platform writes them, with
 * ids, titles and checksums of their own, in a tenth of the time. What is sealed in them is that of the first and opens
 * nowhere, and they have no events: good for whoever reads neither. `shards` are those of the index of subjects that name it.
 */
export async function copyRecords(
  ports: StoragePorts,
  first: Row,
  shards: readonly string[],
  from: number,
  to: number,
): Promise<void> {
  const { id, blob, event_id: event, checksum, title } = first.properties as Record<string, string>;
  const groups = await groupsOf(ports, first, String(id), shards);
  const found = await ports.blobs.find(BLOB_CONTAINERS.records, String(blob));
  const envelope = Buffer.from(found?.bytes ?? []).toString();
  const copy = (serial: number) => {
    const own = renamed([String(id), String(event)], String(title), serial);
    const text = own(envelope);
    const { data } = JSON.parse(text) as { data: Json };
    const withChecksum = (one: string): string => one.replaceAll(String(checksum), checksumOf(data));
    return { own: (one: string) => withChecksum(own(one)), bytes: Buffer.from(withChecksum(text)) };
  };
  for (let at = from; at < to; at += AT_ONCE) {
    const copies = Array.from({ length: Math.min(AT_ONCE, to - at) }, (_, index) => copy(at + index));
    const puts = copies.map(({ own, bytes }) => ports.blobs.putOnce(BLOB_CONTAINERS.records, own(String(blob)), bytes, 'application/json')); // prettier-ignore
    await Promise.all(puts);
    for (const { table, partitionKey: key, rows } of groups) {
      const operations = copies.flatMap(({ own }) => rows.map((row) => copied(row, own)));
      for (let index = 0; index < operations.length; index += LIMITS.transactionRows)
        await ports.tables.commit(table, key, operations.slice(index, index + LIMITS.transactionRows));
    }
  }
}

/** The partitions of the index of subjects that have anything of a tenant. */
export async function shardsOf({ tables }: StoragePorts, tenant: string): Promise<readonly string[]> {
  const keys = Array.from({ length: 256 }, (_, at) => partitionKey(tenant, at.toString(16).padStart(2, '0')));
  const found: string[] = [];
  for (const key of keys)
    if ((await tables.range(SUBJECTS_TABLE, key, { ...EVERYTHING, limit: 1 })).rows.length > 0)
      found.push(key);
  return found;
}

/** Its rows: in its own partition, of which it is the only one yet, and in the index of subjects. */
async function groupsOf(
  { tables }: StoragePorts,
  first: Row,
  id: string,
  shards: readonly string[],
): Promise<readonly Group[]> {
  const own = { table: 'decisions', partitionKey: first.partitionKey, ...EVERYTHING };
  const indexed = shards.map((key) => ({ table: SUBJECTS_TABLE, partitionKey: key, ...EVERYTHING }));
  const groups: Group[] = [];
  for (const { table, partitionKey: key, ...range } of [own, ...indexed]) {
    const all = await readRange(tables, table, key, range);
    const rows = all.filter(({ rowKey }) => rowKey.includes(id));
    if (rows.length > 0) groups.push({ table, partitionKey: key, rows });
  }
  return groups;
}

function copied({ partitionKey: key, rowKey: firstKey, properties }: Row, own: (text: string) => string): RowOperation {
  const rowKey = own(firstKey);
  return { kind: 'insert', rowKey, properties: withRowChecksum(key, rowKey, JSON.parse(own(JSON.stringify(properties))) as Properties) };
} // prettier-ignore

/** Puts a number into the place of the last digits of ids, and into the title. */
function renamed(ids: readonly string[], title: string, serial: number): (text: string) => string {
  const digits = serial.toString(16).padStart(12, '0');
  return (text) =>
    ids
      .reduce((now, id) => now.replaceAll(id, `${id.slice(0, -digits.length)}${digits}`), text)
      .replaceAll(title, titleOf(serial));
}
