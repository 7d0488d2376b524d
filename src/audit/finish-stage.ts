import type { Directory } from '../storage/directory.js';
import type { StoragePorts } from '../storage/ports.js';
import type { NamedSubject } from '../storage/subject-rows.js';
import { applyUnits } from './apply-units.js';
import {
  changesOf,
  clearOrder,
  INDEX_TABLE,
  indexOrder,
  namedByStage,
  type SealedChange,
} from './clear-order.js';
import { clearUnits, indexUnits } from './index-rows.js';
import type { NoteSigner } from './log/signed-note.js';
import { publishStage, type CommittedRound } from './publish-log.js';

export interface FinishTools {
  readonly ports: StoragePorts;
  readonly directory: Directory;
  /** Who signs a tenant's log; asked for a signature only once what it covers is published. */
  readonly signer: (tenant: string) => NoteSigner;
  /**
   * Called with what a stage's events changed before their pending rows go, and again when that was not finished: what
   * follows from a change and could not be in its commit is done by then. Faults: `unavailable`, as an AppError.
   */
  readonly beforeClearing?: (
    tenant: string,
    changes: readonly SealedChange[],
    named: readonly NamedSubject[],
  ) => Promise<void>;
}

/**
 * Publishes what a head committed (audit-ledger.md, the sealer, step 2). Every step is harmless when it was done
 * before, by anybody, however long ago, and the steps are always taken in this order: whoever finds the last one
 * done knows that all are. Also the recovery of a round that died anywhere after its commit point. `beat` is called now
 * and then in work that takes long.
 */
export async function finishStage(
  tools: FinishTools,
  round: CommittedRound,
  beat: () => Promise<void>,
): Promise<void> {
  const { tables, blobs } = tools.ports;
  const { stage } = round;
  // Before the index rows, so that no event is shown as sealed that the checkpoint does not cover.
  await publishStage({ blobs, signer: tools.signer, beat }, round);
  for (const group of indexOrder(stage)) {
    await tools.directory.register({
      tenant: stage.tenant,
      table: INDEX_TABLE,
      partition: group.events[0]?.day ?? '',
    });
    const target = { tables, table: INDEX_TABLE, partitionKey: group.partitionKey, ordered: true };
    await applyUnits(target, indexUnits(group));
  }
  await tools.beforeClearing?.(stage.tenant, changesOf(stage), namedByStage(stage));
  for (const group of clearOrder(stage)) {
    const target = { tables, table: group.table, partitionKey: group.partitionKey, ordered: true };
    await applyUnits(target, clearUnits(group));
  }
}
