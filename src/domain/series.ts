import { formatTime } from './clock.js';
import type { RecordData } from './record-type.js';

/** One value of a time series, with its place among those that arrived. */
export interface Sample {
  /** Milliseconds since 1970. */
  readonly ms: number;
  readonly value: number;
  readonly context: RecordData;
  /** Number of the entry that brought it, 0 for what came with the record, and its place in that entry. */
  readonly seq: number;
  readonly at: number;
}

/** What the values of an hour or a day come to, whatever the order they arrived in. */
export interface Rollup {
  readonly count: number;
  /** The exact sum as floats that do not overlap; their sum is the correctly rounded one. */
  readonly partials: readonly number[];
  readonly min: number;
  readonly max: number;
  /** The value with the latest time; of several the one that arrived last. */
  readonly last: { readonly ms: number; readonly seq: number; readonly at: number; readonly value: number };
  /** Every entry up to this one that has values here is counted. */
  readonly upTo: number;
}

export type Resolution = 'raw' | 'hour' | 'day';

/** `2026-01-31T12` or `2026-01-31`, UTC. */
export function periodOf(resolution: 'hour' | 'day', ms: number): string {
  return formatTime(ms).slice(0, resolution === 'hour' ? 13 : 10);
}

/** RFC 3339 time at which a period begins. */
export function periodStart(period: string): string {
  return period.length === 13 ? `${period}:00:00.000Z` : `${period}T00:00:00.000Z`;
}

/** Adds values; those of entries that are counted already are left out. Order does not matter within a call. */
export function rolledUp(before: Rollup | undefined, samples: readonly Sample[], upTo: number): Rollup {
  const fresh = samples.filter(({ seq }) => before === undefined || seq > before.upTo);
  const [first] = fresh;
  if (first === undefined)
    return before === undefined ? nothing(upTo) : { ...before, upTo: Math.max(upTo, before.upTo) };
  const start: Rollup = before ?? { ...nothing(upTo), min: first.value, max: first.value, last: first };
  const { ms, seq, at, value } = fresh.reduce((late, one) => (isLater(one, late) ? one : late), {
    ...start.last,
    context: {},
  });
  return {
    count: start.count + fresh.length,
    partials: fresh.reduce((partials, one) => addExactly(partials, one.value), start.partials),
    min: fresh.reduce((least, one) => Math.min(least, one.value), start.min),
    max: fresh.reduce((most, one) => Math.max(most, one.value), start.max),
    last: { ms, seq, at, value },
    upTo: Math.max(upTo, start.upTo),
  };
}

/** How many values there are and what they come to, without the last of them. */
export type Totals = Pick<Rollup, 'count' | 'partials' | 'min' | 'max'>;

/** What several periods come to together. */
export function together(all: readonly Totals[]): Totals {
  const some = all.filter(({ count }) => count > 0);
  return {
    count: some.reduce((sum, { count }) => sum + count, 0),
    partials: some.flatMap(({ partials }) => partials).reduce(addExactly, []),
    min: some.length === 0 ? 0 : some.reduce((least, { min }) => Math.min(least, min), Infinity),
    max: some.length === 0 ? 0 : some.reduce((most, { max }) => Math.max(most, max), -Infinity),
  };
}

/** True where the same values may be behind both: sums are exact, so a value that differs shows whatever the order. */
export function sameTotals(a: Totals, b: Totals): boolean {
  return a.count === b.count && a.min === b.min && a.max === b.max && sumOf(a) === sumOf(b);
}

const nothing = (upTo: number): Rollup => ({
  count: 0,
  partials: [],
  min: 0,
  max: 0,
  last: { ms: 0, seq: -1, at: 0, value: 0 },
  upTo,
});

/** By time, then by arrival. */
export function isLater(a: Pick<Sample, 'ms' | 'seq' | 'at'>, b: Pick<Sample, 'ms' | 'seq' | 'at'>): boolean {
  return a.ms !== b.ms ? a.ms > b.ms : a.seq !== b.seq ? a.seq > b.seq : a.at > b.at;
}

/** Shewchuk, "Adaptive Precision Floating-Point Arithmetic" (1997): a sum without rounding, as Python's `fsum` keeps it. */
function addExactly(partials: readonly number[], value: number): readonly number[] {
  const kept: number[] = [];
  let x = value;
  for (const partial of partials) {
    const [big, small] = Math.abs(x) < Math.abs(partial) ? [partial, x] : [x, partial];
    const high = big + small;
    const low = small - (high - big);
    if (low !== 0) kept.push(low);
    x = high;
  }
  return x === 0 ? kept : [...kept, x];
}

/** The sum, rounded once and half to even, so that it is the same however the parts came about. */
export function sumOf({ partials }: Pick<Rollup, 'partials'>): number {
  const left = [...partials];
  let high = left.pop() ?? 0;
  let low = 0;
  while (low === 0 && left.length > 0) {
    const next = left.pop() as number;
    const sum = high + next;
    low = next - (sum - high);
    high = sum;
  }
  const rest = left.at(-1) ?? 0;
  if ((low < 0 && rest < 0) || (low > 0 && rest > 0)) {
    const further = high + low * 2;
    if (further - high === low * 2) return further;
  }
  return high;
}
