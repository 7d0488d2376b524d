import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/domain/limits.js';

const KIB = 1024;
const MIB = 1024 * 1024;
const HOUR = 3_600_000;

/** Bounds that somebody else sets, and bounds that are only right beside each other. */
describe('the limits', () => {
  it('of the service are those that Azure documents', () => {
    expect([LIMITS.transactionRows, LIMITS.transactionBytes]).toEqual([100, 4 * MIB]);
    expect([LIMITS.entityBytes, LIMITS.propertyBytes]).toEqual([MIB, 64 * KIB]);
    expect([LIMITS.keyChars, LIMITS.rangeRows]).toEqual([512, 1000]);
    expect([LIMITS.messageBytes, LIMITS.appendBlockBytes]).toEqual([64 * KIB, 4 * MIB]);
    expect(LIMITS.streamBlocks).toBeLessThan(50_000);
  });

  it('of requests are those that callers are told', () => {
    expect([LIMITS.bodyBytes, LIMITS.batchBodyBytes, LIMITS.batchItemBytes]).toEqual([MIB, 16 * MIB, MIB]);
    expect(LIMITS.recordBytes).toBe(8 * MIB);
    expect(LIMITS.createdAtAheadMs).toBe(5 * 60_000);
  });

  it('fit into each other where one thing is stored in another', () => {
    // An event is a property of a row, in UTF-16; a round of the sealer is one block of the stream.
    expect(LIMITS.eventBytes * 2).toBeLessThanOrEqual(LIMITS.propertyBytes);
    expect(LIMITS.eventBytes).toBe(32 * KIB);
    expect(LIMITS.sealRoundBytes).toBe(3 * MIB);
    expect(LIMITS.sealRoundBytes).toBeLessThan(LIMITS.appendBlockBytes);
    // Two values in one key, each at its longest, with the rest of an index key.
    expect(2 * LIMITS.keyValueChars + 160).toBeLessThan(LIMITS.keyChars);
    expect(LIMITS.bodyBytes).toBeLessThan(LIMITS.recordBytes);
  });

  it('of time come after one another, whatever a process sleeps through', () => {
    expect(LIMITS.storageTryMs).toBeLessThan(LIMITS.storageBudgetMs);
    // Who takes a key over, or removes a dirty row, waits longer than anybody may still be at work.
    expect(LIMITS.storageBudgetMs).toBeLessThan(LIMITS.idempotencyTakeoverMs);
    expect(LIMITS.announceFreshMs).toBeLessThan(60_000);
    expect(LIMITS.dirtyQuietMs).toBe(HOUR);
    expect(LIMITS.idempotencyKeptMs).toBe(7 * 24 * HOUR);
    expect(LIMITS.idempotencyPromisedMs).toBe(4 * 24 * HOUR);
    expect(LIMITS.idempotencyGraceMs).toBe(HOUR);
    expect([LIMITS.orphanAgeMs, LIMITS.orphanMarginMs]).toEqual([24 * HOUR, HOUR]);
  });
});
