import type { Budget } from './backoff.js';
import type { Directory } from './directory.js';
import { partitionKey } from './keys.js';
import { isFault, type StorageFaultKind, type StoragePorts } from './ports.js';
import type { WritePlan } from './write-plan.js';

/** How a plan ended: committed, or refused because a row it depends on had moved, appeared or gone. */
export type CommitOutcome = 'committed' | Extract<StorageFaultKind, 'exists' | 'conflict' | 'missing'>;

export interface CommitTools {
  readonly ports: StoragePorts;
  readonly directory: Directory;
  readonly budget: Budget;
}

/**
 * Executes a write plan (architecture.md, "Life of a record", steps 3 and 4). The SDK's own retries are off; after an
 * ambiguous failure the revision row is read: our event id there means it succeeded, another's means conflict, none
 * means the identical transaction is sent again. Throws `storage-unavailable` when the budget is spent and it is
 * still unknown. `besides` writes what means nothing without the commit and has to be there before it.
 */
export async function executePlan(
  tools: CommitTools,
  plan: WritePlan,
  besides?: () => Promise<void>,
): Promise<CommitOutcome> {
  const announced = tools.budget.retry(() => tools.directory.announce(plan.partition));
  const written = writeBlob(tools, plan);
  await Promise.all([announced, written, besides?.()]);
  return commitPlan(tools, plan);
}

async function writeBlob({ ports, budget }: CommitTools, plan: WritePlan): Promise<void> {
  const { blob } = plan;
  if (blob === undefined) return;
  await budget.retry(async (attempt) => {
    try {
      await ports.blobs.putOnce(blob.container, blob.name, blob.bytes, blob.contentType);
    } catch (error) {
      // The name holds this attempt's event id: if it is there after a lost answer, we wrote it.
      if (attempt === 1 || !isFault(error, 'exists')) throw error;
    }
  });
}

/** The commit alone: for plans whose blob is written already, such as the transactions of a batch. */
export async function commitPlan(tools: CommitTools, plan: WritePlan): Promise<CommitOutcome> {
  const { ports, directory, budget } = tools;
  const { table } = plan.partition;
  const key = partitionKey(plan.partition.tenant, plan.partition.partition);
  let ambiguous = false;
  for (;;) {
    // Free unless the last announcement is about to grow older than a sweeper would respect.
    await budget.retry(() => directory.announce(plan.partition));
    let refused: CommitOutcome | undefined;
    try {
      await ports.tables.commit(table, key, plan.operations);
      return 'committed';
    } catch (error) {
      if (isFault(error, 'unavailable')) {
        ambiguous = true;
        await budget.pause(error);
      } else if (isFault(error, 'exists', 'conflict', 'missing')) {
        refused = error.kind as CommitOutcome;
        // Nothing of ours is under way: the refusal is the whole truth.
        if (!ambiguous) return refused;
      } else {
        throw error;
      }
    }
    const witness = await witnessOf(tools, plan, key);
    if (witness === 'ours') return 'committed';
    if (witness === 'theirs') return 'conflict';
    if (refused !== undefined) return refused;
  }
}

async function witnessOf(
  tools: CommitTools,
  plan: WritePlan,
  key: string,
): Promise<'ours' | 'theirs' | 'none'> {
  const { ports, budget } = tools;
  const row = await budget.retry(() => ports.tables.find(plan.partition.table, key, plan.witness.rowKey));
  if (row === undefined) return 'none';
  return row.properties['event_id'] === plan.witness.eventId ? 'ours' : 'theirs';
}
