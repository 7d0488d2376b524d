import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256Hex } from '../../src/domain/canonical-json.js';
import { LIMITS } from '../../src/domain/limits.js';
import { Budget } from '../../src/storage/backoff.js';
import { BlockWriter, readsAs } from '../../src/storage/block-writer.js';
import { StorageFault } from '../../src/storage/ports.js';
import { systemEntropy } from '../../src/system.js';
import { countingPorts } from '../support/counting-ports.js';
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';
import { realClock } from '../support/virtual-clock.js';
import { wrapPorts, type Intercept } from '../support/wrap-ports.js';

const budget = (): Budget => new Budget(realClock, systemEntropy);
let names = 0;

describe.each(STORAGES)('a blob that is written in blocks $name', (kind) => {
  let storage: StorageUnderTest;
  beforeAll(async () => {
    storage = await openStorage(kind);
  });
  afterAll(() => storage.close());

  const pieces = (sizes: readonly number[]): readonly Buffer[] =>
    sizes.map((size, at) => Buffer.alloc(size, at + 1));
  const written = async (parts: readonly Uint8Array[], intercept?: Intercept) => {
    names += 1;
    const name = `default/blocks ${String(names)}`;
    const counted = countingPorts(intercept === undefined ? storage.ports : wrapPorts(storage.ports, intercept)); // prettier-ignore
    const writer = new BlockWriter(counted.ports.blobs, 'records', name, budget);
    for (const part of parts) await writer.add(part);
    expect(writer.bytes).toBe(parts.reduce((sum, { length }) => sum + length, 0));
    return { name, done: await writer.finish(), counts: counted.counts() };
  };

  it('is what was added, in few calls, and is read again in as few', async () => {
    for (const [sizes, counts] of [
      [[10, 20], { 'blobs.putOnce': 1 }],
      [[LIMITS.blockBytes], { 'blobs.putOnce': 1 }],
      [[LIMITS.blockBytes, 1], { 'blobs.stageBlock': 2, 'blobs.commitBlocks': 1 }],
      [[3_000_000, 3_000_000, 1_000_000, 4_000_000], { 'blobs.stageBlock': 3, 'blobs.commitBlocks': 1 }],
    ] as const) {
      const parts = pieces(sizes);
      const whole = Buffer.concat(parts);
      const { name, done, counts: made } = await written(parts);
      expect([made, done]).toEqual([counts, { bytes: whole.length, checksum: sha256Hex(whole) }]);
      const found = await storage.ports.blobs.find('records', name);
      expect(Buffer.compare(found?.bytes ?? Buffer.of(), whole)).toBe(0);
      const reading = countingPorts(storage.ports);
      expect(await readsAs(reading.ports.blobs, 'records', name, done, budget)).toBe(true);
      expect(reading.calls).toHaveLength(Math.ceil(whole.length / LIMITS.blockBytes));
    }
  });

  it('is there once though every answer is lost', async () => {
    let calls = 0;
    const { name, done } = await written(pieces([LIMITS.blockBytes, 5]), async (_, run) => {
      calls += 1;
      if (calls % 2 === 0) return run();
      await run();
      throw new StorageFault('unavailable', 'the answer was lost');
    });
    expect(await readsAs(storage.ports.blobs, 'records', name, done, budget)).toBe(true);
  });

  it('does not read as another, or as one that is gone', async () => {
    const { name, done } = await written(pieces([10]));
    const { done: other } = await written(pieces([10, 1]));
    expect(await readsAs(storage.ports.blobs, 'records', name, { ...done, checksum: other.checksum }, budget)).toBe(false); // prettier-ignore
    await storage.ports.blobs.delete('records', name);
    expect(await readsAs(storage.ports.blobs, 'records', name, done, budget)).toBe(false);
  });
});
