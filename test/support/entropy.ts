import { createHash } from 'node:crypto';
import type { Entropy } from '../../src/domain/clock.js';

/** Bytes that look random and are the same in every run with the same seed. */
export function seededEntropy(seed: string | number = 0): Entropy {
  let counter = 0;
  return {
    bytes(count) {
      const blocks: Buffer[] = [];
      for (let size = 0; size < count; size += 32) {
        blocks.push(createHash('sha256').update(`${seed}:${counter++}`).digest());
      }
      return new Uint8Array(Buffer.concat(blocks).subarray(0, count));
    },
  };
}
