import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isLater, rolledUp, sumOf, type Rollup, type Sample } from '../../src/domain/series.js';

const value = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e200, max: 1e200 }),
  fc.constantFrom(0, -0, 0.1, 1e16, -1e16, 1, 5e-324),
);
const samples = fc
  .array(fc.record({ ms: fc.integer({ min: 0, max: 50 }), value, seq: fc.integer({ min: 0, max: 8 }) }), {
    maxLength: 30,
  }) // prettier-ignore
  .map((list) => list.map((one, at): Sample => ({ ...one, at, context: {} })));

/** Entries one after the other, as they arrive, in any grouping. */
function bySteps(all: readonly Sample[], ends: readonly number[]): Rollup | undefined {
  let rollup: Rollup | undefined;
  let from = 0;
  for (const end of [...new Set([...ends, 8])].sort((a, b) => a - b)) {
    const some = all.filter(({ seq }) => seq >= from && seq <= end);
    if (some.length > 0) rollup = rolledUp(rollup, some, end);
    from = end + 1;
  }
  return rollup;
}

describe('a rollup', () => {
  it('comes to the same whatever the grouping and the order of its values, to the last bit', () => {
    const ends = fc.array(fc.integer({ min: 0, max: 8 }), { maxLength: 5 });
    fc.assert(
      fc.property(samples, ends, fc.infiniteStream(fc.double({ noNaN: true })), (all, some, draw) => {
        const shuffled = all
          .map((one) => [draw.next().value as number, one] as const)
          .sort(([a], [b]) => a - b)
          .map(([, one]) => one);
        const [one, other] = [bySteps(all, []), bySteps(shuffled, some)];
        if (one === undefined || other === undefined) {
          expect(all).toEqual([]);
          return;
        }
        expect([other.count, other.min, other.max, other.last, sumOf(other)]).toEqual([one.count, one.min, one.max, one.last, sumOf(one)]); // prettier-ignore
        const last = all.reduce((late, next) => (isLater(next, late) ? next : late));
        expect(one.last.value).toBe(last.value);
        expect([one.count, one.min, one.max]).toEqual([all.length, Math.min(...all.map((s) => s.value)), Math.max(...all.map((s) => s.value))]); // prettier-ignore
      }),
    );
  });

  it('counts no entry twice', () => {
    fc.assert(
      fc.property(samples, (all) => {
        fc.pre(all.length > 0);
        const once = rolledUp(undefined, all, 8);
        expect(rolledUp(once, all, 8)).toEqual(once);
        expect(rolledUp(rolledUp(undefined, all.filter(({ seq }) => seq <= 3), 3), all, 8).count).toBe(all.length); // prettier-ignore
      }),
    );
  });

  it('sums exactly what floats cannot', () => {
    const of = (values: readonly number[]): number =>
      sumOf(rolledUp(undefined, values.map((one, at) => ({ ms: 0, value: one, seq: 1, at, context: {} })), 1)); // prettier-ignore
    expect(of(Array<number>(10).fill(0.1))).toBe(1);
    expect(of([1e16, 1, -1e16])).toBe(1);
    expect(of([1, 1e100, 1, -1e100])).toBe(2);
  });
});
