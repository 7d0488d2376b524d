import { createHash } from 'node:crypto';
import { leafHash, nodeHash } from '../../../src/audit/merkle.js';
import type { ReadHash } from '../../../src/audit/log/proof.js';

/** The published test vectors of Certificate Transparency (RFC 6962): the leaves, in hex. */
export const CT_LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']; // prettier-ignore

/** A tree kept whole, row upon row: nothing of it knows the code under test but the two hashes. */
export class WholeTree {
  readonly #rows: string[][] = [];

  constructor(readonly entries: readonly (Uint8Array | string)[]) {
    let row = entries.map(leafHash);
    while (row.length > 0) {
      this.#rows.push(row);
      const below = row;
      row = Array.from({ length: Math.floor(row.length / 2) }, (_, at) =>
        nodeHash(below[2 * at] as string, below[2 * at + 1] as string),
      );
    }
  }

  leaf(index: number): string {
    return this.#rows[0]?.[index] as string;
  }

  /** RFC 6962, section 2.1, word for word. */
  root(to: number, from = 0): string {
    if (to === from) return createHash('sha256').digest('hex');
    if (to - from === 1) return this.leaf(from);
    let half = 1;
    while (half * 2 < to - from) half *= 2;
    return nodeHash(this.root(from + half, from), this.root(to, from + half));
  }

  readonly read: ReadHash = (height, index) => {
    const hash = this.#rows[height]?.[index];
    return hash === undefined ? Promise.reject(new RangeError('no such subtree')) : Promise.resolve(hash);
  };
}

/** Entries that differ. */
export function numbered(count: number): readonly string[] {
  return Array.from({ length: count }, (_, at) => `entry ${String(at)}`);
}
