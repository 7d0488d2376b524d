import pLimit from 'p-limit';
import type { RecordType } from '../../domain/record-type.js';
import { archiveIsDue } from '../../domain/tiering.js';
import type { PartitionRef } from '../../storage/directory.js';
import { BLOB_CONTAINERS, packKey, prefixRange, revisionKey } from '../../storage/keys.js';
import { parsePackRow, type StoredPack } from '../../storage/pack-rows.js';
import type { BlockState, Row } from '../../storage/ports.js';
import { rowIntact } from '../../storage/row-checksum.js';
import type { Found } from './findings.js';
import { AT_ONCE, keyOf, rowAt, type Reads } from './tools.js';

const { records: CONTAINER } = BLOB_CONTAINERS;
const PACKS = 40;

/**
 * Packs of archived revisions of a partition after a row key, one page: each blob is there and in the tier that its row says.
 * That every archived revision is in one whose row has it is looked at with the record. Resolves to the last row, undefined at
 * the end.
 */
export async function checkPacks(
  reads: Reads,
  type: RecordType,
  ref: PartitionRef,
  after: string | undefined,
  found: Found,
): Promise<string | undefined> {
  const page = await reads.pageAfter(ref, prefixRange(packKey('')), after, PACKS);
  const limit = pLimit(AT_ONCE);
  await Promise.all(page.rows.map((row) => limit(() => checkPack(reads, type, ref, row, found))));
  return reads.after(page);
}

async function checkPack(
  reads: Reads,
  type: RecordType,
  ref: PartitionRef,
  row: Row,
  found: Found,
): Promise<void> {
  // That it is altered is said where rows are walked; what is being written may be nothing yet.
  const pack = rowIntact(row) ? parsePackRow(row) : undefined;
  if (pack?.state !== 'stored') return;
  const where = rowAt(ref.table, keyOf(ref), row.rowKey);
  const since = { sinceMs: row.timestampMs };
  const state = await reads.budget().retry(() => reads.tools.ports.blobs.blockState(CONTAINER, pack.blob));
  if (state?.length !== pack.bytes) {
    // One that no row names is about to go, its blob first.
    if (await isNamed(reads, ref, pack)) found('pack.missing', where, `records/${pack.blob} is not there, or has another length`, since); // prettier-ignore
    return;
  }
  const wrong = tierFault(type, pack, state, reads.tools.clock.now());
  if (wrong !== undefined) found('pack.tier', where, wrong, since);
}

/** The blob goes before the row: one that is due may be ahead of it, and none is ever behind. */
function tierFault(type: RecordType, pack: StoredPack, { tier }: BlockState, nowMs: number): string | undefined {
  if (tier === pack.tier) return undefined;
  const said = `it says ${pack.tier}, and records/${pack.blob} is ${tier}`;
  if (tier !== 'archive' || pack.tier !== 'cool') return said;
  return archiveIsDue(type, pack.youngestMs, nowMs) ? undefined : `${said} before its time`;
} // prettier-ignore

async function isNamed(reads: Reads, ref: PartitionRef, { blob, members }: StoredPack): Promise<boolean> {
  const keys = members.map(({ id, revision }) => revisionKey(id, revision));
  const rows = await reads.byKeys(ref.table, keyOf(ref), keys);
  return [...rows.values()].some(({ properties }) => properties['blob'] === blob);
}
