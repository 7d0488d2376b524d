import fc from 'fast-check';
import { LogCheckpoint } from '@sigstore/verify/dist/tlog/checkpoint.js';
import { verifyMerkleInclusion } from '@sigstore/verify/dist/tlog/merkle.js';
import { describe, expect, it } from 'vitest';
import { leafHash } from '../../../src/audit/merkle.js';
import {
  proveConsistency,
  proveInclusion,
  rootAt,
  verifyConsistency,
  verifyInclusion,
} from '../../../src/audit/log/proof.js';
import { CT_LEAVES, numbered, WholeTree } from './support.js';

const CT = new WholeTree(CT_LEAVES.map((leaf) => Buffer.from(leaf, 'hex')));
/** Hashes that the published proofs name, by the first byte. */
const H = {
  '0e': '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
  '5f': '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
  '6b': '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
  '6e': '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  '96': '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
  bc: 'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
  ca: 'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
  d3: 'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  fa: 'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
} as const;

const MANY = 300;
const TREE = new WholeTree(numbered(MANY));
const ROOTS = Array.from({ length: MANY + 1 }, (_, size) => TREE.root(size));
const head = (size: number): { size: number; root: string } => ({ size, root: ROOTS[size] as string });
const claim = (index: number, size: number): Parameters<typeof verifyInclusion>[0] => ({
  leaf: TREE.leaf(index),
  index,
  ...head(size),
});
const flipped = (hash: string, bit: number): string => {
  const bytes = Buffer.from(hash, 'hex');
  bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
  return bytes.toString('hex');
};

describe('an inclusion proof', () => {
  it.each([
    [0, 1, []],
    [0, 8, [H['96'], H['5f'], H['6b']]],
    [5, 8, [H.bc, H.ca, H.d3]],
    [2, 3, [H.fa]],
    [1, 5, [H['6e'], H['5f'], H.bc]],
  ])('of leaf %i in the published tree of %i is the published one', async (index, size, path) => {
    expect(await proveInclusion(index, size, CT.read)).toEqual(path);
    const leaf = leafHash(Buffer.from(CT_LEAVES[index] as string, 'hex'));
    expect(verifyInclusion({ leaf, index, size, root: CT.root(size) }, path)).toBe(true);
  });

  it(`holds for every leaf of every tree up to ${String(MANY)} leaves, and for no other place`, async () => {
    for (let size = 1; size <= MANY; size++) {
      expect(await rootAt(size, TREE.read)).toBe(ROOTS[size]);
      for (let index = 0; index < size; index++) {
        const path = await proveInclusion(index, size, TREE.read);
        const verdicts = [
          verifyInclusion(claim(index, size), path),
          verifyInclusion({ ...claim(index, size), index: (index + 1) % size }, path),
          verifyInclusion({ ...claim(index, size), ...head(size - 1) }, path),
        ];
        if (verdicts.join() !== `true,${String(size === 1)},false`)
          expect([index, size, verdicts]).toBe('held there only');
      }
    }
  });

  it('holds for the verifier of Sigstore, which is not ours', async () => {
    const sigstore = (index: number, size: number, hashes: readonly string[], entry: string): void =>
      verifyMerkleInclusion(
        {
          canonicalizedBody: Buffer.from(entry),
          inclusionProof: {
            logIndex: String(index),
            hashes: hashes.map((hash) => Buffer.from(hash, 'hex')),
          },
        } as Parameters<typeof verifyMerkleInclusion>[0],
        new LogCheckpoint('log', BigInt(size), Buffer.from(ROOTS[size] as string, 'hex'), []),
      );
    for (let size = 1; size <= 130; size++) {
      for (let index = 0; index < size; index++) {
        const path = await proveInclusion(index, size, TREE.read);
        sigstore(index, size, path, TREE.entries[index] as string);
      }
    }
    const path = await proveInclusion(5, 100, TREE.read);
    expect(() => sigstore(5, 100, path, 'another entry')).toThrow('does not match');
  });

  it('is refused with anything in it changed', async () => {
    const sizes = fc.integer({ min: 2, max: MANY });
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(), fc.nat(), fc.nat(255), async (size, at, step, bit) => {
        const index = at % size;
        const path = await proveInclusion(index, size, TREE.read);
        const hurt = path.map((hash, i) => (i === step % path.length ? flipped(hash, bit) : hash));
        const good = claim(index, size);
        expect(verifyInclusion(good, hurt)).toBe(false);
        expect(verifyInclusion(good, path.slice(1))).toBe(false);
        expect(verifyInclusion(good, [...path, good.root])).toBe(false);
        expect(verifyInclusion({ ...good, leaf: flipped(good.leaf, bit) }, path)).toBe(false);
        expect(verifyInclusion({ ...good, root: flipped(good.root, bit) }, path)).toBe(false);
        expect(verifyInclusion({ ...good, index: index + size }, path)).toBe(false);
      }),
    );
  });

  it('is neither made nor believed of a leaf that is not there', async () => {
    for (const [index, size] of [
      [1, 1],
      [0, 0],
      [-1, 3],
      [0.5, 3],
      [0, Number.NaN],
      [2 ** 53, 2 ** 53 + 2],
    ] as const) {
      // prettier-ignore
      await expect(proveInclusion(index, size, TREE.read)).rejects.toThrow(RangeError);
      expect(verifyInclusion({ leaf: TREE.leaf(0), index, size, root: TREE.leaf(0) }, [])).toBe(false);
    }
  });

  it('reads no more of a tree of 2^52 leaves than of its way up', async () => {
    const read: string[] = [];
    const path = await proveInclusion(2 ** 51 + 12345, 2 ** 52 - 1, (height, index) => {
      read.push(`${String(height)}/${String(index)}`);
      return Promise.resolve(leafHash(`${String(height)}/${String(index)}`));
    });
    expect(path).toHaveLength(52);
    expect(read.length).toBeLessThan(110);
    expect(new Set(read).size).toBe(read.length);
    // 2^52 - 1 leaves and a leaf on the right half: first comes the sibling, last the whole left half.
    expect(read).toContain(`51/0`);
  });
});

