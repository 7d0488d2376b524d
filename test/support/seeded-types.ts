import { z } from 'zod';
import type { RecordData, RecordType } from '../../src/domain/record-type.js';

/**
 * Two values for each filter where they do not follow from the schema of a create: a member that is no enumeration and
 * takes not any text, or that the platform sets. By record type and filter.
 */
const VALUES: Readonly<Record<string, Readonly<Record<string, readonly [string, string]>>>> = {};

/** Text that keys have to encode, and text that begins like it. */
const ANY_TEXT = ['Größe <a/b?c=d>', 'Größe'] as const;

/** Two values that the type takes for a filter. */
function valuesOf(type: RecordType, filter: string): readonly [string, string] {
  const own = VALUES[type.recordType]?.[filter];
  if (own !== undefined) return own;
  const shape = type.createSchema instanceof z.ZodObject ? (type.createSchema.shape as Record<string, z.ZodType>) : {}; // prettier-ignore
  const schema = z.toJSONSchema(shape[filter] ?? z.unknown(), { io: 'input', unrepresentable: 'any' });
  const options = (schema.enum ?? ANY_TEXT) as readonly string[];
  const [first, second] = options;
  if (first === undefined || second === undefined) throw new Error(`${filter} can have one value only`);
  return [first, second];
}

/** The example of a type with every filter at every combination of its two values. */
export function variationsOf(type: RecordType): readonly RecordData[] {
  const combined = type.filters.reduce<readonly RecordData[]>(
    (bodies, filter) =>
      bodies.flatMap((body) => valuesOf(type, filter).map((value) => ({ ...body, [filter]: value }))),
    [type.example as RecordData],
  );
  return combined.map((body, n) => (type.named === undefined ? body : { ...body, [type.named.member]: `name ${n}` })); // prettier-ignore
}
