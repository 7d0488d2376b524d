import { isHeld } from '../domain/held.js';
import type { RecordType } from '../domain/record-type.js';
import type { PartitionRef } from '../storage/directory.js';
import type { Candidate } from '../storage/record-archiver.js';
import type { CurrentSubjects } from '../storage/current-subjects.js';
import type { HoldBook, HowFresh } from './hold-book.js';

export interface FreeTools {
  readonly holds: Pick<HoldBook, 'activeOf' | 'factsOf'>;
  readonly subjects: Pick<CurrentSubjects, 'of'>;
}

/**
 * Those of some records that no hold is on (docs/holds.md). One look for all of them; where a hold is on a subject, also
 * whom each record is about, and one of which that cannot be told counts as held. Throws `integrity-failure` where
 * the holds themselves do not hold together: then nothing is free.
 */
export async function freeOfHolds(
  { holds, subjects }: FreeTools,
  type: RecordType,
  ref: PartitionRef,
  candidates: readonly Candidate[],
  how: HowFresh,
): Promise<readonly Candidate[]> {
  const active = await holds.activeOf(ref.tenant, how);
  if (active.length === 0) return candidates;
  const bySubject = active.some(({ scope }) => scope.kind === 'subject');
  const free: Candidate[] = [];
  for (const candidate of candidates) {
    const named = bySubject ? await subjects.of(type, ref, candidate.record) : [];
    if (named === undefined) continue;
    const facts = await holds.factsOf(type, ref.tenant, candidate.record, named);
    if (!isHeld(active, facts)) free.push(candidate);
  }
  return free;
}
