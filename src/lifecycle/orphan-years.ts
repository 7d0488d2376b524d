import type { Budget } from '../storage/backoff.js';
import { partitionKey, recordKey } from '../storage/keys.js';
import { isFault, type RecordTable, type Row, type RowOperation } from '../storage/ports.js';
import { rowIntact } from '../storage/row-checksum.js';
import { isTombstone } from '../storage/tombstone-row.js';
import { parseYearRow, yearKey, yearPartition, yearRow } from '../storage/year-rows.js';
import type { YearBlob } from './blob-names.js';
import type { Verdict } from './orphan-plan.js';

/**
 * What is to become of a file with values: it is an orphan when the row of its year does not name it, and no longer can.
 * Whoever wrote it names it by inserting that row or replacing the version of it that was read before, so it is enough to
 * rewrite the row as it is, or to insert one that names nothing, and to look again. One point read for one that is named.
 */
export async function judgeYear(tables: RecordTable, blob: YearBlob, budget: Budget): Promise<Verdict> {
  const table = blob.type.parts?.series?.table ?? '';
  const key = partitionKey(blob.ref.tenant, yearPartition(blob.id, blob.year));
  const rowKey = yearKey(blob.year);
  const find = (): Promise<Row | undefined> => budget.retry(() => tables.find(table, key, rowKey));
  for (;;) {
    const row = await find();
    const verdict = verdictOn(blob, row);
    if (verdict !== 'orphan') return verdict;
    // Of what was disposed of nothing is named any more, and nothing is left behind.
    const record = partitionKey(blob.ref.tenant, blob.ref.partition);
    const stands = await budget.retry(() => tables.find(blob.ref.table, record, recordKey(blob.id)));
    if (stands !== undefined && isTombstone(stands)) return 'orphan';
    const operation: RowOperation =
      row === undefined
        ? { kind: 'insert', ...yearRow(key, { year: blob.year, upTo: -1, files: [] }) }
        : { kind: 'replace', rowKey, properties: row.properties, etag: row.etag };
    try {
      await budget.retry(() => tables.commit(table, key, [operation]));
      return verdictOn(blob, await find());
    } catch (error) {
      // Somebody has changed it: it is looked at anew.
      if (!isFault(error, 'exists', 'conflict', 'missing')) throw error;
      await budget.pause(error, 5, 250);
    }
  }
}

function verdictOn(blob: YearBlob, row: Row | undefined): Verdict {
  if (row === undefined) return 'orphan';
  if (!rowIntact(row)) return 'unclear';
  return parseYearRow(row, blob.id).files.some((file) => file.blob === blob.name) ? 'named' : 'orphan';
}
