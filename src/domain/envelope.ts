import type { Json } from './canonical-json.js';
import { checksumOf } from './canonical-json.js';
import type { SealedSecrets } from './commitment.js';

export type Tier = 'hot' | 'cool' | 'archive';

/** Everything of an envelope but its data (http-api.md: "envelope without data"). */
export interface EnvelopeHead {
  readonly record_type: string;
  readonly id: string;
  readonly tenant: string;
  readonly revision: number;
  readonly schema_version: string;
  readonly stored_at: string;
  readonly tier: Tier;
  readonly checksum_algorithm: 'SHA-256';
  /** hex SHA-256 over the canonical JSON of the committed form of the data. */
  readonly checksum: string;
}

/** What is stored in the detail blob: the committed form, and the sealed secrets where there are any. */
export interface StoredEnvelope extends EnvelopeHead {
  readonly data: Record<string, unknown>;
  readonly sealed?: SealedSecrets;
}

/** What the API returns (architecture.md, the envelope). */
export interface Envelope extends EnvelopeHead {
  readonly data: Record<string, unknown>;
  /** JSON pointer to base64url salt, for those who see the values. */
  readonly salts?: Readonly<Record<string, string>>;
  /** Present when the record was stored under an older schema; `checksum` is that of the stored form. */
  readonly stored_schema_version?: string;
}

/** Wraps a committed form for storage and computes its checksum. */
export function storedEnvelope(
  head: Omit<EnvelopeHead, 'checksum' | 'checksum_algorithm' | 'tier'>,
  committed: Record<string, unknown>,
  sealed: SealedSecrets,
): StoredEnvelope {
  return {
    ...head,
    tier: 'hot',
    checksum_algorithm: 'SHA-256',
    checksum: checksumOf(committed as Json),
    data: committed,
    ...(Object.keys(sealed).length === 0 ? {} : { sealed }),
  };
}

const TIERS: readonly string[] = ['hot', 'cool', 'archive'];
const STORED_MEMBERS: readonly string[] = [
  'record_type', 'id', 'tenant', 'revision', 'schema_version', 'stored_at', 'tier', 'checksum_algorithm', 'checksum',
  'data', 'sealed',
]; // prettier-ignore

/** `sealed` lies outside the checksum: that it is what it should be is said by its shape, and by the box that opens it. */
function isSealed(sealed: unknown): boolean {
  if (sealed === undefined) return true;
  if (typeof sealed !== 'object' || sealed === null || Array.isArray(sealed)) return false;
  return Object.values(sealed).every((text) => typeof text === 'string');
}

/** What a row says a stored envelope must be. */
export type Expectation = Pick<EnvelopeHead, 'record_type' | 'id' | 'tenant' | 'revision' | 'schema_version' | 'checksum' | 'stored_at'>; // prettier-ignore

/**
 * Parses the bytes of a detail blob and holds them against the row and against themselves.
 * Returns the envelope, or the name of the first member that does not hold.
 */
export function verifyStored(
  bytes: Uint8Array,
  expected: Expectation,
): StoredEnvelope | { readonly broken: string } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return { broken: 'json' };
  }
  if (typeof parsed !== 'object' || parsed === null) return { broken: 'json' };
  const envelope = parsed as StoredEnvelope;
  const members = [
    'record_type',
    'id',
    'tenant',
    'revision',
    'schema_version',
    'stored_at',
    'checksum',
  ] as const;
  for (const member of members) {
    if (envelope[member] !== expected[member]) return { broken: member };
  }
  // A flipped bit in the name of a member makes another member, not another value.
  const stranger = Object.keys(envelope).find((member) => !STORED_MEMBERS.includes(member));
  if (stranger !== undefined || !TIERS.includes(envelope.tier)) return { broken: 'members' };
  if (!isSealed(envelope.sealed)) return { broken: 'sealed' };
  if ((envelope.checksum_algorithm as string) !== 'SHA-256') return { broken: 'checksum_algorithm' };
  try {
    if (checksumOf(envelope.data as Json) !== envelope.checksum) return { broken: 'data' };
  } catch {
    return { broken: 'data' };
  }
  return envelope;
}
