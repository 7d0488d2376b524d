import type { RecordType } from '../../domain/record-type.js';
import { isTiered } from '../../domain/tiering.js';
import type { ListedPartition } from '../../storage/directory.js';
import { ERASURES_TABLE } from '../../storage/erasure-rows.js';
import { HOLDS_TABLE } from '../../storage/hold-rows.js';
import { INDEX_TABLE } from '../clear-order.js';
import { checkBlobs } from './blobs.js';
import { checkBundle } from './bundle.js';
import { checkErasures } from './erasures.js';
import { checkEventRows } from './event-rows.js';
import { checkHolds } from './holds.js';
import { Suspicions, type FindingCode, type Suspicion } from './findings.js';
import { checkLogState } from './log-state.js';
import { checkPacks } from './packs.js';
import { checkParts } from './parts.js';
import { checkYears } from './years.js';
import { checkRecords } from './records.js';
import { checkRows } from './rows.js';
import type { StreamPlace } from '../stream-lines.js';
import { checkSubjects, SUBJECTS_BEGIN, type SubjectsPlace } from './subject-index.js';
import { checkOperations, checkReservations, checkTenantRows, SHARDS } from './tenant-rows.js';
import type { Reads } from './tools.js';
import { TILE_WIDTH } from '../log/tiles.js';

/** What is looked for in a partition, in this order. */
type PartitionLook = 'rows' | 'records' | 'packs' | 'years' | 'parts' | 'events' | 'operations' | 'holds' | 'erasures'; // prettier-ignore

/**
 * A bounded piece of the work of checking a tenant; what is found in it can be looked for again by doing it again. JSON, so
 * that it can be a job's cursor.
 */
export type Piece =
  | { readonly kind: 'log' }
  | { readonly kind: 'bundle'; readonly index: number; readonly size: number; readonly settled: number; readonly stream?: StreamPlace | undefined }
  | { readonly kind: 'tenant' }
  | { readonly kind: 'reservations'; readonly shard: number }
  | { readonly kind: 'subjects'; readonly place: SubjectsPlace }
  /** The partition that the directory lists after `after`. */
  | { readonly kind: 'partition'; readonly after?: string | undefined }
  | { readonly kind: 'look'; readonly look: PartitionLook; readonly ref: ListedPartition; readonly after?: string | undefined }
  | { readonly kind: 'blobs'; readonly page?: string | undefined }; // prettier-ignore

export const FIRST: Piece = { kind: 'log' };

export interface PieceDone {
  readonly suspicions: readonly Suspicion[];
  /** Findings beyond those, by code. */
  readonly more: ReadonlyMap<FindingCode, number>;
  /** What comes after it; undefined when the tenant is done. */
  readonly next: Piece | undefined;
}

/** Does a piece. Throws `storage-unavailable`, and faults that storage will not get over. */
export async function checkPiece(reads: Reads, tenant: string, piece: Piece): Promise<PieceDone> {
  const suspicions = new Suspicions(tenant);
  const next = await nextOf(reads, tenant, piece, suspicions);
  return { suspicions: suspicions.all, more: suspicions.more, next };
}

async function nextOf(reads: Reads, tenant: string, piece: Piece, suspicions: Suspicions): Promise<Piece | undefined> {
  const { found } = suspicions;
  switch (piece.kind) {
    case 'log': {
      const { size, settled } = await checkLogState(reads, tenant, found);
      return size > 0 ? { kind: 'bundle', index: 0, size, settled } : { kind: 'tenant' };
    }
    case 'bundle': {
      const { index, size, settled } = piece;
      const { stream, nothing } = await checkBundle(reads, { tenant, index, size, settled, stream: piece.stream }, found);
      const more = !nothing && (index + 1) * TILE_WIDTH < size;
      return more ? { ...piece, index: index + 1, stream } : { kind: 'tenant' };
    }
    case 'tenant':
      await checkTenantRows(reads, tenant, found);
      return { kind: 'reservations', shard: 0 };
    case 'reservations': {
      const shard = await checkReservations(reads, tenant, piece.shard, found);
      return shard < SHARDS ? { kind: 'reservations', shard } : { kind: 'subjects', place: SUBJECTS_BEGIN };
    }
    case 'subjects': {
      const place = await checkSubjects(reads, tenant, piece.place, found);
      return place === undefined ? { kind: 'partition' } : { kind: 'subjects', place };
    }
    case 'partition': {
      const [ref] = await reads.budget().retry(() => reads.tools.directory.partitionsAfter(tenant, piece.after, 1));
      if (ref === undefined) return { kind: 'blobs' };
      // The partition of one record, which was made meanwhile.
      return reads.isLater(ref.partition) ? { kind: 'partition', after: ref.listedAs } : followingLook(reads, ref, undefined);
    }
    case 'look': {
      const after = await lookInto(reads, piece, suspicions);
      return after === undefined ? followingLook(reads, piece.ref, piece.look) : { ...piece, after };
    }
    case 'blobs': {
      const page = await checkBlobs(reads, tenant, piece.page, found);
      return page === undefined ? undefined : { kind: 'blobs', page };
    }
  }
} // prettier-ignore

async function lookInto(
  reads: Reads,
  { look, ref, after }: Extract<Piece, { readonly kind: 'look' }>,
  suspicions: Suspicions,
): Promise<string | undefined> {
  const { found } = suspicions;
  const type = typeOf(reads, ref.table);
  if (look === 'events') return checkEventRows(reads, ref, after, found);
  if (look === 'holds') return checkHolds(reads, ref, after, found);
  if (look === 'erasures') return checkErasures(reads, ref, after, suspicions);
  if (look === 'operations') {
    await checkOperations(reads, ref.tenant, ref.partition, found);
    return undefined;
  }
  if (look === 'records' && type !== undefined) return checkRecords(reads, type, ref, after, suspicions);
  if (look === 'packs' && type !== undefined) return checkPacks(reads, type, ref, after, found);
  if (look === 'years' && type !== undefined) return checkYears(reads, type, ref, after, suspicions);
  if (look === 'parts' && type?.parts !== undefined)
    return checkParts(reads, { type, parts: type.parts, ref }, after, suspicions);
  return checkRows(reads, type, ref, after, found);
}

/** The type whose records, or whose parts, are in a table. */
const typeOf = (reads: Reads, table: string): RecordType | undefined =>
  reads.tools.types.find((type) => type.table === table || type.parts?.table === table);

function followingLook(reads: Reads, ref: ListedPartition, done: PartitionLook | undefined): Piece {
  const type = typeOf(reads, ref.table);
  const own = looksOf(ref.table, type);
  const look = own[done === undefined ? 0 : own.indexOf(done) + 1];
  return look === undefined ? { kind: 'partition', after: ref.listedAs } : { kind: 'look', look, ref };
}

function looksOf(table: string, type: RecordType | undefined): readonly PartitionLook[] {
  if (table === INDEX_TABLE) return ['events', 'operations'];
  if (table === HOLDS_TABLE) return ['rows', 'holds'];
  if (table === ERASURES_TABLE) return ['rows', 'erasures'];
  if (type === undefined) return ['rows'];
  if (table !== type.table) return ['rows', 'parts'];
  const packs = isTiered(type) ? (['packs'] as const) : [];
  const years = type.parts?.series === undefined ? [] : (['years'] as const);
  return ['rows', 'records', ...packs, ...years];
}
