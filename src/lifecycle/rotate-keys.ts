import pLimit from 'p-limit';
import type { Log } from '../telemetry/log.js';
import { addCounts, DAILY_MS, type Counts, type Job, type Step, type StepContext } from './job.js';
import { readCursor } from './job-cursor.js';

/** What became of a tenant's key (`security/keys/key-rotation.ts`). */
export type Rewrapped = 'current' | 'rewrapped' | 'foreign' | 'damaged' | 'none';

export interface RotateTools {
  /** Name of the key-encryption key that new keys are wrapped by. */
  readonly current: string;
  readonly currentVersion: () => Promise<string>;
  /** Tenants that have a key, in order; none when there are no more. */
  readonly tenantsAfter: (after: string | undefined, limit: number) => Promise<readonly string[]>;
  readonly rewrap: (
    tenant: string,
    version: string,
    dryRun: boolean,
  ) => Promise<{ readonly outcome: Rewrapped; readonly wrappedBy: string }>;
  /** Key-encryption keys without which no host may start. */
  readonly claimed: () => Promise<readonly string[]>;
  /** Says that hosts may start without these. */
  readonly retire: (names: readonly string[]) => Promise<void>;
  readonly log: Log;
}

interface Cursor {
  /** The tenant that was done last. */
  readonly after?: string;
  /** Key-encryption keys that were in use when the round began. */
  readonly claimed: readonly string[];
  /** Those of them by which something is still wrapped that this host could not rewrap. */
  readonly left: readonly string[];
  /** True once a key was met of which it is not known what wrapped it. */
  readonly unclear: boolean;
}

const PAGE = 100;
const PARALLEL = 4;

/**
 * Wraps the keys of tenants anew that are not under the current version of the key-encryption key (security.md, Keys).
 * Nothing is encrypted anew: what they wrap stays as it is. A round that finds nothing under a former key any more says
 * so, and from then on hosts start without it. One point read per tenant and day; a tenant's key that is older costs one
 * transaction and two calls of the vault more.
 */
export class RotateKeys implements Job {
  readonly name = 'rotate-keys';
  readonly everyMs = DAILY_MS;
  readonly takes = ['dry_run'] as const;

  constructor(private readonly tools: RotateTools) {}

  /** A page of tenants. */
  async step(text: string, { asked }: StepContext): Promise<Step> {
    const dryRun = asked?.dryRun === true;
    const { tools } = this;
    const cursor: Cursor = { ...(await this.#begin(text)), ...readCursor<Cursor>(text) };
    const tenants = await tools.tenantsAfter(cursor.after, PAGE);
    const last = tenants.at(-1);
    if (last === undefined) {
      if (!dryRun) await this.#retire(cursor);
      return { counts: {}, next: undefined };
    }
    const version = await tools.currentVersion();
    const limit = pLimit(PARALLEL);
    const done = await Promise.all(
      tenants.map((tenant) => limit(() => this.#rewrap(tenant, version, dryRun))),
    );
    const stays = done.filter(({ outcome }) => outcome === 'foreign').map(({ wrappedBy }) => wrappedBy);
    const next: Cursor = {
      after: last,
      claimed: cursor.claimed,
      left: [...new Set([...cursor.left, ...stays])],
      unclear: cursor.unclear || done.some(({ outcome }) => outcome === 'damaged'),
    };
    const counts = done.map(({ outcome }) => countOf(outcome, dryRun)).reduce(addCounts, {});
    return { counts, next: JSON.stringify(next) };
  }

  /** What is in use now: a host that begins to use another key during the round does not lose it at its end. */
  async #begin(text: string): Promise<Omit<Cursor, 'after'>> {
    return { claimed: text === '' ? await this.tools.claimed() : [], left: [], unclear: false };
  }

  async #rewrap(tenant: string, version: string, dryRun: boolean) {
    const done = await this.tools.rewrap(tenant, version, dryRun);
    if (done.outcome === 'foreign' || done.outcome === 'damaged')
      this.tools.log.warn('a key of a tenant stays as it is: it cannot be unwrapped', {
        tenant,
        reason: done.outcome,
      });
    return done;
  }

  async #retire({ claimed, left, unclear }: Cursor): Promise<void> {
    if (unclear) return;
    const done = claimed.filter((name) => name !== this.tools.current && !left.includes(name));
    if (done.length > 0) await this.tools.retire(done);
  }
}

function countOf(outcome: Rewrapped, dryRun: boolean): Counts {
  const tenants = 1;
  if (outcome === 'none') return { tenants };
  return dryRun && outcome === 'rewrapped' ? { tenants, wouldRewrap: 1 } : { tenants, [outcome]: 1 };
}
