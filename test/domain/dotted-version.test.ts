import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareVersions, dottedVersion } from '../../src/domain/dotted-version.js';

const numbers = fc.array(fc.nat(999_999_999), { minLength: 1, maxLength: 4 });

describe('a dotted version', () => {
  it('is one to four numbers', () => {
    for (const version of ['0', '1', '1.0', '10.2.3', '1.2.3.4', '999999999.0'])
      expect(dottedVersion().safeParse(version).success, version).toBe(true);
    for (const version of [
      '',
      '.',
      '1.',
      '.1',
      '1..2',
      'v1',
      '1.0-rc',
      '1.2.3.4.5',
      ' 1',
      '1\n',
      '-1',
      '1e3',
      '1234567890',
      '١',
    ])
      // prettier-ignore
      expect(dottedVersion().safeParse(version).success, version).toBe(false);
  });

  it('is compared number by number, and not as text', () => {
    expect(compareVersions('1.10', '1.9')).toBeGreaterThan(0);
    expect(compareVersions('2', '10')).toBeLessThan(0);
    expect(compareVersions('1', '1.0.0')).toBe(0);
    expect(compareVersions('1.0', '1.0.1')).toBeLessThan(0);
    expect(compareVersions('01.2', '1.02')).toBe(0);
  });

  it('orders any versions as their numbers are ordered', () => {
    const padded = (one: readonly number[]): readonly number[] => [...one, 0, 0, 0].slice(0, 4);
    fc.assert(
      fc.property(numbers, numbers, (one, other) => {
        const [a, b] = [padded(one), padded(other)];
        const at = a.findIndex((number, place) => number !== b[place]);
        const expected = at < 0 ? 0 : Math.sign((a[at] as number) - (b[at] as number));
        expect(Math.sign(compareVersions(one.join('.'), other.join('.')))).toBe(expected);
        expect(compareVersions(one.join('.'), one.join('.'))).toBe(0);
        expect(Math.sign(compareVersions(other.join('.'), one.join('.')))).toBe(-expected + 0);
      }),
    );
  });
});
