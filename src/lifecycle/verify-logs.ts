import { AppError, isAppError } from '../domain/errors.js';
import type { Budget } from '../storage/backoff.js';
import type { Directory } from '../storage/directory.js';
import type { CallContext, IntegrityFinding } from '../storage/manager-types.js';
import type { RecordTable } from '../storage/ports.js';
import { saidOf, type Log } from '../telemetry/log.js';
import { addCounts, type Counts, type Job, type Step, type StepContext } from './job.js';
import { readCursor } from './job-cursor.js';
import { TenantNotes } from './tenant-notes.js';

/** Something of a log that is not what it should be. */
interface Mismatch {
  readonly code: string;
  readonly where: string;
  readonly detail: string;
}

interface Turn {
  /** To be given to the next one. */
  readonly state: string;
  readonly mismatches: readonly Mismatch[];
  readonly counts: Counts;
}

export interface VerifyLogsTools {
  readonly tables: RecordTable;
  readonly directory: Pick<Directory, 'tenantsAfter'>;
  /** Looks at a part of a tenant's log, from where the state of the last turn says (`audit/rolling/`). */
  readonly rolling: {
    turn(tenant: string, state: string | undefined, timeIsUp: () => boolean): Promise<Turn>;
  };
  /** Puts a finding into the audit trail. Must not throw. */
  readonly report: (finding: IntegrityFinding, call: CallContext) => Promise<void>;
  readonly budget: () => Budget;
  readonly log: Log;
}

const NAME = 'verify-logs';
/** Less than an hour by the time between two runs of its timer. */
const EVERY_MS = 55 * 60_000;

/**
 * Verifies a part of every tenant's log each hour, so that all of it is looked at again and again, and raises an alert on
 * what does not hold (audit-ledger.md, Checking). What is wrong with one log keeps it from no other, and stops nothing.
 */
export class VerifyLogs implements Job {
  readonly name = NAME;
  readonly everyMs = EVERY_MS;
  readonly #notes: TenantNotes;

  constructor(private readonly tools: VerifyLogsTools) {
    this.#notes = new TenantNotes(tools.tables, NAME);
  }

  /** A turn of one tenant's log: a range read, a point read, what the turn reads, and a write where something is new. */
  async step(cursor: string, { timeIsUp }: StepContext): Promise<Step> {
    const { after } = readCursor<{ readonly after: string }>(cursor);
    const { directory, budget } = this.tools;
    const [tenant] = await budget().retry(() => directory.tenantsAfter(after, 1));
    if (tenant === undefined) return { counts: {}, next: undefined };
    const counts = await this.#verify(tenant, timeIsUp);
    return { counts: addCounts({ logs: 1 }, counts), next: JSON.stringify({ after: tenant }) };
  }

  async #verify(tenant: string, timeIsUp: () => boolean): Promise<Counts> {
    const { rolling, budget, log } = this.tools;
    try {
      const note = await this.#notes.find(tenant, budget());
      const altered = note !== undefined && note.text === undefined;
      if (altered) await this.#tell(tenant, { code: 'state.altered', where: `jobs _system:${NAME} ${tenant}`, detail: 'its checksum does not hold' }); // prettier-ignore
      const { state, mismatches, counts } = await rolling.turn(tenant, note?.text, timeIsUp);
      for (const mismatch of mismatches) await this.#tell(tenant, mismatch);
      if (state !== note?.text) await this.#notes.replace(tenant, state, note?.etag, budget());
      return addCounts(counts, altered ? { mismatches: 1 } : {});
    } catch (error) {
      // Storage that does not answer is nobody's damage: the next run goes on here.
      if (isAppError(error, 'storage-unavailable')) throw error;
      log.warn('a log could not be verified', { tenant, functionName: NAME, reason: saidOf(error) });
      return { unread: 1 };
    }
  }

  /** The alert, and an `integrity.failed` event. */
  async #tell(tenant: string, { code, where, detail }: Mismatch): Promise<void> {
    const message = 'A log is not what was signed, or not what it was.';
    const error = new AppError('integrity-failure', message, { evidence: { tenant, finding: code, where, detail } }); // prettier-ignore
    this.tools.log.failure(error, { tenant, functionName: NAME });
    const finding = { recordType: 'audit_log', id: tenant, revision: 0, what: `${code} ${where}: ${detail}` };
    await this.tools.report(finding, { tenant, actor: `job:${NAME}`, correlationId: NAME });
  }
}
