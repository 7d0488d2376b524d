import { describe, expect, it } from 'vitest';
import { canonicalJson, type Json } from '../../src/domain/canonical-json.js';
import { parseTime } from '../../src/domain/clock.js';
import { commitData, discloseData, secretsMatch } from '../../src/domain/committed-form.js';
import { parseId } from '../../src/domain/ids.js';
import { jsonIssues } from '../../src/domain/json-input.js';
import { LIMITS } from '../../src/domain/limits.js';
import { seededEntropy } from '../support/entropy.js';

/** The last value that is taken and the first that is not: what mutation testing found nobody asking for. */
describe('input at its bounds', () => {
  it('takes as many members and items as there may be, and none more', () => {
    const most = LIMITS.collectionItems;
    expect(jsonIssues(Array(most).fill(0))).toEqual([]);
    expect(jsonIssues(Array(most + 1).fill(0))).toEqual([{ pointer: '', detail: 'has more than 10000 members' }]); // prettier-ignore
  });

  it('takes names as long as they may be, and none longer', () => {
    const longest = 'n'.repeat(LIMITS.memberNameChars);
    expect(jsonIssues({ [longest]: 1 })).toEqual([]);
    expect(jsonIssues({ a: { [`${longest}n`]: 1 } })).toEqual([
      { pointer: '/a', detail: 'has a member name longer than 256 characters' },
    ]);
  });

  it('takes nesting as deep as it may be, and none deeper', () => {
    const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
    expect(jsonIssues(nested(LIMITS.nestingDepth))).toEqual([]);
    expect(jsonIssues(nested(LIMITS.nestingDepth + 1))).toEqual([
      { pointer: '/0'.repeat(LIMITS.nestingDepth), detail: 'is nested deeper than 32 levels' },
    ]);
  });

  it('stops complaining after twenty faults', () => {
    expect(jsonIssues(Array(19).fill(Number.NaN))).toHaveLength(19);
    expect(jsonIssues(Array(20).fill(Number.NaN))).toHaveLength(20);
    expect(jsonIssues(Array(21).fill(Number.NaN))).toHaveLength(20);
  });

  it('says what is wrong, and where', () => {
    const faults: readonly (readonly [unknown, string, string])[] = [
      [{ a: '\ud800' }, '/a', 'contains half of a surrogate pair, which is not a character'],
      [{ a: Number.POSITIVE_INFINITY }, '/a', 'is not a finite number'],
      [{ a: undefined }, '/a', 'is not a JSON value'],
      [{ a: 1n }, '/a', 'is not a JSON value'],
      [{ a: { '\udfff': 1 } }, '/a', 'has a member name with half of a surrogate pair'],
      [JSON.parse('{"a":{"__proto__":1}}'), '/a/__proto__', 'is a reserved member name'],
      [{ a: { $commitment: 'x' } }, '/a/$commitment', 'is reserved for commitments'],
    ];
    for (const [value, pointer, detail] of faults) expect(jsonIssues(value)).toEqual([{ pointer, detail }]);
    expect(jsonIssues([true, false, null, '', 0])).toEqual([]);
  });

  it('has no canonical form for what is no JSON value at all', () => {
    expect(() => canonicalJson(undefined as unknown as Json)).toThrow('value has no canonical JSON form');
  });
});

describe('ids and times with something around them', () => {
  const id = 'dec_01980000-0000-7000-8000-000000000000';

  it('are none', () => {
    expect(parseId(id)).toEqual({ prefix: 'dec', ms: 0x019800000000 });
    for (const text of [`x!${id}`, `${id}0`, ` ${id}`, `${id}\n`]) expect(parseId(text)).toBeUndefined();
    const time = '2026-01-02T03:04:05Z';
    expect(parseTime(time)).toBe(Date.UTC(2026, 0, 2, 3, 4, 5));
    for (const text of [`x${time}`, `${time}x`, `${time} `]) expect(parseTime(text)).toBeUndefined();
  });

  it.each([
    ['2026-01-02T03:04:05+23:59', Date.UTC(2026, 0, 1, 3, 5, 5)],
    ['2026-01-02T03:04:05-23:00', Date.UTC(2026, 0, 3, 2, 4, 5)],
    ['2026-01-02T03:04:05+24:00', undefined],
    ['2026-01-02T03:04:05+29:00', undefined],
    ['2026-13-02T03:04:05Z', undefined],
    ['2026-00-02T03:04:05Z', undefined],
    ['2026-01-00T03:04:05Z', undefined],
    ['2026-01-02T03:60:05Z', undefined],
    ['2026-01-02T03:04:60Z', undefined],
    ['2026-01-02t03:04:05z', Date.UTC(2026, 0, 2, 3, 4, 5)],
  ])('%s is %s', (text, ms) => {
    expect(parseTime(text)).toBe(ms);
  });
});

describe('sensitive values in unusual places', () => {
  it('are found under names that a pointer has to escape', () => {
    const data = { 'a~b': 'one', 'c/d': 'two', '': 'three' };
    const { committed, secrets } = commitData(data, ['/a~0b', '/c~1d'], seededEntropy());
    expect(Object.keys(secrets)).toEqual(['/a~0b', '/c~1d']);
    expect(JSON.stringify(committed)).not.toMatch(/one|two/);
    expect(discloseData(committed, secrets)).toEqual(data);
  });

  it('are looked for in vain where there is no such place, and nothing else is touched', () => {
    const data = { list: 'no list', object: ['no', 'object'], nothing: null, there: undefined };
    const patterns = [
      '/list/*/name',
      '/object/name',
      '/nothing/name',
      '/there',
      '/missing/deep',
      '/list/length',
    ];
    const { committed, secrets } = commitData(data, patterns, seededEntropy());
    expect([committed, secrets]).toEqual([data, {}]);
  });

  it('are replaced in the one item of a list that holds them', () => {
    const data = { votes: [{ why: 'a' }, { who: 'b' }, 'c', { why: 'd' }] };
    const { committed, secrets } = commitData(data, ['/votes/*/why'], seededEntropy());
    expect(Object.keys(secrets)).toEqual(['/votes/0/why', '/votes/3/why']);
    expect(committed['votes']).toMatchObject([{}, { who: 'b' }, 'c', {}]);
    expect(discloseData(committed, secrets)).toEqual(data);
  });

  it('match only when every one of them does', () => {
    const { committed, secrets } = commitData({ a: 1, b: 2 }, ['/a', '/b'], seededEntropy());
    const [a, b] = [secrets['/a'], secrets['/b']];
    if (a === undefined || b === undefined) throw new Error('both are secrets');
    expect(secretsMatch(committed, ['/a', '/b'], secrets)).toBe(true);
    expect(secretsMatch(committed, ['/a', '/b'], { '/a': a, '/b': { ...b, value: 3 } })).toBe(false);
    expect(secretsMatch(committed, ['/a', '/b'], { '/a': a, '/c': b })).toBe(false);
  });
});
