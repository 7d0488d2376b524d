import type { RecordType } from '../domain/record-type.js';
import type { Budget } from './backoff.js';
import { partitionKey, rehydrationKey, revisionKey } from './keys.js';
import type { RecordTable } from './ports.js';
import type { RecordLocator } from './record-locator.js';
import { parseRevisionRow, type RevisionFacts } from './record-row.js';
import { parseRehydration } from './rehydration-rows.js';

/** Where envelopes are that are not, or cannot be read, where a row said that was read a moment ago. */
export class MovedDetails {
  constructor(
    private readonly tables: RecordTable,
    private readonly locator: RecordLocator,
  ) {}

  /** What the row of a revision says now, where that is another place. One point read. Throws `integrity-failure`. */
  async now(
    type: RecordType,
    tenant: string,
    { id, revision, location }: RevisionFacts,
    budget: Budget,
  ): Promise<RevisionFacts | undefined> {
    const row = await this.#find(type, tenant, id, revisionKey(id, revision), budget);
    const facts = row === undefined ? undefined : parseRevisionRow(row, id);
    return facts?.location.blob === location.blob ? undefined : facts;
  }

  /** The hot copy of a blob of a record (the pack of a revision), where the record was brought back. One point read. */
  async hotCopy(
    type: RecordType,
    tenant: string,
    { id, location }: { readonly id: string; readonly location: { readonly blob: string } },
    budget: Budget,
  ): Promise<string | undefined> {
    const row = await this.#find(type, tenant, id, rehydrationKey(id), budget);
    const brought = row === undefined ? undefined : parseRehydration(row);
    if (brought?.state !== 'ready') return undefined;
    return brought.copies.find(({ pack }) => pack === location.blob)?.copy;
  }

  async #find(type: RecordType, tenant: string, id: string, rowKey: string, budget: Budget) {
    const { table, partition } = await this.locator.locate(type, tenant, id, budget);
    return budget.retry(() => this.tables.find(table, partitionKey(tenant, partition), rowKey));
  }
}
