import { isAppError } from '../domain/errors.js';
import { parseId } from '../domain/ids.js';
import type { RecordType } from '../domain/record-type.js';
import { archiveIsDue } from '../domain/tiering.js';
import type { Budget } from '../storage/backoff.js';
import type { PartitionRef } from '../storage/directory.js';
import { parsePackRow, type StoredPack } from '../storage/pack-rows.js';
import type { PackTiers } from '../storage/pack-tiers.js';
import type { Row, StoragePorts } from '../storage/ports.js';
import type { Candidate, RecordArchiver } from '../storage/record-archiver.js';
import { fence } from './fence.js';
import type { Counts } from './job.js';
import { isOld } from './orphan-plan.js';

export interface UpkeepTools {
  readonly ports: StoragePorts;
  readonly tiers: Pick<PackTiers, 'named' | 'archive' | 'replaceRow'>;
  readonly archiver: Pick<RecordArchiver, 'remove'>;
  /** Whether the index of subjects has all of a tenant (docs/erasure.md): what is in the archive it cannot read any more. */
  readonly isIndexed: (tenant: string) => Promise<boolean>;
  readonly budget: () => Budget;
}

/** How often it is looked whether rows still name a pack: records are disposed of, and revisions packed anew. */
export const LOOKED_AT_MS = 30 * 24 * 3_600_000;

/**
 * What one pack needs: that of a process that died is settled, one that is due goes into the archive, one that no row
 * names goes. `free` says which records no hold is on. Throws `storage-unavailable`.
 */
export async function keepPack(
  tools: UpkeepTools,
  type: RecordType,
  ref: PartitionRef,
  row: Row,
  nowMs: number,
  free: (candidates: readonly Candidate[]) => Promise<readonly Candidate[]>,
): Promise<Counts> {
  const pack = packOf(row);
  // What it says of its blob proves nothing then; the blob stays.
  if (pack === undefined) return { damagedPacks: 1 };
  if (pack.state === 'writing') return isOld(madeMs(pack), nowMs) ? settle(tools, ref, pack) : {};
  const old = pack.tier === 'cool' && archiveIsDue(type, pack.youngestMs, nowMs);
  const due = old && (await tools.isIndexed(ref.tenant));
  if (!due && nowMs - row.timestampMs < LOOKED_AT_MS) return {};
  const members = await tools.tiers.named(ref, pack);
  if (members.length === 0) {
    // Nobody names a stored pack anew: only who has just written one does.
    await tools.archiver.remove(ref, pack, tools.budget());
    return { removedPacks: 1 };
  }
  if (due) {
    const { moved, held, overtaken } = await tools.tiers.archive(type, ref, pack, members, free);
    return { archived: moved, held, overtaken, ...(held + overtaken === 0 ? { archivedPacks: 1 } : {}) };
  }
  // Its time is when it was looked at last.
  await tools.tiers.replaceRow(ref, pack, pack);
  return {};
}

/**
 * A pack that was being written a day ago: whoever it was may be asleep and not dead, so the records whose rows do not
 * name it are fenced before it is asked again which do.
 */
async function settle(tools: UpkeepTools, ref: PartitionRef, pack: StoredPack): Promise<Counts> {
  const before = await tools.tiers.named(ref, pack);
  const complete = before.reduce((sum, { revisions }) => sum + revisions.length, 0) === pack.members.length;
  if (!complete) {
    for (const id of new Set(pack.members.map((member) => member.id))) {
      const fenced = await fence(tools.ports.tables, ref, id, tools.budget());
      // Nothing is decided by a row that was altered.
      if (fenced.kind === 'damaged') return { damagedPacks: 1 };
    }
  }
  const named = complete ? before : await tools.tiers.named(ref, pack);
  if (named.length === 0) {
    await tools.archiver.remove(ref, pack, tools.budget());
    return { removedPacks: 1 };
  }
  const members = named.flatMap(
    ({ revisions }) =>
    revisions.map(({ properties }) => ({ id: String(properties['id']), revision: Number(properties['revision']) })), // prettier-ignore
  );
  await tools.tiers.replaceRow(ref, pack, { ...pack, state: 'stored', members });
  return { settledPacks: 1 };
}

/** When a pack was begun, by the clock of who did; milliseconds since 1970. */
export function madeMs({ uuid }: StoredPack): number {
  return parseId(`pack_${uuid}`)?.ms ?? 0;
}

/** The pack of a row; undefined for a row that was altered. */
export function packOf(row: Row): StoredPack | undefined {
  try {
    return parsePackRow(row);
  } catch (error) {
    if (isAppError(error, 'integrity-failure')) return undefined;
    throw error;
  }
}
