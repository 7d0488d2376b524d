import type { RecordType } from '../domain/record-type.js';
import { LIMITS } from '../domain/limits.js';
import type { Row } from '../storage/ports.js';
import { rowIntact } from '../storage/row-checksum.js';
import {
  parseBlobName,
  type InboxBlob,
  type LooseBlob,
  type OurBlob,
  type PackBlob,
  type StreamPackBlob,
  type YearBlob,
} from './blob-names.js';

/** Blobs of one listing, in its order, that are dealt with together. */
export type Group =
  | { readonly kind: 'loose'; readonly blobs: readonly [LooseBlob, ...LooseBlob[]] }
  | { readonly kind: 'pack'; readonly blobs: readonly [PackBlob] }
  | { readonly kind: 'stream-pack'; readonly blobs: readonly [StreamPackBlob] }
  | { readonly kind: 'inbox'; readonly blobs: readonly [InboxBlob] }
  | { readonly kind: 'year'; readonly blobs: readonly [YearBlob] };

/**
 * Whether it is time to ask for a blob. The age is told by the UUIDv7 in its name, that is by the writer's clock, and
 * that is enough, because age is thrift and never safety: it keeps the collector from disturbing writers that are at
 * work. One whose clock is slow seems old at once, is fenced, finds its commit refused and writes its blob anew. One
 * whose clock is days ahead would have its orphans wait for that time to come, so what is as far in the future counts
 * as old too. The margin is for clocks that differ as clocks do.
 */
export function isOld(ms: number, nowMs: number): boolean {
  return Math.abs(nowMs - ms) > LIMITS.orphanAgeMs + LIMITS.orphanMarginMs;
}

/** The old blobs of a page of names: neighbours in a partition together, packs, files of values and inbox data by themselves. Pure. */
export function groupsOf(
  types: readonly RecordType[],
  names: readonly string[],
  nowMs: number,
): readonly Group[] {
  const groups: Group[] = [];
  let open: LooseBlob[] | undefined;
  for (const blob of names.map((name) => parseBlobName(types, name))) {
    if (blob === undefined || !isOld(blob.ms, nowMs)) continue;
    if (blob.kind === 'loose') {
      if (open !== undefined && fits(open, blob)) {
        open.push(blob);
        continue;
      }
      open = [blob];
      groups.push({ kind: 'loose', blobs: open as [LooseBlob] });
    } else {
      open = undefined;
      groups.push(alone(blob));
    }
  }
  return groups;
}

function alone(blob: Exclude<OurBlob, LooseBlob>): Group {
  switch (blob.kind) {
    case 'pack':
      return { kind: 'pack', blobs: [blob] };
    case 'stream-pack':
      return { kind: 'stream-pack', blobs: [blob] };
    case 'inbox':
      return { kind: 'inbox', blobs: [blob] };
    case 'year':
      return { kind: 'year', blobs: [blob] };
  }
}

function fits(group: readonly LooseBlob[], { ref }: LooseBlob): boolean {
  const first = group[0]?.ref;
  if (first === undefined || group.length >= LIMITS.rangeRows) return false;
  return first.tenant === ref.tenant && first.table === ref.table && first.partition === ref.partition;
}

/** `unclear`: rows that should be there are missing or damaged; the blob may be the last of its revision and stays. */
export type Verdict = 'named' | 'unclear' | 'orphan';

/**
 * What the rows say of a blob that was written as `revision` of a record. `record` is the record's row, undefined when
 * there is none or a void one; `row` that of the revision. Pure.
 */
export function verdictOn(
  blob: string,
  revision: number,
  record: Row | undefined,
  row: Row | undefined,
): Verdict {
  if (row !== undefined) {
    if (!rowIntact(row)) return 'unclear';
    return row.properties['blob'] === blob ? 'named' : 'orphan';
  }
  if (record === undefined) return 'orphan';
  if (!rowIntact(record)) return 'unclear';
  // Its history was disposed of up to there.
  if (revision < Number(record.properties['history_from'] ?? 1)) return 'orphan';
  // The record has come this far, so its revision had a row: somebody removed it.
  return Number(record.properties['revision']) >= revision ? 'unclear' : 'orphan';
}
