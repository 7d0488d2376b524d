import { nodeHash } from '../merkle.js';
import {
  consistencyRanges,
  consistencySteps,
  inclusionRanges,
  inclusionSides,
  subtreesOf,
  type Subtree,
} from './tree-shape.js';

/**
 * Proofs of the log (RFC 6962, sections 2.1.1 and 2.1.2): made from the hashes of complete subtrees, verified against
 * roots. Hashes are lower-case hex.
 */

/** The hash of the complete subtree over the leaves [index * 2^height, (index + 1) * 2^height). */
export type ReadHash = (height: number, index: number) => Promise<string>;

async function hashOver(subtrees: readonly Subtree[], read: ReadHash): Promise<string> {
  const hashes = await Promise.all(subtrees.map(({ height, index }) => read(height, index)));
  return hashes.reduceRight((right, left) => nodeHash(left, right));
}

function assertSize(smaller: number, larger: number, what: string): void {
  const sound = Number.isSafeInteger(smaller) && Number.isSafeInteger(larger);
  if (!sound || smaller < 0 || smaller > larger) throw new RangeError(what);
}

/** The root of the tree of the first `size` leaves, for a size of at least 1. Throws RangeError below. */
export async function rootAt(size: number, read: ReadHash): Promise<string> {
  assertSize(1, size, 'a tree without leaves has no subtree');
  return hashOver(subtreesOf(0, size), read);
}

/**
 * The inclusion path of a leaf in the tree of the first `size` leaves, from the leaf's sibling up to the root's child.
 * Throws RangeError for an index that is not below the size.
 */
export async function proveInclusion(
  index: number,
  size: number,
  read: ReadHash,
): Promise<readonly string[]> {
  assertSize(index, size - 1, 'the tree has no such leaf');
  return Promise.all(inclusionRanges(index, size).map((subtrees) => hashOver(subtrees, read)));
}

/**
 * The proof that the tree of `second` leaves begins with that of `first`; empty for equal sizes. Throws RangeError unless
 * 0 < first <= second.
 */
export async function proveConsistency(
  first: number,
  second: number,
  read: ReadHash,
): Promise<readonly string[]> {
  assertSize(first - 1, second - 1, 'only a tree with leaves has later ones');
  return Promise.all(consistencyRanges(first, second).map((subtrees) => hashOver(subtrees, read)));
}

/** A leaf and the tree it is said to be in. */
export interface InclusionClaim {
  readonly leaf: string;
  readonly index: number;
  readonly size: number;
  readonly root: string;
}

/** True when the path leads from the leaf at its index to the root. */
export function verifyInclusion(claim: InclusionClaim, path: readonly string[]): boolean {
  const { leaf, index, size, root } = claim;
  if (!Number.isSafeInteger(size) || !Number.isSafeInteger(index) || index < 0 || index >= size) return false;
  const sides = inclusionSides(index, size);
  if (sides.length !== path.length) return false;
  const hash = path.reduce(
    (below, beside, at) => (sides[at] === 'left' ? nodeHash(beside, below) : nodeHash(below, beside)),
    leaf,
  );
  return hash === root;
}

/** A tree as its checkpoint says it is. */
export interface TreeHead {
  readonly size: number;
  readonly root: string;
}

/** True when the proof shows that the second tree begins with the first. Every tree begins with the empty one. */
export function verifyConsistency(first: TreeHead, second: TreeHead, proof: readonly string[]): boolean {
  if (![first.size, second.size].every(Number.isSafeInteger)) return false;
  if (first.size < 0 || first.size > second.size) return false;
  if (first.size === second.size) return proof.length === 0 && first.root === second.root;
  if (first.size === 0) return proof.length === 0;
  const { fromFirstRoot, steps } = consistencySteps(first.size, second.size);
  const [start, ...rest] = fromFirstRoot ? [first.root, ...proof] : proof;
  if (start === undefined || rest.length !== steps.length) return false;
  let [older, newer] = [start, start];
  rest.forEach((hash, at) => {
    if (steps[at] === 'both') [older, newer] = [nodeHash(hash, older), nodeHash(hash, newer)];
    else newer = nodeHash(newer, hash);
  });
  return older === first.root && newer === second.root;
}
