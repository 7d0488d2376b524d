import type { Entry } from './log/tiles.js';
import { grow, HASH_BYTES, leafHashBinary, nodeHash, rootOfBytes, type CompactRange } from './merkle.js';

/** Hashes under one node that are hashed in one piece: as many as a tile has. */
const PIECE = 256;

/**
 * Hashes that follow each other on one level of a tree, and the roots of the full subtrees over them: each is hashed once,
 * for whoever asks first. So the head of a round and the tiles that are held against it share them. Never altered once it
 * is made. Pure.
 */
export class HashRun {
  readonly #roots = new Map<string, string>();

  /** The hashes, one after the other. */
  constructor(readonly bytes: Uint8Array) {}

  get length(): number {
    return this.bytes.length / HASH_BYTES;
  }

  /** `tree`, one of hashes of this level, with those numbered [from, to) of the run more. */
  appendTo(tree: CompactRange, from = 0, to = this.length): CompactRange {
    return grow(tree, to - from, (start, width) => this.#rootAt(from + start, width));
  }

  #rootAt(start: number, width: number): string {
    const name = `${String(start)}+${String(width)}`;
    const root = this.#roots.get(name) ?? this.#hash(start, width);
    this.#roots.set(name, root);
    return root;
  }

  #hash(start: number, width: number): string {
    if (width <= PIECE)
      return rootOfBytes(this.bytes.subarray(start * HASH_BYTES, (start + width) * HASH_BYTES));
    const half = width / 2;
    return nodeHash(this.#rootAt(start, half), this.#rootAt(start + half, half));
  }
}

/** The leaf hashes of entries. */
export function leafRun(entries: readonly Entry[]): HashRun {
  const bytes = Buffer.allocUnsafe(entries.length * HASH_BYTES);
  entries.forEach((entry, at) => bytes.write(leafHashBinary(entry), at * HASH_BYTES, 'binary'));
  return new HashRun(bytes);
}
