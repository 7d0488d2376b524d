import { isAppError } from '../domain/errors.js';
import type { RecordType } from '../domain/record-type.js';
import type { Budget } from '../storage/backoff.js';
import type { Directory } from '../storage/directory.js';
import type { RecordTable } from '../storage/ports.js';
import type { Log } from '../telemetry/log.js';

interface DigestTools {
  /** Digests of one record what there is, in so many rounds at most; resolves to the entries digested. */
  readonly digest: (type: RecordType, tenant: string, id: string, rounds: number) => Promise<number>;
  readonly log: Log;
}

/** What a job that digests records of all partitions works with. */
export interface DigestJobTools extends DigestTools {
  readonly tables: RecordTable;
  readonly directory: Directory;
  readonly types: readonly RecordType[];
  readonly budget: () => Budget;
}

export interface DigestedRecord {
  readonly entries: number;
  /** `behind`: time was up before everything was digested; `damaged`: it cannot be, and was logged. */
  readonly end: 'done' | 'behind' | 'damaged';
}

/** A record of a job, and how many of its entries are left to digest where that is known. */
export interface ToDigest {
  readonly job: string;
  readonly type: RecordType;
  readonly tenant: string;
  readonly id: string;
  readonly left?: number;
}

/**
 * Digests a record round by round while there is time, one round at least. A record that cannot be digested is in no
 * other's way. Throws what storage throws, `storage-unavailable` among it.
 */
export async function digestRecord(
  { digest, log }: DigestTools,
  { job, type, tenant, id, left = Infinity }: ToDigest,
  timeIsUp: () => boolean,
): Promise<DigestedRecord> {
  let entries = 0;
  try {
    while (entries < left) {
      const some = await digest(type, tenant, id, 1);
      entries += some;
      // There are no more, or others are digesting them.
      if (some === 0) break;
      if (entries < left && timeIsUp()) return { entries, end: 'behind' };
    }
    return { entries, end: 'done' };
  } catch (error) {
    if (!isAppError(error) || error.code === 'storage-unavailable') throw error;
    log.warn('what was added to a record cannot be digested and stays where it is', { functionName: job, tenant, reason: `${id} ${error.code}` }); // prettier-ignore
    return { entries, end: 'damaged' };
  }
}
