import { isObject } from './merge-patch.js';

/** Where a value stands in JSON: names of members and indexes of lists. */
export type Path = readonly (string | number)[];

/** Paths of the values in `data` that a list of pointer patterns (`*`: any list index, `#n`: that one) names. */
export function pathsOf(data: unknown, patterns: readonly string[]): Path[] {
  return patterns.flatMap((pattern) => expand(data, pattern.split('/').slice(1), []));
}

function expand(value: unknown, rest: readonly string[], path: Path): Path[] {
  const [head, ...tail] = rest;
  if (head === undefined) return value === undefined ? [] : [path];
  if (head === '*') {
    if (!Array.isArray(value)) return [];
    return value.flatMap((item: unknown, index) => expand(item, tail, [...path, index]));
  }
  if (Array.isArray(value) && head.startsWith('#')) {
    const index = Number(head.slice(1));
    return index < value.length ? expand(value[index], tail, [...path, index]) : [];
  }
  const member = head.replaceAll('~1', '/').replaceAll('~0', '~');
  return isObject(value) && Object.hasOwn(value, member)
    ? expand(value[member], tail, [...path, member])
    : [];
}

/** The value at a path of `pathsOf`. */
export function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((inner, part) => (inner as Record<string | number, unknown>)[part], value);
}

/** True when one of the patterns names what the other names, or a place inside it. */
export function patternsOverlap(one: string, other: string): boolean {
  const [a, b] = [one.split('/'), other.split('/')];
  return a.every((token, at) => at >= b.length || token === b[at]);
}
