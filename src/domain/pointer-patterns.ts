import { isObject } from './merge-patch.js';

/** Where a value stands in JSON: names of members and indexes of lists. */
export type Path = readonly (string | number)[];

/** Patterns of declarations, taken apart: every write and read asks for the same few. */
const known = new Map<string, readonly string[]>();

function tokensOf(pattern: string): readonly string[] {
  const before = known.get(pattern);
  if (before !== undefined) return before;
  const tokens = pattern
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
  // One that names a place in one record is not of a declaration.
  if (!pattern.includes('#')) known.set(pattern, tokens);
  return tokens;
}

/** Paths of the values in `data` that a list of pointer patterns (`*`: any list index, `#n`: that one) names. */
export function pathsOf(data: unknown, patterns: readonly string[]): Path[] {
  const found: Path[] = [];
  for (const pattern of patterns) expand(data, tokensOf(pattern), [], found);
  return found;
}

/** `path` is how far it has come, of as many of the tokens. */
function expand(value: unknown, tokens: readonly string[], path: Path, found: Path[]): void {
  const token = tokens[path.length];
  if (token === undefined) {
    if (value !== undefined) found.push(path);
  } else if (token === '*') {
    if (Array.isArray(value))
      value.forEach((item: unknown, index) => { expand(item, tokens, [...path, index], found); }); // prettier-ignore
  } else if (Array.isArray(value)) {
    const index = token.startsWith('#') ? Number(token.slice(1)) : Infinity;
    if (index < value.length) expand(value[index], tokens, [...path, index], found);
  } else if (isObject(value) && Object.hasOwn(value, token)) {
    expand(value[token], tokens, [...path, token], found);
  }
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
