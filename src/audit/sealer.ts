import { LRUCache } from 'lru-cache';
import type { Clock } from '../domain/clock.js';
import { AppError } from '../domain/errors.js';
import { LIMITS } from '../domain/limits.js';
import type { PartitionRef } from '../storage/directory.js';
import { finishStage, type FinishTools } from './finish-stage.js';
import { ledgerBroken } from './ledger-state.js';
import { LedgerStore, type StoredHead } from './ledger-store.js';
import { LogStore } from './log-store.js';
import type { CorruptRow } from './pending-row.js';
import { PendingQueue } from './pending-queue.js';
import { planStage, takeRound } from './plan-stage.js';
import type { CommittedRound } from './publish-log.js';
import { answering } from './storage-trouble.js';
import { TenantLease } from './tenant-lease.js';

export interface SealerTools extends FinishTools {
  readonly clock: Clock;
  /** Told of every pending row that is not what was written, in every call that meets it. Must not throw. */
  readonly onCorrupt: (row: CorruptRow) => void;
}

export interface SealOutcome {
  /** Events that this call put into the log. */
  readonly sealed: number;
  /** True when somebody else is sealing this tenant, so that there may be more to do: try again in a while. */
  readonly busy: boolean;
}

export interface SealOptions {
  /** Where to look. A hint: what is pending is read from there. Left out: the tenant's dirty partitions. */
  readonly partitions?: readonly PartitionRef[];
}

/** Commits lost in a row, and heads found moved, before the others are left to it. */
const ATTEMPTS = 5;

/**
 * Moves pending events into a tenant's stream and log, exactly once (audit-ledger.md, the sealer). Safe to run any
 * number of times and in any number of processes at once; a crash anywhere is finished by the next call.
 */
export class Sealer {
  readonly #store: LedgerStore;
  readonly #log: LogStore;
  /** Version of the head each tenant is known to have finished; saves the look, proves nothing that may change. */
  readonly #finished = new LRUCache<string, string>({ max: 10_000 });

  constructor(private readonly tools: SealerTools) {
    this.#store = new LedgerStore(tools.ports.blobs);
    this.#log = new LogStore(tools.ports.blobs);
  }

  /**
   * Seals what is pending in the partitions it looks at, in rounds, and finishes what an earlier round left.
   * Throws `storage-unavailable` when storage did not answer (call again, any time), `integrity-failure` when the
   * ledger does not hold together.
   */
  async sealTenant(tenant: string, options: SealOptions = {}): Promise<SealOutcome> {
    const lease = new TenantLease(this.tools.ports.blobs, this.tools.clock, tenant);
    try {
      return await answering('sealing goes on later', async () => {
        if (!(await lease.hold())) return { sealed: 0, busy: true };
        const partitions = options.partitions ?? (await this.tools.directory.dirtyOf(tenant));
        return this.#seal(tenant, partitions, lease);
      });
    } finally {
      await lease.release();
    }
  }

  async #seal(tenant: string, partitions: readonly PartitionRef[], lease: TenantLease): Promise<SealOutcome> {
    const own = partitions.filter((ref) => ref.tenant === tenant);
    const queue = new PendingQueue(this.tools.ports.tables, own, this.tools.onCorrupt);
    let last = await this.#finishedHead(tenant, lease);
    let sealed = 0;
    for (let lost = 0; !queue.empty;) {
      if (lost === ATTEMPTS || !(await lease.hold())) return { sealed, busy: true };
      const read = await queue.read(LIMITS.sealRoundEvents, LIMITS.sealRoundBytes);
      const events = takeRound(read, { follows: last?.head.tree_size ?? 0, more: queue.more });
      if (events.length === 0) continue;
      if (last === undefined && (await this.#hasLostItsHead(tenant))) {
        throw ledgerBroken(tenant, 'there is a stream but no head');
      }
      const plan = planStage(tenant, last?.head, events, this.tools.clock.now());
      await this.#store.putStage(plan.stored);
      // The commit point.
      const won = await this.#store.replaceHead(plan.head, last);
      if (won === undefined) {
        lost += 1;
        last = await this.#finishedHead(tenant, lease);
        continue;
      }
      await this.#publish(won, plan, lease);
      queue.took(events);
      sealed += events.length;
      lost = 0;
      last = won;
    }
    return { sealed, busy: false };
  }

  /** The current head, finished. Only after this may pending rows be read. */
  async #finishedHead(tenant: string, lease: TenantLease): Promise<StoredHead | undefined> {
    let before: StoredHead | undefined;
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const found = await this.#store.findHead(tenant);
      if (found === undefined) return undefined;
      if (found.etag === before?.etag) throw ledgerBroken(tenant, 'the stage of the head is gone');
      if ((await this.#isFinished(found)) || (await this.#recover(found, lease))) return found;
      // Its stage is gone: somebody finished it and went on. Start again.
      before = found;
    }
    throw new AppError('storage-unavailable', 'Others are sealing; sealing goes on later.', {
      evidence: { tenant },
      retryAfterS: 5,
    });
  }

  async #isFinished({ head, etag }: StoredHead): Promise<boolean> {
    if (this.#finished.get(head.tenant) === etag) return true;
    const { table, partition_key, row_key } = head.last_pending;
    if ((await this.tools.ports.tables.find(table, partition_key, row_key)) !== undefined) return false;
    // A log that was sealed before there were checkpoints, or that lost its own, is brought up to its head.
    const checkpoint = await this.#log.findCheckpoint(head.tenant);
    if ((checkpoint?.size ?? 0) < head.tree_size) return false;
    this.#finished.set(head.tenant, etag);
    return true;
  }

  /** Finishes what an earlier round left; false when its stage is gone. */
  async #recover(found: StoredHead, lease: TenantLease): Promise<boolean> {
    const { head } = found;
    const stage = await this.#store.findStage(head.tenant, head.stage);
    if (stage === undefined) return false;
    if (head.tree_size !== stage.follows + stage.events.length) {
      throw ledgerBroken(head.tenant, 'the stage of the head has another size');
    }
    await this.#publish(found, { stage }, lease);
    return true;
  }

  async #publish(
    { head, etag }: StoredHead,
    round: Omit<CommittedRound, 'head'>,
    lease: TenantLease,
  ): Promise<void> {
    // Whether the lease could be kept is of no interest here: what was begun is finished.
    await finishStage(this.tools, { ...round, head }, async () => {
      await lease.hold();
    });
    this.#finished.set(head.tenant, etag);
    await this.#store.deleteStagesBefore(head);
  }

  /** No head, and yet a stream: lost, unless the first head was made by somebody a moment ago. */
  async #hasLostItsHead(tenant: string): Promise<boolean> {
    return (await this.#store.hasStream(tenant)) && (await this.#store.findHead(tenant)) === undefined;
  }
}
