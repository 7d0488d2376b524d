import { z } from 'zod';
import { formatTime, parseTime } from './clock.js';
import { parseId } from './ids.js';
import { LIMITS } from './limits.js';

/**
 * Pieces that record schemas are made of. Each carries its limit, so no field is unbounded by accident; what a JSON
 * schema could not tell of a refinement or a transformation is said by its `meta`.
 */

/** A name: 1 to 256 characters, not blank. */
export const label = (): z.ZodType<string, string> =>
  z
    .string()
    .min(1)
    .max(LIMITS.labelChars)
    .refine((text) => text.trim() !== '', 'must not be blank');

/**
 * The value of a member that partitions are named by: a label whose key form is not cut, so that a partition's name can
 * be told from its key and back (storage/keys.ts).
 */
export const partitionName = (): z.ZodType<string, string> =>
  label().refine(
    (value) => keyChars(value) <= LIMITS.keyValueChars,
    'must be at most 128 characters; what is not an ASCII letter, digit, dot, hyphen or underscore counts three a byte',
  );

function keyChars(value: string): number {
  const plain = value.match(/[A-Za-z0-9._-]/g)?.length ?? 0;
  return plain + 3 * (Buffer.byteLength(value) - plain);
}

/** A one-line title: 1 to 1,000 characters, not blank. */
export const title = (): z.ZodType<string, string> =>
  z
    .string()
    .min(1)
    .max(LIMITS.titleChars)
    .refine((text) => text.trim() !== '', 'must not be blank');

/** Free text up to 65,536 characters. */
export const text = (): z.ZodType<string, string> => z.string().max(LIMITS.textChars);

/** RFC 3339; stored in UTC with milliseconds. */
export const time = (): z.ZodType<string, string> =>
  z
    .string()
    .refine((value) => {
      const ms = parseTime(value);
      return ms !== undefined && ms >= 0;
    }, 'must be an RFC 3339 time not before 1970')
    .transform((value) => formatTime(parseTime(value) ?? 0))
    .meta({ type: 'string', format: 'date-time' });

/** A share of certainty, 0 to 1. */
export const confidence = (): z.ZodType<number, number> => z.number().min(0).max(1);

/** Free JSON object; its content is bounded by `jsonIssues`. */
export const dictionary = (): z.ZodType<Record<string, unknown>, Record<string, unknown>> =>
  z.record(z.string(), z.unknown());

/** The id of a record of any type. */
export const recordId = (): z.ZodType<string, string> =>
  z
    .string()
    .refine((value) => parseId(value) !== undefined, 'must be the id of a record')
    .meta({ format: 'record-id' });

/** Lower-case hex SHA-256. */
export const sha256 = (): z.ZodType<string, string> =>
  z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits');
