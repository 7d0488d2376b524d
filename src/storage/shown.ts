import { maskedEtag } from './etag.js';
import type { CallContext, StoredRecord } from './manager-types.js';

/**
 * A record as the caller may see it: with its sensitive values and their salts, or with their commitments (security.md,
 * Masking), under a tag of its own. Every answer of a record goes through here. Copies, for what was read may be kept in
 * memory.
 */
export function shownTo<T extends StoredRecord>(
  { maySeeSensitive }: Pick<CallContext, 'maySeeSensitive'>,
  record: T,
): Omit<T, 'hidden'> {
  const { hidden, ...shown } = record;
  if (hidden === undefined) return shown;
  if (maySeeSensitive === true) return { ...shown, sensitive: true };
  const { salts: _, ...envelope } = shown.envelope;
  return { ...shown, envelope: { ...envelope, data: hidden.committed }, etag: maskedEtag(shown.etag) };
}
