import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson, checksumOf, type Json } from '../../src/domain/canonical-json.js';
import { jsonIssues, pointerOf } from '../../src/domain/json-input.js';
import { mergePatch } from '../../src/domain/merge-patch.js';

describe('canonical JSON', () => {
  it('is the RFC 8785 form of its example', () => {
    // RFC 8785, section 3.2.2 and 3.2.3.
    const value = {
      numbers: [333333333.33333329, 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: '\u20ac$\u000F\u000aA\'\u0042\u0022\u005c\\"\/',
      literals: [null, true, false],
    };
    expect(canonicalJson(value)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
  });

  it('does not depend on the order of members and means the same value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value as Json);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(reversed(JSON.parse(text)) as Json)).toBe(text);
      }),
    );
  });

  it('is what the library says of any value, whatever its members are called', () => {
    const name = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom('__proto__', 'toJSON', 'constructor', '', '10', '9', '-1', '1a', '\u{1f600}', '\ufb33'),
    );
    const { value } = fc.letrec<{ value: Json }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.jsonValue({ maxDepth: 0 }) as fc.Arbitrary<Json>,
        fc.array(tie('value'), { maxLength: 4 }),
        fc
          .array(fc.tuple(name, tie('value')), { maxLength: 6 })
          .map((all) => Object.fromEntries(all) as Json),
      ),
    }));
    fc.assert(
      fc.property(value, (any) => {
        expect(canonicalJson(any)).toBe(canonicalize(any));
      }),
      { numRuns: 500 },
    );
    const numbered = { 10: 'b', 9: 'a', a: { ['__proto__']: -0 } };
    expect(canonicalJson(numbered)).toBe('{"10":"b","9":"a","a":{"__proto__":0}}');
    expect(canonicalJson({ at: new Date(0), none: undefined } as unknown as Json)).toBe('{"at":"1970-01-01T00:00:00.000Z"}'); // prettier-ignore
  });

  it('gives the checksum that sha256sum gives of its bytes', () => {
    // printf '{"a":1}' | sha256sum
    expect(checksumOf({ a: 1 })).toBe('015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862');
  });

  it('refuses what JSON cannot say', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, '\ud800']) {
      for (const holding of [value, [value], { a: { b: [value] } }, { [String(value)]: value }])
        expect(() => canonicalJson(holding)).toThrow();
    }
  });
});

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).reverse().map(([k, v]) => [k, reversed(v)])); // prettier-ignore
}

describe('merge patch', () => {
  // RFC 7396, appendix A, all of its cases.
  it.each([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('of %j with %j is %j', (target, patch, result) => {
    expect(mergePatch(target, patch)).toEqual(result);
  });

  it('changes neither argument, applies twice as once, and never reaches a prototype', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (target, patch) => {
        const before = JSON.stringify([target, patch]);
        const once = mergePatch(target, patch);
        expect(JSON.stringify([target, patch])).toBe(before);
        expect(mergePatch(once, patch)).toEqual(once);
      }),
    );
    mergePatch({}, JSON.parse('{"__proto__":{"polluted":true}}'));
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('submitted JSON', () => {
  it.each([
    ['a number that overflows', '{"a":1e999}', '/a'],
    ['half a surrogate pair', '{"a":["\\ud800"]}', '/a/0'],
    ['a prototype member', '{"a":{"__proto__":1}}', '/a/__proto__'],
    ['the reserved commitment member', '{"m":{"x/y":{"$commitment":"00"}}}', '/m/x~1y/$commitment'],
    ['a member name with half a surrogate pair', '{"a":{"\\udc00":1}}', '/a'],
    ['a member name that is too long', `{"a":{"${'n'.repeat(257)}":1}}`, '/a'],
    ['too many members', JSON.stringify({ a: Array.from({ length: 10_001 }, () => 0) }), '/a'],
  ])('is refused with %s, and the pointer says where', (_, text, pointer) => {
    expect(jsonIssues(JSON.parse(text)).map((issue) => issue.pointer)).toEqual([pointer]);
  });

  it('may nest 32 levels and not 33', () => {
    const nested = (depth: number): unknown => JSON.parse('['.repeat(depth) + ']'.repeat(depth));
    expect(jsonIssues(nested(32))).toEqual([]);
    expect(jsonIssues(nested(33))).toHaveLength(1);
    expect(jsonIssues(nested(5000))).toHaveLength(1);
  });

  it('passes whatever else is JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        fc.pre(!JSON.stringify(value).includes('__proto__'));
        expect(jsonIssues(JSON.parse(JSON.stringify(value)))).toEqual([]);
      }),
    );
  });

  it('never answers with more than 20 issues', () => {
    expect(jsonIssues(Array.from({ length: 1000 }, () => Number.NaN))).toHaveLength(20);
  });

  it('escapes pointers as RFC 6901 says', () => {
    expect(pointerOf(['a/b', 'm~n', 0])).toBe('/a~1b/m~0n/0');
  });
});
