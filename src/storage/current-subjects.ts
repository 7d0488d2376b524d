import { isAppError } from '../domain/errors.js';
import { everySubjectOf } from '../domain/held.js';
import { parseId } from '../domain/ids.js';
import type { RecordType } from '../domain/record-type.js';
import { Budget } from './backoff.js';
import { DetailStore } from './detail-store.js';
import type { PartitionRef } from './directory.js';
import { partitionKey } from './keys.js';
import type { StorageManagerOptions } from './manager-types.js';
import { partsHeadKey, partsPartition } from './part-rows.js';
import type { Row } from './ports.js';
import { parseRecordRow } from './record-row.js';

/** Tells whom records are about, for whoever has to ask for holds on subjects. */
export class CurrentSubjects {
  readonly #details: DetailStore;

  constructor(
    private readonly tools: Pick<StorageManagerOptions, 'ports' | 'clock' | 'entropy' | 'secretBox'>,
  ) {
    this.#details = new DetailStore(tools.ports.blobs, tools.secretBox);
  }

  /**
   * Everybody the current revision of a record names. Undefined where that is not all or cannot be told: it has entries,
   * which may name more and are not read for this, or it does not hold together, or lies in the archive. One blob read,
   * and one point read for types with entries.
   */
  async of(type: RecordType, ref: PartitionRef, row: Row): Promise<readonly string[] | undefined> {
    const { clock, entropy, ports } = this.tools;
    const budget = new Budget(clock, entropy);
    const id = String(row.properties['id']);
    const { parts } = type;
    if (parts !== undefined) {
      const key = partitionKey(ref.tenant, partsPartition(parseId(id)?.ms ?? 0, id));
      const head = await budget.retry(() => ports.tables.find(parts.table, key, partsHeadKey(id)));
      if (head !== undefined) return undefined;
    }
    try {
      const { data } = await this.#details.read(type, ref.tenant, parseRecordRow(row, id), budget);
      return everySubjectOf(data, type.subjects);
    } catch (error) {
      if (isAppError(error, 'integrity-failure', 'record-archived')) return undefined;
      throw error;
    }
  }
}
