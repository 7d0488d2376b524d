import type { RecordType } from '../domain/record-type.js';
import { LIMITS } from '../domain/limits.js';
import type { Budget } from '../storage/backoff.js';
import type { PartitionRef } from '../storage/directory.js';
import { partitionKey, recordKey } from '../storage/keys.js';
import type { StoragePorts } from '../storage/ports.js';
import type { RecordLocator } from '../storage/record-locator.js';
import { rowIntact } from '../storage/row-checksum.js';
import { rowsByKeys } from '../storage/rows-by-keys.js';
import { freeOfHolds, type FreeTools } from './free-of-holds.js';
import type { HowFresh } from './hold-book.js';

export interface FreeStreamsTools extends FreeTools {
  readonly ports: StoragePorts;
  readonly locator: Pick<RecordLocator, 'locate'>;
  readonly budget: () => Budget;
}

/**
 * Those of some records with entries that no hold is on. One look for holds; where there are some, the rows of the records,
 * and one look more. A record that is not there, or that somebody altered, is not free. Throws `integrity-failure`.
 */
export async function freeStreams(
  tools: FreeStreamsTools,
  type: RecordType,
  tenant: string,
  ids: readonly string[],
  how: HowFresh,
): Promise<ReadonlySet<string>> {
  if ((await tools.holds.activeOf(tenant, how)).length === 0) return new Set(ids);
  const places = new Map<string, { readonly ref: PartitionRef; readonly ids: string[] }>();
  for (const id of ids) {
    const ref = await tools.locator.locate(type, tenant, id, tools.budget());
    const place = places.get(ref.partition) ?? { ref, ids: [] };
    place.ids.push(id);
    places.set(ref.partition, place);
  }
  const free = new Set<string>();
  for (const { ref, ids: some } of places.values()) {
    const key = partitionKey(tenant, ref.partition);
    const { tables } = tools.ports;
    const rows = await rowsByKeys((query) => tools.budget().retry(() => tables.range(ref.table, key, query)), some.map(recordKey), LIMITS.rangeRows); // prettier-ignore
    const records = [...rows.values()].filter((row) => row.properties['index_keys'] !== undefined && rowIntact(row)); // prettier-ignore
    const candidates = records.map((record) => ({ record, revisions: [] }));
    for (const { record } of await freeOfHolds(tools, type, ref, candidates, how))
      free.add(String(record.properties['id']));
  }
  return free;
}
