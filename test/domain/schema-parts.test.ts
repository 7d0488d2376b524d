import { describe, expect, it } from 'vitest';
import * as parts from '../../src/domain/schema-parts.js';

const ID = 'dec_01980000-0000-7000-8000-000000000000';
const HASH = 'a1'.repeat(32);

/** The last value of each kind that is taken, and the first that is not. */
describe('the parts of schemas', () => {
  it.each([
    ['label', ['a', 'x'.repeat(256), ' a '], ['', ' ', '\t\n', 'x'.repeat(257), 1]],
    ['title', ['a', 'x'.repeat(1000), ' a '], ['', ' ', '\t\n', 'x'.repeat(1001), 1]],
    ['text', ['', ' ', 'x'.repeat(65_536)], ['x'.repeat(65_537), null]],
    ['confidence', [0, 0.5, 1], [-0.001, 1.001, Number.NaN, '1']],
    ['dictionary', [{}, { a: { b: [1] } }], [[], 'a', null]],
    ['recordId', [ID], ['dec_1', `${ID}0`, '']],
    ['sha256', [HASH], [HASH.toUpperCase(), HASH.slice(1), `${HASH}0`, `x${HASH}`, `${HASH}\n`]],
    ['time', ['1970-01-01T00:00:00Z'], ['1969-12-31T23:59:59.999Z', '2026-11-21', 'now', 0]],
  ] as const)('take and refuse a %s at its bounds', (kind, taken, refused) => {
    const schema = parts[kind]();
    for (const value of taken) expect([value, schema.safeParse(value).success]).toEqual([value, true]);
    for (const value of refused) expect([value, schema.safeParse(value).success]).toEqual([value, false]);
  });

  it('keep every value as it is, but times, which are kept in UTC with milliseconds', () => {
    expect(parts.label().parse(' a ')).toBe(' a ');
    expect(parts.dictionary().parse({ a: [1] })).toEqual({ a: [1] });
    expect(parts.time().parse('2026-11-21T09:00:00.5+01:00')).toBe('2026-11-21T08:00:00.500Z');
  });
});
