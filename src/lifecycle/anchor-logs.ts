import { isAppError } from '../domain/errors.js';
import type { Budget } from '../storage/backoff.js';
import type { Directory } from '../storage/directory.js';
import { SYSTEM_TENANT } from '../storage/keys.js';
import { saidOf, type Log } from '../telemetry/log.js';
import { addCounts, type Counts, type Job, type Step, type StepContext } from './job.js';
import { readCursor } from './job-cursor.js';

const PAGE = 50;
const EVERY_MS = 4 * 60_000;

export interface AnchorLogsTools {
  readonly directory: Pick<Directory, 'tenantsAfter'>;
  /** Has a tenant's checkpoint logged in the platform log (`audit/anchors/platform-log.ts`). */
  readonly logCheckpoint: (tenant: string, publishedSize: number) => Promise<string>;
  /** Leaves of the platform log that are published. */
  readonly publishedSize: () => Promise<number>;
  /** Seals what was logged, as far as nobody else does. */
  readonly seal: () => Promise<unknown>;
  /** Has the platform log's checkpoint witnessed, published and copied. */
  readonly publish: () => Promise<Counts>;
  /** Whether its timer does anything. */
  readonly enabled: boolean;
  readonly budget: () => Budget;
  readonly log: Log;
}

interface Cursor {
  /** The tenant that was looked at last. */
  readonly after: string;
  /** All tenants were looked at: what is left is to publish. */
  readonly publish: boolean;
}

/**
 * Anchors every tenant's log: puts checkpoints that have grown into the platform log, then publishes that log's. Tells of
 * logs that do not go on from where they were anchored, and goes on with the others.
 */
export class AnchorLogs implements Job {
  readonly name = 'anchor-logs';
  readonly everyMs = EVERY_MS;

  constructor(private readonly tools: AnchorLogsTools) {}

  mayWork(): boolean {
    return this.tools.enabled;
  }

  /** A page of tenants, or the platform log. Two reads for a tenant whose log has not grown. */
  async step(cursor: string, context: StepContext): Promise<Step> {
    const { after, publish } = readCursor<Cursor>(cursor);
    if (publish === true) return { counts: await this.#publish(), next: undefined };
    const { directory } = this.tools;
    const tenants = await this.tools.budget().retry(() => directory.tenantsAfter(after, PAGE));
    const publishedSize = tenants.length === 0 ? 0 : await this.tools.publishedSize();
    let counts: Counts = {};
    let last = after;
    for (const tenant of tenants) {
      if (tenant !== SYSTEM_TENANT) counts = addCounts(counts, await this.#anchor(tenant, publishedSize));
      last = tenant;
      if (context.timeIsUp()) break;
    }
    const through = tenants.length < PAGE && last === (tenants.at(-1) ?? after);
    return { counts, next: JSON.stringify(through ? { publish: true } : { after: last }) };
  }

  async #anchor(tenant: string, publishedSize: number): Promise<Counts> {
    try {
      const logged = await this.tools.logCheckpoint(tenant, publishedSize);
      return { tenants: 1, ...(logged === 'logged' ? { logged: 1 } : {}) };
    } catch (error) {
      return this.#broken(error, tenant);
    }
  }

  async #publish(): Promise<Counts> {
    try {
      await this.tools.seal();
      return await this.tools.publish();
    } catch (error) {
      return this.#broken(error, SYSTEM_TENANT);
    }
  }

  /** Evidence that somebody changed what is stored: to be looked at, and no reason not to anchor the others. */
  #broken(error: unknown, tenant: string): Counts {
    if (!isAppError(error, 'integrity-failure')) throw error;
    const { what } = error.evidence;
    const reason = typeof what === 'string' ? what : saidOf(error);
    this.tools.log.warn('a log does not go on from where it was anchored', { tenant, reason });
    return { broken: 1 };
  }
}
