import type { Entropy } from '../domain/clock.js';
import { unavailable, type Budget } from '../storage/backoff.js';
import type { PartitionRef } from '../storage/directory.js';
import { partitionKey, SYSTEM_TENANT } from '../storage/keys.js';
import { isFault, type Properties, type RecordTable, type Row, type RowOperation } from '../storage/ports.js';
import { keyAfter, readRange } from '../storage/range.js';
import { JOBS_TABLE } from './jobs-table.js';
import { newWork, parseWork, workColumns, workKey, type KeptWork, type Work } from './work-row.js';

/** A row of work that is not what was written. */
export interface DamagedWork {
  readonly work: undefined;
  readonly rowKey: string;
  readonly etag: string;
}

/** Times that a page is planned again because somebody else wrote a row of it meanwhile. */
const TRIES = 5;

/**
 * The rows of work in partitions (docs/storage-layout.md, table `jobs`): those of a job in one partition, so that a page of
 * them is one range read and a hundred are planned in one transaction, whatever tenants they are of.
 */
export class WorkBook {
  constructor(
    private readonly tables: RecordTable,
    private readonly entropy: Entropy,
    private readonly budget: () => Budget,
  ) {}

  /** One point read. Undefined where there is none, or one that is not what was written. Throws `storage-unavailable`. */
  async find(job: string, ref: PartitionRef): Promise<KeptWork | undefined> {
    const key = workKey(ref);
    const row = await this.budget().retry(() => this.tables.find(JOBS_TABLE, partitionOf(job), key));
    const kept = row === undefined ? undefined : keptOf(row);
    return kept?.work === undefined ? undefined : kept;
  }

  /** Rows that follow `after`, whatever their round. One range read. Throws `storage-unavailable`. */
  async page(
    job: string,
    after: string | undefined,
    limit: number,
  ): Promise<{ readonly rows: readonly (KeptWork | DamagedWork)[]; readonly more: boolean }> {
    const query = { from: after === undefined ? '!' : keyAfter(after), to: '~', limit };
    const page = await this.budget().retry(() => this.tables.range(JOBS_TABLE, partitionOf(job), query));
    return { rows: page.rows.map(keptOf), more: page.more };
  }

  /**
   * Makes partitions of one tenant, in the order of the directory, part of a round; what is part of it already stays as it
   * is. Resolves to those in which there is something to do. One range read and one transaction for a hundred of them.
   * Throws `storage-unavailable`.
   */
  async plan(
    job: string,
    roundMs: number,
    refs: readonly PartitionRef[],
    sent: boolean,
  ): Promise<readonly PartitionRef[]> {
    const [first, last] = [refs[0], refs.at(-1)];
    if (first === undefined || last === undefined) return [];
    const partition = partitionOf(job);
    const range = { from: workKey(first), to: keyAfter(workKey(last)) };
    for (let tries = 0; tries < TRIES; tries += 1) {
      const rows = await this.budget().retry(() => readRange(this.tables, JOBS_TABLE, partition, range));
      const there = new Map(rows.map((row) => [row.rowKey, row]));
      const waiting: PartitionRef[] = [];
      const operations = refs.flatMap((ref): RowOperation[] => {
        const rowKey = workKey(ref);
        const row = there.get(rowKey);
        const known = row === undefined ? undefined : parseWork(row);
        const isPart = known?.roundMs === roundMs;
        if (!isPart || known.state === 'waiting') waiting.push(ref);
        if (isPart) return [];
        const properties = this.#columns(partition, rowKey, newWork(ref, roundMs, sent));
        if (row === undefined) return [{ kind: 'insert', rowKey, properties }];
        return [{ kind: 'replace', rowKey, properties, etag: row.etag }];
      });
      if (operations.length === 0 || (await this.#commit(partition, operations)) !== undefined)
        return waiting;
    }
    throw unavailable('rows of work are written by somebody else all the time');
  }

  /**
   * Writes work down as it is now, where nobody else has. Resolves to how it is kept; undefined when another was faster.
   * One transaction. Throws `storage-unavailable`.
   */
  async save(job: string, kept: KeptWork, work: Work): Promise<KeptWork | undefined> {
    const partition = partitionOf(job);
    const { rowKey, etag } = kept;
    const properties = this.#columns(partition, rowKey, work);
    const etags = await this.#commit(partition, [{ kind: 'replace', rowKey, properties, etag }]);
    if (etags !== undefined) return { ...kept, work, etag: etags[0] ?? '' };
    // It may be ourselves who were faster, and have not got the answer.
    const row = await this.budget().retry(() => this.tables.find(JOBS_TABLE, partition, rowKey));
    const isOurs = row?.properties['mark'] === properties['mark'];
    return row === undefined || !isOurs ? undefined : { ...kept, work, etag: row.etag };
  }

  /**
   * Says of work, at most a hundred, that a message is about to be sent for it; false when somebody wrote one of the rows
   * meanwhile. One transaction. Throws `storage-unavailable`.
   */
  async markSent(job: string, all: readonly KeptWork[]): Promise<boolean> {
    const partition = partitionOf(job);
    const operations = all.map(({ rowKey, etag, work }): RowOperation => {
      const columns = this.#columns(partition, rowKey, { ...work, sent: true });
      // Only what differs: a hundred cursors are too much for a transaction where they are long.
      const names = ['sent', 'mark', 'row_checksum'];
      const properties = Object.fromEntries(Object.entries(columns).filter(([name]) => names.includes(name)));
      return { kind: 'merge', rowKey, properties, etag };
    });
    return (await this.#commit(partition, operations)) !== undefined;
  }

  #columns(partition: string, rowKey: string, work: Work): Properties {
    return workColumns(partition, rowKey, work, Buffer.from(this.entropy.bytes(8)).toString('hex'));
  }

  /** The new ETags; undefined when a row was not as it was. */
  async #commit(
    partition: string,
    operations: readonly RowOperation[],
  ): Promise<readonly string[] | undefined> {
    try {
      return await this.budget().retry(() => this.tables.commit(JOBS_TABLE, partition, operations));
    } catch (error) {
      if (isFault(error, 'exists', 'conflict', 'missing')) return undefined;
      throw error;
    }
  }
}

function partitionOf(job: string): string {
  return partitionKey(SYSTEM_TENANT, `work.${job}`);
}

function keptOf(row: Row): KeptWork | DamagedWork {
  const { rowKey, etag, timestampMs } = row;
  const work = parseWork(row);
  return work === undefined ? { work, rowKey, etag } : { work, rowKey, etag, timestampMs };
}
