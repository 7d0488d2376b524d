import { hash } from 'node:crypto';

/**
 * RFC 6962, section 2.1: the hash tree of the log, as far as appending needs it. What is kept of a tree of n leaves is
 * its right edge: one hash for each 1 in the binary form of n, the root of the largest full subtree first. Pure.
 */
export const HASH_BYTES = 32;
/** Where a leaf is put behind its prefix to be hashed: an entry of a bundle has at most 65,535 bytes. */
const leafInput = Buffer.alloc(1 + 0xffff);
/** The first bytes of it, by how many: most leaves are short, and a view takes a third of the time of their hash. */
const leafViews: (Uint8Array | undefined)[] = [];
const VIEWS = 4096;

/** Hashes of one subtree that are hashed in one piece: as many as a tile has. */
const PIECE = 256;
const PAIR_BYTES = 1 + 2 * HASH_BYTES;
/** Where pairs of hashes are put behind their prefix to be hashed, and a view of each. */
const pairs = Buffer.alloc((PIECE / 2) * PAIR_BYTES, 0x01);
const pairViews = Array.from({ length: PIECE / 2 }, (_, at) =>
  pairs.subarray(at * PAIR_BYTES, (at + 1) * PAIR_BYTES),
);
const firstPair = pairViews[0] as Uint8Array;

/** A tree as far as it must be known to append to it and to name its root. Hashes are lower-case hex. */
export interface CompactRange {
  readonly size: number;
  readonly edge: readonly string[];
}

export const EMPTY_TREE: CompactRange = { size: 0, edge: [] };

/** `SHA-256(0x00 || bytes)`; text is its UTF-8 bytes. */
export function leafHash(bytes: Uint8Array | string): string {
  return hashLeaf(bytes, 'hex');
}

/** The same as a string of which each unit is a byte. */
export function leafHashBinary(bytes: Uint8Array | string): string {
  return hashLeaf(bytes, 'binary');
}

function hashLeaf(bytes: Uint8Array | string, encoding: 'hex' | 'binary'): string {
  const isText = typeof bytes === 'string';
  // A unit of text is at most three bytes.
  if (bytes.length * (isText ? 3 : 1) >= leafInput.length)
    return hash('sha256', Buffer.concat([Uint8Array.of(0), Buffer.from(bytes as string)]), encoding);
  if (!isText) leafInput.set(bytes, 1);
  const length = 1 + (isText ? leafInput.write(bytes, 1) : bytes.length);
  return hash('sha256', leafView(length), encoding);
}

function leafView(length: number): Uint8Array {
  if (length > VIEWS) return leafInput.subarray(0, length);
  return (leafViews[length] ??= leafInput.subarray(0, length));
}

/** `SHA-256(0x01 || left || right)`. */
export function nodeHash(left: string, right: string): string {
  putHash(0, left, 'hex');
  putHash(1, right, 'hex');
  return hash('sha256', firstPair);
}

/** Puts the hash with this number in its pair. */
function putHash(number: number, bytes: string, encoding: 'hex' | 'binary'): void {
  const side = number % 2;
  pairs.write(bytes, ((number - side) / 2) * PAIR_BYTES + 1 + side * HASH_BYTES, encoding);
}

/** The root over a power of two of hashes. */
export function rootOfComplete(hashes: readonly string[]): string {
  return rootOfBytes(Buffer.from(hashes.join(''), 'hex'));
}

/** The root over a power of two of hashes, which are one after the other. */
export function rootOfBytes(hashes: Uint8Array): string {
  let count = hashes.length / HASH_BYTES;
  if (count === 1) return Buffer.from(hashes).toString('hex');
  if (count > PIECE) {
    const half = hashes.length / 2;
    return nodeHash(rootOfBytes(hashes.subarray(0, half)), rootOfBytes(hashes.subarray(half)));
  }
  for (let at = 0; at < hashes.length; at += 2 * HASH_BYTES)
    pairs.set(hashes.subarray(at, at + 2 * HASH_BYTES), (at / 2 / HASH_BYTES) * PAIR_BYTES + 1);
  // Each row is written over the one below it, of which each pair has been hashed by then.
  for (; count > 2; count /= 2)
    for (let at = 0; at < count / 2; at += 1)
      putHash(at, hash('sha256', pairViews[at] as Uint8Array, 'binary'), 'binary');
  return hash('sha256', firstPair);
}

/** The tree with one leaf more. */
export function append(tree: CompactRange, leaf: string): CompactRange {
  return appendAll(tree, [leaf]);
}

/** The tree with these leaves more. */
export function appendAll(tree: CompactRange, leaves: readonly string[]): CompactRange {
  return grow(tree, leaves.length, (start, width) => rootOfComplete(leaves.slice(start, start + width)));
}

/** The tree with so many leaves more; `rootAt` gives the root over `width` of them, from the one numbered `start` on. */
export function grow(
  tree: CompactRange,
  leaves: number,
  rootAt: (start: number, width: number) => string,
): CompactRange {
  const edge = [...tree.edge];
  const end = tree.size + leaves;
  let { size } = tree;
  while (size < end) {
    // The largest full subtree that begins here.
    let width = 1;
    while (size % (2 * width) === 0 && size + 2 * width <= end) width *= 2;
    let full = rootAt(size - tree.size, width);
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
