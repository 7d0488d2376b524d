import { checksumOf, type Json } from './canonical-json.js';

/** What the first entry of a chain carries as the hash of the one before it. */
export const CHAIN_BEGIN = '0'.repeat(64);

/** An entry of a ledger: numbered from 1, and bound to everything before it. */
export interface ChainLink {
  readonly sequence: number;
  /** `hash` of the entry before, `CHAIN_BEGIN` for the first. */
  readonly previous_hash: string;
  /** SHA-256 over the RFC 8785 canonical JSON of the entry without this member, lower-case hex. */
  readonly hash: string;
}

/** The entry that follows `previous`, the last of a chain; without one, the first. */
export function chained<Content extends Readonly<Record<string, unknown>>>(
  previous: ChainLink | undefined,
  content: Content,
): Content & ChainLink {
  const sequence = (previous?.sequence ?? 0) + 1;
  const entry = { ...content, sequence, previous_hash: previous?.hash ?? CHAIN_BEGIN };
  return { ...entry, hash: hashOf(entry) };
}

/**
 * The sequence number of the first entry that is not what was chained there; one more than the last for a chain that is
 * sound and yet does not end at `head`, which is kept elsewhere: entries were cut off. Undefined when all holds.
 */
export function chainBreak(entries: readonly ChainLink[], head: string): number | undefined {
  let previous = CHAIN_BEGIN;
  for (const [at, entry] of entries.entries()) {
    const { hash, ...rest } = entry;
    if (entry.sequence !== at + 1 || entry.previous_hash !== previous || hash !== hashOf(rest)) return at + 1;
    previous = hash;
  }
  return previous === head ? undefined : entries.length + 1;
}

function hashOf(entry: Readonly<Record<string, unknown>>): string {
  // Members that are undefined are not stored, so they are not hashed.
  const known = Object.entries(entry).filter(([member, value]) => value !== undefined && member !== 'hash');
  return checksumOf(Object.fromEntries(known) as Json);
}
