import { describe, expect, it } from 'vitest';
import { sha256Hex } from '../../src/domain/canonical-json.js';
import { newId } from '../../src/domain/ids.js';
import { decisionType } from '../../src/records/decision.js';
import { chunksOf, keyOf, packOf, resultOf } from '../../src/storage/batch-chunks.js';
import { placeOf } from '../../src/storage/record-location.js';
import type { NewRevision } from '../../src/storage/new-revision.js';
import { seededEntropy } from '../support/entropy.js';

const entropy = seededEntropy('chunks');
const idsOf = (count: number, month: number): string[] =>
  Array.from({ length: count }, (_, at) => newId('dec', Date.UTC(2026, month, 2) + at, entropy));
/** Where a month of creation puts them. */
const placed = (ids: readonly string[]) =>
  ids.map((id) => ({ id, ref: placeOf(decisionType, 'acme', id, {}) }));
const reservation = { hash: 'ab'.repeat(32), fingerprint: 'f', ids: [], first: true, etag: '"1"' };

describe('the chunks of a batch', () => {
  it('hold as many records as fit a transaction of 100 rows with the key’s row', () => {
    // A decision is 8 rows; 12 of them and the key's row are 97.
    expect(chunksOf(decisionType, placed(idsOf(30, 0))).map(({ ids }) => ids.length)).toEqual([12, 12, 6]);
    expect(chunksOf(decisionType, placed(idsOf(24, 0))).map(({ ids }) => ids.length)).toEqual([12, 12]);
    // With the index of all alone it is 4 rows: 24 are 96, and a 25th would leave no row for the key.
    const plain = { ...decisionType, allIndexes: decisionType.allIndexes.slice(0, 1) };
    expect(chunksOf(plain, placed(idsOf(25, 0))).map(({ ids }) => ids.length)).toEqual([24, 1]);
  });

  it('are of one partition each, numbered in order, and keep the order of the records', () => {
    const [january, march] = [idsOf(14, 0), idsOf(2, 2)];
    const mixed = [january[0] as string, ...march, ...january.slice(1)];
    expect(chunksOf(decisionType, placed(mixed))).toEqual([
      { part: 0, ref: { tenant: 'acme', table: 'decisions', partition: '2026-01' }, ids: january.slice(0, 12) }, // prettier-ignore
      { part: 1, ref: { tenant: 'acme', table: 'decisions', partition: '2026-01' }, ids: january.slice(12) },
      { part: 2, ref: { tenant: 'acme', table: 'decisions', partition: '2026-03' }, ids: march },
    ]);
  });

  it('have a key row each: the first named as that of a single write, the others by their number', () => {
    const [first, second] = chunksOf(decisionType, placed(idsOf(13, 0)));
    if (first === undefined || second === undefined) throw new Error('two chunks');
    expect(keyOf(first, reservation)).toEqual({ hash: reservation.hash, fingerprint: 'f' });
    expect(keyOf(second, reservation)).toEqual({
      hash: sha256Hex(`${reservation.hash}/1`),
      fingerprint: 'f',
    });
    expect(resultOf(second, reservation)).toEqual({
      fingerprint: 'f',
      revisions: [{ id: second.ids[0], revision: 1 }],
    });
  });
});

describe('a pack', () => {
  it('is one envelope a line, each found again by its offset and length', () => {
    const texts = ['{"a":1}', '{"title":"ünï"}', '{}'];
    const revisions = texts.map((text) => ({ bytes: Buffer.from(text) }) as unknown as NewRevision);
    const { bytes, packed } = packOf('the/blob', revisions);
    expect(Buffer.from(bytes).toString()).toBe(`${texts.join('\n')}\n`);
    expect(packed.map(({ revision }) => revision)).toEqual(revisions);
    for (const [at, { location }] of packed.entries()) {
      expect(location.blob).toBe('the/blob');
      const cut = bytes.subarray(location.offset, location.offset + location.length);
      expect(Buffer.from(cut).toString()).toBe(texts[at]);
    }
  });
});
