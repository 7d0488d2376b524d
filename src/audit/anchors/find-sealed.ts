import { SYSTEM_TENANT } from '../../storage/keys.js';
import type { AuditReader } from '../audit-reader.js';
import type { SealedEntry } from './anchor-state.js';

/** An entry of the platform log, by its event; undefined while it waits to be sealed or is not there. `by` asks. */
export async function findSealed(
  events: Pick<AuditReader, 'findText'>,
  eventId: string,
  by: string,
): Promise<Omit<SealedEntry, 'tree_size'> | undefined> {
  const call = { tenant: SYSTEM_TENANT, actor: by, correlationId: by };
  const found = await events.findText(eventId, call);
  return found?.leafIndex === undefined ? undefined : { event: found.text, leaf_index: found.leafIndex };
}
