import { describe, expect, it } from 'vitest';
import { systemEntropy } from '../../src/system.js';

describe('bytes of the generator', () => {
  it('are as many as were asked for, and each is given out once', () => {
    const counts = [0, 1, 12, 16, 32, 255, 256, 257, 4096, 5000];
    const pieces = Array.from({ length: 400 }, (_, at) =>
      systemEntropy.bytes(counts[at % counts.length] ?? 0),
    );
    pieces.forEach((piece, at) => {
      expect(piece.length).toBe(counts[at % counts.length]);
      expect(piece.byteLength === 0 || piece.buffer.byteLength === piece.byteLength).toBe(true);
    });
    const long = pieces
      .filter(({ length }) => length >= 12)
      .map((piece) => Buffer.from(piece).toString('hex'));
    // No piece is the beginning of another, and none is empty: 96 bits do not meet by chance.
    expect(new Set(long.map((hex) => hex.slice(0, 24))).size).toBe(long.length);
    expect(long.some((hex) => /^0+$/.test(hex))).toBe(false);
  });

  it('are not changed by what follows', () => {
    const first = systemEntropy.bytes(32);
    const copy = first.slice();
    for (let n = 0; n < 500; n += 1) systemEntropy.bytes(32).fill(0);
    expect(first).toEqual(copy);
  });
});
