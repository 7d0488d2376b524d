import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leafRun } from '../../src/audit/hash-run.js';
import {
  append,
  appendAll,
  EMPTY_TREE,
  isCompactRange,
  leafHash,
  nodeHash,
  rootOf,
  rootOfComplete,
} from '../../src/audit/merkle.js';
import { naiveRoot } from './support.js';

/** The published test vectors of Certificate Transparency (RFC 6962): 8 leaves and the root after each. */
const LEAVES = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
];
const ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

describe('the Merkle tree', () => {
  it('has the published roots for the published leaves', () => {
    let tree = EMPTY_TREE;
    expect(rootOf(tree)).toBe(ROOTS[0]);
    LEAVES.forEach((leaf, at) => {
      tree = append(tree, leafHash(Buffer.from(leaf, 'hex')));
      expect(rootOf(tree)).toBe(ROOTS[at + 1]);
      expect(tree.size).toBe(at + 1);
    });
  });

  it('has the root of the recursive definition, whatever the leaves', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 130 }), (leaves) => {
        const tree = leaves.reduce((grown, leaf) => append(grown, leafHash(leaf)), EMPTY_TREE);
        expect(rootOf(tree)).toBe(naiveRoot(leaves));
        expect(isCompactRange(tree)).toBe(true);
      }),
    );
  });

  it('goes on from an edge that was stored', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 1, maxLength: 60 }), fc.nat(60), (leaves, cut) => {
        const grow = (tree: typeof EMPTY_TREE, part: string[]): typeof EMPTY_TREE =>
          part.reduce((grown, leaf) => append(grown, leafHash(leaf)), tree);
        const stored = JSON.parse(
          JSON.stringify(grow(EMPTY_TREE, leaves.slice(0, cut))),
        ) as typeof EMPTY_TREE;
        expect(rootOf(grow(stored, leaves.slice(cut)))).toBe(rootOf(grow(EMPTY_TREE, leaves)));
      }),
    );
  });

  it('knows an edge that does not fit its size, also beyond 32 bits', () => {
    const hash = leafHash('');
    expect(isCompactRange({ size: 2 ** 40, edge: [hash] })).toBe(true);
    expect(isCompactRange({ size: 2 ** 40 + 1, edge: [hash] })).toBe(false);
    expect(append({ size: 2 ** 40, edge: [hash] }, hash)).toEqual({ size: 2 ** 40 + 1, edge: [hash, hash] });
  });

  it('hashes leaves of any length and any text as RFC 6962 says, in any order', () => {
    const expected = (bytes: Uint8Array | string): string =>
      createHash('sha256').update(Uint8Array.of(0)).update(bytes).digest('hex');
    const long = [65_536, 0, 65_535, 1, 70_000, 3].map((length) => Buffer.alloc(length, 0xa7));
    for (const bytes of long) expect(leafHash(bytes)).toBe(expected(bytes));
    for (const text of ['', '\0', 'a\0b', '\ufeffé', '\ud800', 'x'.repeat(70_000)])
      expect(leafHash(text)).toBe(expected(Buffer.from(text)));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000, size: 'max' }), (bytes) => {
        expect(leafHash(bytes)).toBe(expected(bytes));
      }),
    );
  });

  it('has the same edge whether leaves come one by one or in parts of any size', () => {
    const leaves = Array.from({ length: 700 }, (_, at) => leafHash(String(at)));
    fc.assert(
      fc.property(fc.array(fc.nat(300), { maxLength: 6 }), fc.nat(700), (parts, from) => {
        let whole = leaves.slice(0, from).reduce(append, EMPTY_TREE);
        let tree = whole;
        for (const part of parts) {
          const next = leaves.slice(tree.size, tree.size + part);
          tree = appendAll(tree, next);
          whole = next.reduce(append, whole);
          expect(tree).toEqual(whole);
        }
      }),
    );
  });

  it('has the same tree of a run of leaves, and of any part of it, on whatever they follow', () => {
    const entries = Array.from({ length: 1200 }, (_, at) =>
      at % 2 === 0 ? String(at) : Buffer.from([at % 256, 7]),
    );
    const leaves = entries.map((entry) => leafHash(entry));
    fc.assert(
      fc.property(fc.nat(1200), fc.nat(1200), fc.nat(1200), fc.nat(1200), (follows, count, one, other) => {
        const end = Math.min(1200, follows + count);
        const run = leafRun(entries.slice(follows, end));
        expect(Buffer.from(run.bytes).toString('hex')).toBe(leaves.slice(follows, end).join(''));
        const before = appendAll(EMPTY_TREE, leaves.slice(0, follows));
        const whole = appendAll(before, leaves.slice(follows, end));
        // Asked again it answers from what it has.
        expect([run.appendTo(before), run.appendTo(before)]).toEqual([whole, whole]);
        const [from = 0, to = 0] = [one, other].map((n) => Math.min(n, run.length)).sort((a, b) => a - b);
        const part = leaves.slice(follows + from, follows + to);
        expect(run.appendTo(EMPTY_TREE, from, to)).toEqual(appendAll(EMPTY_TREE, part));
      }),
      { numRuns: 40 },
    );
  });

  it('takes the root of a full subtree from nothing but its pairs', () => {
    const hash = (at: number): string => leafHash(String(at));
    expect(rootOfComplete([hash(1)])).toBe(hash(1));
    expect(rootOfComplete([hash(1), hash(2)])).toBe(nodeHash(hash(1), hash(2)));
    for (const width of [4, 64, 256, 1024]) {
      const leaves = Array.from({ length: width }, (_, at) => Buffer.from(String(at)));
      expect(rootOfComplete(leaves.map((leaf) => leafHash(leaf)))).toBe(naiveRoot(leaves));
    }
  });

  it('does not take a node for a leaf', () => {
    expect(leafHash('ab')).not.toBe(leafHash(Buffer.from('ab', 'hex')));
  });
});
