import { isAppError } from '../domain/errors.js';
import type { PartsDeclaration } from '../domain/parts.js';
import type { RecordType } from '../domain/record-type.js';
import { archiveIsDue } from '../domain/tiering.js';
import type { PartitionRef } from '../storage/directory.js';
import type { StoredPack } from '../storage/pack-rows.js';
import type { Row } from '../storage/ports.js';
import type { StreamArchiver } from '../storage/stream-archiver.js';
import { streamAgedSinceMs, type Streamed, type StreamTiers } from '../storage/stream-tiers.js';
import type { Counts } from './job.js';
import { isOld } from './orphan-plan.js';
import { LOOKED_AT_MS, madeMs, packOf } from './pack-upkeep.js';

export interface StreamUpkeepTools {
  readonly tiers: Pick<StreamTiers, 'read' | 'named' | 'fence' | 'archive' | 'replaceRow'>;
  readonly archiver: Pick<StreamArchiver, 'pack' | 'remove' | 'deleteFiles'>;
  /** Whether the index of subjects has all of a tenant (docs/erasure.md): what is in the archive it cannot read any more. */
  readonly isIndexed: (tenant: string) => Promise<boolean>;
}

/** Says which of some records no hold is on. */
export type Free = (ids: readonly string[]) => Promise<ReadonlySet<string>>;

const DAMAGED: Counts = { damagedPacks: 1 };

/**
 * What one pack of entries needs, as `keepPack` does for revisions: that of a process that died is settled, one that is due
 * goes into the archive, one that no row names goes. Throws `storage-unavailable`.
 */
export async function keepStreamPack(
  tools: StreamUpkeepTools,
  type: RecordType,
  parts: PartsDeclaration,
  ref: PartitionRef,
  row: Row,
  nowMs: number,
  free: Free,
): Promise<Counts> {
  const pack = packOf(row);
  // What it says of its blob proves nothing then; the blob stays.
  if (pack === undefined) return DAMAGED;
  try {
    if (pack.state === 'writing') return isOld(madeMs(pack), nowMs) ? await settle(tools, type, parts, ref, pack) : {}; // prettier-ignore
    const old = pack.tier === 'cool' && archiveIsDue(type, pack.youngestMs, nowMs);
    const due = old && (await tools.isIndexed(ref.tenant));
    if (!due && nowMs - row.timestampMs < LOOKED_AT_MS) return {};
    const named = await tools.tiers.named(parts, ref, pack);
    if (named.length === 0) {
      // Nobody names a stored pack anew: only who has just written one does.
      await tools.archiver.remove(ref, pack);
      return { removedPacks: 1 };
    }
    if (due) return await archive(tools, type, parts, ref, pack, named, nowMs, free);
    // Its time is when it was looked at last.
    await tools.tiers.replaceRow(ref, pack, pack);
    return {};
  } catch (error) {
    // A row of a record was altered: nothing is decided by it.
    if (isAppError(error, 'integrity-failure')) return DAMAGED;
    throw error;
  }
}

async function archive(tools: StreamUpkeepTools, type: RecordType, parts: PartsDeclaration, ref: PartitionRef, pack: StoredPack, named: readonly Streamed[], nowMs: number, free: Free): Promise<Counts> {
  const youngestMs = named.map(streamAgedSinceMs).reduce((a, b) => Math.max(a, b), pack.youngestMs);
  if (!archiveIsDue(type, youngestMs, nowMs)) {
    // Something was added since to one of the records; it is asked again when that is old.
    await tools.tiers.replaceRow(ref, pack, { ...pack, youngestMs });
    return {};
  }
  const unheld = await free(named.map(({ id }) => id));
  if (unheld.size < named.length) return { held: named.length - unheld.size };
  const { moved, overtaken } = await tools.tiers.archive(type, parts, ref, pack, named);
  return { archivedStreams: moved, overtaken, ...(overtaken === 0 ? { archivedPacks: 1 } : {}) };
} // prettier-ignore

/**
 * A pack that was being written a day ago: whoever it was may be asleep and not dead, so the rows of its records are fenced
 * before it is asked again which name it. Those that do need their append blobs no more.
 */
async function settle(
  tools: StreamUpkeepTools,
  type: RecordType,
  parts: PartsDeclaration,
  ref: PartitionRef,
  pack: StoredPack,
): Promise<Counts> {
  await tools.tiers.fence(parts, ref, pack);
  const named = await tools.tiers.named(parts, ref, pack);
  if (named.length === 0) {
    await tools.archiver.remove(ref, pack);
    return { removedPacks: 1 };
  }
  const members = named.flatMap(({ id, row }) => row.pieces.filter(({ blob }) => blob === pack.blob).map(({ file }) => ({ id, revision: file }))); // prettier-ignore
  await tools.archiver.deleteFiles(type, parts, ref.tenant, members);
  await tools.tiers.replaceRow(ref, pack, { ...pack, state: 'stored', members });
  return { settledPacks: 1 };
}
