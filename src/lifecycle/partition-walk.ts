import type { RecordType } from '../domain/record-type.js';
import type { Budget } from '../storage/backoff.js';
import type { Directory, ListedPartition } from '../storage/directory.js';

/** Where a walk through the partitions of all tenants is; the beginning when empty. Part of a job's cursor. */
export interface Place {
  readonly tenant?: string | undefined;
  /** The partition of that tenant that was passed last, as the directory lists it. */
  readonly after?: string | undefined;
  /** The partition that is under way, and in it the row that was looked at last. */
  readonly at?: string | undefined;
  readonly row?: string | undefined;
}

/** The next partition with records of interest; `row` is where to go on in it, undefined at its beginning. */
export interface Found {
  readonly kind: 'found';
  readonly type: RecordType;
  readonly ref: ListedPartition;
  readonly row: string | undefined;
  /** Where the walk is when the partition was looked at up to `last`; without one, when it is done. */
  readonly placeAfter: (last: string | undefined) => Place;
}

/** `passed`: nothing of interest up to that place; `end`: that was all. */
export type Walked = Found | { readonly kind: 'passed'; readonly place: Place } | { readonly kind: 'end' };

/** Partitions of all tables that are passed with one range read. */
const PARTITIONS = 200;

/**
 * The next partition whose table `typeOf` has a type for. One range read for 200 partitions, and one more where a tenant
 * begins. Throws `storage-unavailable`.
 */
export async function walk(
  directory: Directory,
  from: Place,
  typeOf: (table: string) => RecordType | undefined,
  budget: Budget,
): Promise<Walked> {
  const tenantAfter = async (before: string | undefined): Promise<string | undefined> =>
    (await budget.retry(() => directory.tenantsAfter(before, 1)))[0];
  const tenant = from.tenant ?? (await tenantAfter(undefined));
  if (tenant === undefined) return { kind: 'end' };
  const page = await budget.retry(() => directory.partitionsAfter(tenant, from.after, PARTITIONS));
  for (const [index, ref] of page.entries()) {
    const type = typeOf(ref.table);
    if (type === undefined) continue;
    const before = page[index - 1]?.listedAs ?? from.after;
    const placeAfter = (last: string | undefined): Place =>
      last === undefined
        ? { tenant, after: ref.listedAs }
        : { tenant, after: before, at: ref.listedAs, row: last };
    // A partition that came to be meanwhile may lie before the one that was under way.
    const row = from.at === ref.listedAs ? from.row : undefined;
    return { kind: 'found', type, ref, row, placeAfter };
  }
  const last = page.length < PARTITIONS ? undefined : page.at(-1);
  if (last !== undefined) return { kind: 'passed', place: { tenant, after: last.listedAs } };
  const following = await tenantAfter(tenant);
  return following === undefined ? { kind: 'end' } : { kind: 'passed', place: { tenant: following } };
}
