import type { RecordType } from '../domain/record-type.js';
import type { PartitionRef } from '../storage/directory.js';
import type { Counts, Job, Step, StepContext } from './job.js';
import type { DisposalReport } from './report.js';

/** Work over every partition of some tables, a partition at a time. */
export interface PartitionJob {
  readonly name: string;
  readonly everyMs: number;
  readonly takes?: Job['takes'];
  /** See `Job.mayWork`. */
  readonly mayWork?: Job['mayWork'];
  /** The type whose records lie in a table; undefined: its partitions are no work of this job. */
  readonly typeOf: (table: string) => RecordType | undefined;
  /**
   * A bounded piece of work in one partition that always gets somewhere; from the beginning when `cursor` is empty.
   * Idempotent; may be done by several hosts at once. Throws `storage-unavailable`.
   */
  stepIn(type: RecordType, ref: PartitionRef, cursor: string, context: StepContext): Promise<Step>;
  /**
   * After the last partition of a tenant in a round, with what the steps in them have reported together, and in how many of
   * them the work was given up. Idempotent: a host that died after it has it done again, with the same report.
   */
  tenantDone?(
    tenant: string,
    report: DisposalReport,
    context: StepContext,
    givenUp?: number,
  ): Promise<Counts>;
}
