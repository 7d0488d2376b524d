import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compoundKeyValue,
  indexKey,
  indexRange,
  invertedTime,
  isTenant,
  keyValue,
  partitionKey,
  prefixRange,
  revisionKey,
} from '../../src/storage/keys.js';
import { keyAfter } from '../../src/storage/range.js';

const MAX_MS = 4_102_444_800_000;

describe('key values', () => {
  it.each([
    ['plain', 'plain'],
    ['A-z.0_9', 'A-z.0_9'],
    ['a b', 'a=20b'],
    ['a/b\\c#d?e', 'a=2Fb=5Cc=23d=3Fe'],
    ['ü', '=C3=BC'],
    ['=', '=3D'],
    [':', '=3A'],
    ['', ''],
  ])('encodes %j as %j', (value, encoded) => {
    expect(keyValue(value)).toBe(encoded);
  });

  it('keeps 128 characters as they are and cuts 129 to 64, "=", and 32 hex digits', () => {
    expect(keyValue('a'.repeat(128))).toBe('a'.repeat(128));
    // SHA-256 of 129 times "a", computed with sha256sum.
    expect(keyValue('a'.repeat(129))).toMatch(/^a{64}=[0-9a-f]{32}$/);
    expect(keyValue('a'.repeat(129))).not.toBe(keyValue('a'.repeat(130)));
  });

  it('never holds a character Table Storage refuses, is never long, and is injective', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 300 }),
        fc.string({ unit: 'grapheme', maxLength: 300 }),
        (a, b) => {
          expect(keyValue(a)).toMatch(/^[A-Za-z0-9._=-]{0,128}$/);
          expect(keyValue(a) === keyValue(b)).toBe(a === b);
        },
      ),
    );
  });

  it('joins compound values so that no two lists of values are the same', () => {
    const values = fc.array(fc.string({ maxLength: 20 }), { minLength: 2, maxLength: 2 });
    fc.assert(
      fc.property(values, values, (a, b) => {
        // A NUL inside a value is the one thing the separator could be mistaken for; the values are then not equal
        // to the filter and a reader that compares summaries would see it.
        fc.pre(![...a, ...b].some((value) => value.includes('\0')));
        expect(compoundKeyValue(a) === compoundKeyValue(b)).toBe(a[0] === b[0] && a[1] === b[1]);
      }),
    );
  });
});

describe('keys', () => {
  it('stay under 512 characters whatever the values', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 5000 }), fc.string({ maxLength: 5000 }), (a, b) => {
        const key = indexKey('x'.repeat(80), compoundKeyValue([a, b]), 0, `dec_${'0'.repeat(36)}`);
        expect(key.length).toBeLessThan(512);
        expect(partitionKey('t'.repeat(63), a).length).toBeLessThan(512);
      }),
    );
  });

  it('sort newest first in inverted time', () => {
    const ms = fc.integer({ min: 0, max: MAX_MS });
    fc.assert(
      fc.property(ms, ms, (a, b) => {
        expect(invertedTime(a)).toMatch(/^\d{13}$/);
        expect(invertedTime(a) < invertedTime(b)).toBe(a > b);
      }),
    );
  });

  it('fall into the range of their index exactly when their time is in [from, to)', () => {
    const ms = fc.integer({ min: 0, max: MAX_MS });
    fc.assert(
      fc.property(ms, ms, ms, (at, from, to) => {
        const key = indexKey('status', 'queued', at, 'dec_01980000-0000-7000-8000-000000000000');
        const range = indexRange('status', 'queued', from, to);
        expect(key >= range.from && key < range.to).toBe(at >= from && at < to);
        const open = indexRange('status', 'queued', undefined, undefined);
        expect(key >= open.from && key < open.to).toBe(true);
        const other = indexRange('status', 'queue', undefined, undefined);
        expect(key >= other.from && key < other.to).toBe(false);
      }),
    );
  });

  it('follow each other with nothing of ours between a key and its successor bound', () => {
    const key = fc.stringMatching(/^[a-z]:[A-Za-z0-9._=:-]{1,30}$/);
    fc.assert(
      fc.property(key, key, (a, b) => {
        if (b > a) expect(b >= keyAfter(a)).toBe(true);
        else expect(b < keyAfter(a)).toBe(true);
      }),
    );
  });

  it('sort revisions by number and stay inside the prefix of their record', () => {
    const id = 'dec_01980000-0000-7000-8000-000000000000';
    const range = prefixRange(`v:${id}:`);
    expect(revisionKey(id, 9) < revisionKey(id, 10)).toBe(true);
    expect(revisionKey(id, 9_999_999_999) < range.to && revisionKey(id, 1) >= range.from).toBe(true);
  });
});

describe('tenants', () => {
  it.each(['a', 'acme-eu', '0', 'x'.repeat(63)])('takes %j', (name) => {
    expect(isTenant(name)).toBe(true);
  });
  it.each(['', 'A', 'a_b', 'a:b', 'x'.repeat(64), '_system', 'a\n'])('refuses %j', (name) => {
    expect(isTenant(name)).toBe(false);
  });
});
