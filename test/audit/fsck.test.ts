import { describe, expect, it } from 'vitest';
import { STORAGES } from '../support/platform.js';
import { fsckOf, fsckWorld } from './fsck-world.js';

describe.each(STORAGES)('fsck $name', (kind) => {
  it('finds nothing where nobody did anything, also behind sealed values', async () => {
    const world = await fsckWorld(kind, kind.realTime ? 30 : 270);
    try {
      for (const open of [false, true]) {
        const { result, told } = await fsckOf(world.ports, { open });
        expect(told).toEqual([]);
        expect(result.findings).toBe(0);
        expect(result.pieces).toBeGreaterThan(10);
      }
    } finally {
      world.close();
    }
  });
});
