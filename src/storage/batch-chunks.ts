import { LIMITS } from '../domain/limits.js';
import type { RecordType } from '../domain/record-type.js';
import type { PartitionRef } from './directory.js';
import type { Reservation } from './idempotency.js';
import { partHash, type KeyedResult } from './keyed-result.js';
import type { NewRevision } from './new-revision.js';
import type { Placed } from './record-locator.js';
import type { CallContext, WrittenItems } from './manager-types.js';
import { envelopeHead, type DetailLocation, type RevisionFacts } from './record-row.js';

/** The items of a batch that are committed together: same partition, at most 100 rows with the key's row. */
export interface Chunk {
  readonly part: number;
  readonly ref: PartitionRef;
  readonly ids: readonly string[];
}

/** Groups records by partition and cuts the groups; an attempt that takes over has the same ids and cuts alike. */
export function chunksOf(type: RecordType, placed: readonly Placed[]): readonly Chunk[] {
  const beside = type.partition.kind === 'own' ? 0 : type.allIndexes.length;
  const rowsPerItem = 3 + beside + (type.named === undefined ? 0 : 1);
  const size = Math.floor((LIMITS.transactionRows - 1) / rowsPerItem);
  const groups = new Map<string, { ref: PartitionRef; ids: string[] }>();
  for (const { id, ref } of placed) {
    const group = groups.get(ref.partition) ?? { ref, ids: [] };
    group.ids.push(id);
    groups.set(ref.partition, group);
  }
  const cut = [...groups.values()].flatMap((group) =>
    Array.from({ length: Math.ceil(group.ids.length / size) }, (_, at) => ({
      ref: group.ref,
      ids: group.ids.slice(at * size, (at + 1) * size),
    })),
  );
  return cut.map((chunk, part) => ({ ...chunk, part }));
}

/** What the key row of a chunk's transaction is called. */
export function keyOf(
  chunk: Chunk,
  reservation: Reservation,
): { readonly hash: string; readonly fingerprint: string } {
  return { hash: partHash(reservation.hash, chunk.part), fingerprint: reservation.fingerprint };
}

/** What the key row of a chunk's transaction says. */
export function resultOf(chunk: Chunk, reservation: Reservation): KeyedResult {
  const revisions = chunk.ids.map((id) => ({ id, revision: 1 }));
  return { fingerprint: reservation.fingerprint, revisions };
}

/** A revision and its place in a pack. */
export interface Packed {
  readonly revision: NewRevision;
  readonly location: DetailLocation;
}

/** Many envelopes as the bytes of one blob, one a line. */
export function packOf(
  blob: string,
  revisions: readonly NewRevision[],
): { readonly bytes: Uint8Array; readonly packed: readonly Packed[] } {
  const newline = Buffer.from('\n');
  const packed: Packed[] = [];
  let offset = 0;
  for (const revision of revisions) {
    const { length } = revision.bytes;
    packed.push({ revision, location: { blob, offset, length } });
    offset += length + newline.length;
  }
  return { bytes: Buffer.concat(revisions.flatMap(({ bytes }) => [bytes, newline])), packed };
}

/** What is answered of the first revisions of a batch, in order. */
export function writtenOf(
  type: RecordType,
  { tenant }: CallContext,
  facts: readonly RevisionFacts[],
): WrittenItems {
  return {
    items: facts.map((one) => envelopeHead(type, tenant, one)),
    eventIds: facts.map(({ eventId }) => eventId),
  };
}
