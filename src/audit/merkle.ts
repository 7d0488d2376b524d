import { hash } from 'node:crypto';

/**
 * RFC 6962, section 2.1: the hash tree of the log, as far as appending needs it. What is kept of a tree of n leaves is
 * its right edge: one hash for each 1 in the binary form of n, the root of the largest full subtree first. Pure.
 */
const HASH_BYTES = 32;
/** Where a leaf is put behind its prefix to be hashed: an entry of a bundle has at most 65,535 bytes. */
const leafInput = Buffer.alloc(1 + 0xffff);

/** A tree as far as it must be known to append to it and to name its root. Hashes are lower-case hex. */
export interface CompactRange {
  readonly size: number;
  readonly edge: readonly string[];
}

export const EMPTY_TREE: CompactRange = { size: 0, edge: [] };

/** `SHA-256(0x00 || bytes)`; text is its UTF-8 bytes. */
export function leafHash(bytes: Uint8Array | string): string {
  if (typeof bytes === 'string') return hash('sha256', `\0${bytes}`);
  if (bytes.length >= leafInput.length) return hash('sha256', Buffer.concat([Uint8Array.of(0), bytes]));
  leafInput.set(bytes, 1);
  return hash('sha256', leafInput.subarray(0, 1 + bytes.length));
}

/** `SHA-256(0x01 || left || right)`. */
export function nodeHash(left: string, right: string): string {
  return hash('sha256', Buffer.from(`01${left}${right}`, 'hex'));
}

/** The root over a power of two of hashes. */
export function rootOfComplete(hashes: readonly string[]): string {
  // The hashes as bytes, one after the other; each row is written over the one below it.
  const row = Buffer.from(hashes.join(''), 'hex');
  const input = Buffer.alloc(1 + 2 * HASH_BYTES, 0x01);
  for (let { length } = row; length > HASH_BYTES; length /= 2)
    for (let at = 0; at < length; at += 2 * HASH_BYTES) {
      row.copy(input, 1, at, at + 2 * HASH_BYTES);
      row.write(hash('sha256', input, 'binary'), at / 2, 'binary');
    }
  return row.toString('hex', 0, HASH_BYTES);
}

/** The tree with one leaf more. */
export function append(tree: CompactRange, leaf: string): CompactRange {
  return appendAll(tree, [leaf]);
}

/** The tree with these leaves more. */
export function appendAll(tree: CompactRange, leaves: readonly string[]): CompactRange {
  const edge = [...tree.edge];
  const end = tree.size + leaves.length;
  let { size } = tree;
  while (size < end) {
    // The largest full subtree that begins here.
    let width = 1;
    while (size % (2 * width) === 0 && size + 2 * width <= end) width *= 2;
    let full = rootOfComplete(leaves.slice(size - tree.size, size - tree.size + width));
    // Each 1 at the low end of the number of its like is one that it completes to a subtree of twice the size.
    for (let rest = size / width; rest % 2 === 1; rest = (rest - 1) / 2)
      full = nodeHash(edge.pop() as string, full);
    edge.push(full);
    size += width;
  }
  return { size, edge };
}

/** The Merkle tree hash; of the empty tree it is the hash of nothing. */
export function rootOf(tree: CompactRange): string {
  const [last, ...larger] = [...tree.edge].reverse();
  if (last === undefined) return hash('sha256', '');
  return larger.reduce((right, left) => nodeHash(left, right), last);
}

/** True when the edge has as many hashes as a tree of this size has. */
export function isCompactRange(tree: CompactRange): boolean {
  let ones = 0;
  // Not bitwise: sizes go beyond 32 bits.
  for (let rest = tree.size; rest > 0; rest = Math.floor(rest / 2)) ones += rest % 2;
  return ones === tree.edge.length;
}
