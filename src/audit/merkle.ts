import { createHash } from 'node:crypto';

/**
 * RFC 6962, section 2.1: the hash tree of the log, as far as appending needs it. What is kept of a tree of n leaves is
 * its right edge: one hash for each 1 in the binary form of n, the root of the largest full subtree first. Pure.
 */
const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** A tree as far as it must be known to append to it and to name its root. Hashes are lower-case hex. */
export interface CompactRange {
  readonly size: number;
  readonly edge: readonly string[];
}

export const EMPTY_TREE: CompactRange = { size: 0, edge: [] };

/** `SHA-256(0x00 || bytes)`; text is its UTF-8 bytes. */
export function leafHash(bytes: Uint8Array | string): string {
  return createHash('sha256').update(LEAF).update(bytes).digest('hex');
}

/** `SHA-256(0x01 || left || right)`. */
export function nodeHash(left: string, right: string): string {
  const hash = createHash('sha256').update(NODE);
  return hash.update(Buffer.from(left, 'hex')).update(Buffer.from(right, 'hex')).digest('hex');
}

/** The tree with one leaf more. */
export function append(tree: CompactRange, leaf: string): CompactRange {
  const edge = [...tree.edge];
  let hash = leaf;
  // Each 1 at the low end of the size is a full subtree that the new leaf completes to one of twice its size.
  for (let rest = tree.size; rest % 2 === 1; rest = (rest - 1) / 2)
    hash = nodeHash(edge.pop() as string, hash);
  edge.push(hash);
  return { size: tree.size + 1, edge };
}

/** The Merkle tree hash; of the empty tree it is the hash of nothing. */
export function rootOf(tree: CompactRange): string {
  const [last, ...larger] = [...tree.edge].reverse();
  if (last === undefined) return createHash('sha256').digest('hex');
  return larger.reduce((right, left) => nodeHash(left, right), last);
}

/** True when the edge has as many hashes as a tree of this size has. */
export function isCompactRange(tree: CompactRange): boolean {
  let ones = 0;
  // Not bitwise: sizes go beyond 32 bits.
  for (let rest = tree.size; rest > 0; rest = Math.floor(rest / 2)) ones += rest % 2;
  return ones === tree.edge.length;
}
