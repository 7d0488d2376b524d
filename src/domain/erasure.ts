import { z } from 'zod';
import { parseShape } from './apply-change.js';
import { invalid } from './errors.js';
import { jsonIssues } from './json-input.js';
import { LIMITS } from './limits.js';
import { label } from './schema-parts.js';

/** What the erasure of a data subject is and how it is asked for (lifecycle.md, Erasure). */

export const ERASURE_SCHEMA_VERSION = '1.0';
/** Prefix of the ids of erasures. */
export const ERASURE_PREFIX = 'era';
/** What erasures are called where records have their type. */
export const ERASURE_TYPE = 'erasure';

const subject = () =>
  z
    .string()
    .min(1)
    .max(LIMITS.holdSubjectChars)
    .refine((text) => text.isWellFormed(), 'must not contain half of a surrogate pair')
    .meta({ description: 'The id that the tenant knows the person by.' });

const asked = {
  reason: z
    .string()
    .max(LIMITS.holdReasonChars)
    .refine((text) => text.trim() !== '', 'must not be blank')
    .meta({ minLength: 1 }),
  reference: label().optional().meta({ description: 'E.g. the number of a case. Do not name the person.' }),
};

/** The body where the address names the subject. */
export const erasureOfSubject = z.strictObject(asked);
/** The body where it does not. */
export const erasureRequest = z.strictObject({ subject: subject(), ...asked });

export type ErasureRequest = z.output<typeof erasureRequest>;

/**
 * `pending`: nothing is destroyed yet; `erasing`: it has begun; `incomplete`: something keeps it from being done, and it is
 * tried again; `provisional`: done here, while copies of the key may be left elsewhere; `complete`: nothing is left;
 * `unknown-subject`: nothing was ever known of such a person, so nothing was erased.
 */
export type ErasureState =
  'pending' | 'erasing' | 'incomplete' | 'provisional' | 'complete' | 'unknown-subject';

/** States in which a job has something to do. */
export const isOpenErasure = (state: ErasureState): boolean => state !== 'complete' && state !== 'unknown-subject'; // prettier-ignore

/**
 * What keeps an erasure from being done: a legal hold; the index of subjects is not through with what was written before
 * it; something is damaged; values that were sealed before there were data keys, which no destroyed key takes away.
 */
export type ErasureObstacle = 'hold' | 'index' | 'damage' | 'sealed-before-data-keys';

/** What was found and done, without any personal value. */
export interface ErasureCertificate {
  /** Records that named the subject, or have an entry that did, by collection. */
  readonly records: Readonly<Record<string, number>>;
  /** Of these, records that were the subject's alone and were deleted, by collection. */
  readonly deleted?: Readonly<Record<string, number>>;
  /** Of these, records something of which was sealed before there were data keys. */
  readonly sealed_before_data_keys: number;
  /** `destroyed` now; `destroyed-before` by an earlier erasure, since which nothing came; `none`: nothing was ever sealed. */
  readonly key: 'destroyed' | 'destroyed-before' | 'none';
  readonly key_destroyed_at?: string;
  /** Pseudonyms that lead to nobody any more. */
  readonly actors: number;
  /** When the last copy of the key is gone. */
  readonly final_at: string;
}

/** An erasure as a privacy officer is shown it. Of the subject there is a hash alone. */
export interface Erasure {
  readonly schema_version: string;
  readonly erasure_id: string;
  readonly state: ErasureState;
  /** Tells whether two erasures were of one subject; a keyed hash. */
  readonly subject_hash: string;
  readonly reason: unknown;
  readonly reference?: unknown;
  readonly requested_at: string;
  /** Pseudonym `act_…`. */
  readonly requested_by: string;
  readonly waiting_for?: ErasureObstacle;
  readonly certificate?: ErasureCertificate;
  /** The events that certify it: of the provisional certificate, and of the final one. */
  readonly certified_by?: readonly string[];
}

/**
 * Ids that mean the same to every host that an address passes. Azure decodes a slash before it looks for the function, and
 * a per cent sign or a plus not as others do: nobody else is to be erased for that.
 */
const IN_ADDRESS = /^[\p{L}\p{M}\p{N}._~@:-]+$/u;

/** Parses the body of a request; `named`: whom the address names. Throws `record-invalid` with pointers. */
export function acceptErasure(body: unknown, named?: string): ErasureRequest {
  const issues = jsonIssues(body);
  if (issues.length > 0) throw invalid(issues);
  if (named === undefined) return parseShape(erasureRequest, body);
  if (!IN_ADDRESS.test(named) || !subject().safeParse(named).success)
    throw invalid([{ pointer: '', detail: 'must name the subject, at /erasures: an address cannot be trusted with this id' }]); // prettier-ignore
  return { subject: named, ...parseShape(erasureOfSubject, body) };
}

/** When a certificate may become final: keys are forgotten everywhere, and backups of their table have expired. */
export function finalMs(destroyedMs: number, backupMs: number): number {
  return destroyedMs + Math.max(backupMs, LIMITS.keysKeptMs);
}
