import { z } from 'zod';

/** One to four numbers of at most nine digits, so that each is exact: `1`, `2.0`, `1.10.3`. */
const SHAPE = /^\d{1,9}(\.\d{1,9}){0,3}$/;

/** A version that says by itself which of two is higher. */
export const dottedVersion = (): z.ZodType<string, string> =>
  z.string().regex(SHAPE, 'must be one to four numbers joined by dots');

/** Compares number by number, what is not there being 0: negative when `a` is lower, 0 for `1.0` and `1`. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number)) as [number[], number[]];
  for (let at = 0; at < Math.max(left.length, right.length); at += 1) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
