import { yearOf } from '../domain/clock.js';
import type { RecordType } from '../domain/record-type.js';
import type { Budget } from './backoff.js';
import { parseDigestRow } from './digest-row.js';
import { partitionKey } from './keys.js';
import { partsPartition } from './part-rows.js';
import type { RecordTable } from './ports.js';
import { timeOfId } from './record-location.js';
import { digestKey } from './series-rows.js';
import { parseYearRow, yearKey, yearPartition } from './year-rows.js';

/**
 * The files of the archive tier that have values of a record; free for a type without a series. One point read, and one for
 * each year that is in the archive. Throws `integrity-failure`.
 */
export async function archivedYears(
  tables: RecordTable,
  type: RecordType,
  tenant: string,
  id: string,
  budget: Budget,
): Promise<readonly string[]> {
  const { parts } = type;
  if (parts?.series === undefined) return [];
  const { table } = parts.series;
  const entries = partitionKey(tenant, partsPartition(timeOfId(type, id), id));
  const row = await budget.retry(() => tables.find(parts.table, entries, digestKey(id)));
  const { bounds, archivedThrough } = row === undefined ? {} : parseDigestRow(row);
  if (bounds === undefined || archivedThrough === undefined) return [];
  const blobs: string[] = [];
  for (let year = yearOf(bounds[0]); year <= archivedThrough; year += 1) {
    const found = await budget.retry(() => tables.find(table, partitionKey(tenant, yearPartition(id, year)), yearKey(year))); // prettier-ignore
    const files = found === undefined ? [] : parseYearRow(found, id).files;
    blobs.push(...files.map(({ blob }) => blob));
  }
  return blobs;
}