describe('a consistency proof', () => {
  it.each([
    [1, 1, []],
    [1, 8, [H['96'], H['5f'], H['6b']]],
    [6, 8, [H['0e'], H.ca, H.d3]],
    [2, 5, [H['5f'], H.bc]],
  ])('from %i to %i of the published tree is the published one', async (first, second, proof) => {
    expect(await proveConsistency(first, second, CT.read)).toEqual(proof);
    const [older, newer] = [first, second].map((size) => ({ size, root: CT.root(size) }));
    expect(verifyConsistency(older as never, newer as never, proof)).toBe(true);
  });

  it(`holds for any two trees up to ${String(MANY)} leaves, and for no other older one`, async () => {
    for (let second = 1; second <= MANY; second++) {
      for (let first = 1; first <= second; first++) {
        const proof = await proveConsistency(first, second, TREE.read);
        const verdicts = [
          verifyConsistency(head(first), head(second), proof),
          verifyConsistency({ ...head(first), root: ROOTS[first - 1] as string }, head(second), proof),
          verifyConsistency(head(first), { ...head(second), root: ROOTS[second - 1] as string }, proof),
        ];
        if (verdicts.join() !== 'true,false,false') expect([first, second, verdicts]).toBe('held only so');
      }
    }
  });

  it('is refused with anything in it changed', async () => {
    const sizes = fc.integer({ min: 2, max: MANY });
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(), fc.nat(), fc.nat(255), async (second, at, step, bit) => {
        const first = 1 + (at % (second - 1));
        const proof = await proveConsistency(first, second, TREE.read);
        const hurt = proof.map((hash, i) => (i === step % proof.length ? flipped(hash, bit) : hash));
        expect(verifyConsistency(head(first), head(second), hurt)).toBe(false);
        expect(verifyConsistency(head(first), head(second), proof.slice(1))).toBe(false);
        expect(verifyConsistency(head(first), head(second), [...proof, head(first).root])).toBe(false);
        expect(verifyConsistency(head(second), head(first), proof)).toBe(false);
      }),
    );
  });

  it('of equal sizes is that the roots are equal, and of nothing holds whatever follows', () => {
    expect(verifyConsistency(head(7), head(7), [])).toBe(true);
    expect(verifyConsistency(head(7), { size: 7, root: head(8).root }, [])).toBe(false);
    expect(verifyConsistency(head(7), head(7), [head(7).root])).toBe(false);
    expect(verifyConsistency(head(0), head(7), [])).toBe(true);
    expect(verifyConsistency(head(0), head(7), [head(7).root])).toBe(false);
    expect(verifyConsistency({ size: -1, root: '' }, head(7), [])).toBe(false);
    expect(verifyConsistency({ size: Number.NaN, root: '' }, head(7), [])).toBe(false);
  });

  it('is not made of trees that do not follow each other', async () => {
    for (const [first, second] of [
      [0, 3],
      [4, 3],
      [1.5, 3],
    ] as const)
      // prettier-ignore
      await expect(proveConsistency(first, second, TREE.read)).rejects.toThrow(RangeError);
    await expect(rootAt(0, TREE.read)).rejects.toThrow(RangeError);
  });
});
