import canonicalize from 'canonicalize';
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Properties, Row } from '../../src/storage/ports.js';
import { rowIntact, withRowChecksum } from '../../src/storage/row-checksum.js';

const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,20}$/).filter((text) => !(text in {}) && text !== 'row_checksum'); // prettier-ignore
const value = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
);
const properties = fc.dictionary(name, value, { noNullPrototype: true });
const key = fc.stringMatching(/^[A-Za-z0-9:._-]{1,40}$/);

function rowOf(partitionKey: string, rowKey: string, stored: Properties): Row {
  return { partitionKey, rowKey, etag: '"1"', timestampMs: 0, properties: stored };
}

describe('the checksum of a row', () => {
  it('is SHA-256 over the canonical JSON of its properties and keys, cut to 32 digits', () => {
    fc.assert(
      fc.property(key, key, properties, (partitionKey, rowKey, columns) => {
        const canonical = canonicalize({ ...columns, '/pk': partitionKey, '/rk': rowKey }) ?? '';
        const expected = createHash('sha256').update(canonical).digest('hex').slice(0, 32);
        expect(withRowChecksum(partitionKey, rowKey, columns)).toEqual({
          ...columns,
          row_checksum: expected,
        });
      }),
    );
  });

  it('holds whatever order the properties come back in', () => {
    fc.assert(
      fc.property(key, key, properties, (partitionKey, rowKey, columns) => {
        const stored = withRowChecksum(partitionKey, rowKey, columns);
        const turned = Object.fromEntries(Object.entries(stored).reverse());
        expect(rowIntact(rowOf(partitionKey, rowKey, turned))).toBe(true);
      }),
    );
  });

  it('does not hold for another key, another value, a missing property, one too many, or without it', () => {
    const stored = withRowChecksum('t:p', 'r:1', { a: 'x', b: 1, c: true });
    const { b: _b, ...without } = stored;
    const { row_checksum: _checksum, ...bare } = stored;
    expect(rowIntact(rowOf('t:p', 'r:1', stored))).toBe(true);
    expect(rowIntact(rowOf('t:q', 'r:1', stored))).toBe(false);
    expect(rowIntact(rowOf('t:p', 'r:2', stored))).toBe(false);
    expect(rowIntact(rowOf('r:1', 't:p', stored))).toBe(false);
    expect(rowIntact(rowOf('t:p', 'r:1', { ...stored, a: 'y' }))).toBe(false);
    expect(rowIntact(rowOf('t:p', 'r:1', { ...stored, b: '1' }))).toBe(false);
    expect(rowIntact(rowOf('t:p', 'r:1', { ...stored, d: '' }))).toBe(false);
    expect(rowIntact(rowOf('t:p', 'r:1', without))).toBe(false);
    expect(rowIntact(rowOf('t:p', 'r:1', bare))).toBe(false);
  });

  it('is kept in a property of its own and leaves the others as they are', () => {
    expect(withRowChecksum('t:p', 'r:1', { a: 'x' })).toEqual({
      a: 'x',
      // printf '{"/pk":"t:p","/rk":"r:1","a":"x"}' | sha256sum
      row_checksum: createHash('sha256')
        .update('{"/pk":"t:p","/rk":"r:1","a":"x"}')
        .digest('hex')
        .slice(0, 32),
    });
  });

  it('tells a damaged number, which JSON cannot carry, from any other', () => {
    const stored = withRowChecksum('t:p', 'r:1', { n: 1 });
    expect(rowIntact(rowOf('t:p', 'r:1', { ...stored, n: Number.NaN }))).toBe(false);
    expect(rowIntact(rowOf('t:p', 'r:1', { ...stored, n: Number.POSITIVE_INFINITY }))).toBe(false);
  });
});
