import { isAppError } from '../domain/errors.js';
import { isHeld } from '../domain/held.js';
import type { RecordType } from '../domain/record-type.js';
import { isFault, type Row } from '../storage/ports.js';
import type { RecordSubjects } from '../storage/record-subjects.js';
import type { HoldBook } from './hold-book.js';

export interface HoldsTools {
  readonly holds: Pick<HoldBook, 'activeOf' | 'factsOf'>;
  readonly subjects: Pick<RecordSubjects, 'of'>;
}

/**
 * Whether no legal hold covers a record, by its row (docs/holds.md): one range read where `fresh`, and where a hold is on a
 * subject, what it takes to know whom the record is about. What lies in an archive, so that this cannot be known, may not
 * go. Throws `integrity-failure`: what is not known to be free is not free.
 */
export async function isFree(
  { holds, subjects }: HoldsTools,
  type: RecordType,
  tenant: string,
  row: Row,
  fresh: boolean,
): Promise<boolean> {
  const active = await holds.activeOf(tenant, { fresh });
  if (active.length === 0) return true;
  let about: readonly string[] = [];
  const asks = active.some(({ scope }) => scope.kind === 'subject');
  if (asks)
    try {
      about = await subjects.of(type, tenant, String(row.properties['id']));
    } catch (error) {
      if (isFault(error, 'archived') || isAppError(error, 'record-archived')) return false;
      throw error;
    }
  const facts = await holds.factsOf(type, tenant, row, about);
  // Reading that took its time: what was placed meanwhile counts.
  const now = !asks ? active : await holds.activeOf(tenant, { fresh });
  return !isHeld(now, facts);
}
