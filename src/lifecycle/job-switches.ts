import { formatTime } from '../domain/clock.js';
import type { Budget } from '../storage/backoff.js';
import { prefixRange } from '../storage/keys.js';
import { isFault, type RecordTable, type Row } from '../storage/ports.js';
import { readRange } from '../storage/range.js';
import { withRowChecksum } from '../storage/row-checksum.js';
import { JOBS_PARTITION, JOBS_TABLE } from './jobs-table.js';

/** What is suspended: every job, or those named. */
export interface Suspended {
  readonly all: boolean;
  readonly jobs: ReadonlySet<string>;
}

const PREFIX = '_off:';
/** Not the name of a job: every one of them, also those that come with a later release. */
const ALL = '*';

/**
 * What an operator has switched off: rows beside those of jobs. A row that is there says so, whatever is in it: a switch that was damaged stays
 * off. Turning twice is turning once.
 */
export class JobSwitches {
  constructor(
    private readonly tables: RecordTable,
    private readonly budget: () => Budget,
  ) {}

  /** One range read. Throws `storage-unavailable`. */
  async read(): Promise<Suspended> {
    return suspendedIn(
      await this.budget().retry(() =>
        readRange(this.tables, JOBS_TABLE, JOBS_PARTITION, prefixRange(PREFIX)),
      ),
    );
  }

  /** Switches a job off, or all with none named. One transaction. Throws `storage-unavailable`. */
  async suspend(name: string | undefined, nowMs: number): Promise<void> {
    const rowKey = `${PREFIX}${name ?? ALL}`;
    const columns = { schema_version: '1.0', suspended_at: formatTime(nowMs) };
    const row = { rowKey, properties: withRowChecksum(JOBS_PARTITION, rowKey, columns) };
    await this.budget().retry(() =>
      this.tables.commit(JOBS_TABLE, JOBS_PARTITION, [{ kind: 'upsert', ...row }]),
    );
  }

  /** One transaction. Throws `storage-unavailable`. */
  async resume(name: string | undefined): Promise<void> {
    const rowKey = `${PREFIX}${name ?? ALL}`;
    try {
      await this.budget().retry(() =>
        this.tables.commit(JOBS_TABLE, JOBS_PARTITION, [{ kind: 'delete', rowKey, etag: '*' }]),
      );
    } catch (error) {
      if (!isFault(error, 'missing')) throw error;
    }
  }
}

/** Of rows of the partition, those that are switches. Pure. */
export function suspendedIn(rows: readonly Row[]): Suspended {
  const names = rows.flatMap(({ rowKey }) =>
    rowKey.startsWith(PREFIX) ? [rowKey.slice(PREFIX.length)] : [],
  );
  return { all: names.includes(ALL), jobs: new Set(names.filter((name) => name !== ALL)) };
}

export function isSuspended({ all, jobs }: Suspended, name: string): boolean {
  return all || jobs.has(name);
}
