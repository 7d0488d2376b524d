/** A test of one decoded path segment. */
export type Constraint = (value: string) => boolean;

const GUID = /^(?:[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i;

function integer(value: string): number | undefined {
  return /^[+-]?\d{1,15}$/.test(value) ? Number(value) : undefined;
}

function between(value: number | undefined, low: number, high: number): boolean {
  return value !== undefined && value >= low && value <= high;
}

type Maker = (args: readonly number[]) => Constraint;

/** The inline constraints of ASP.NET routing that cost nothing to honour, by name and number of arguments. */
const MAKERS: Readonly<Record<string, Maker>> = {
  'int/0': () => (value) => between(integer(value), -(2 ** 31), 2 ** 31 - 1),
  'bool/0': () => (value) => /^(?:true|false)$/i.test(value),
  'guid/0': () => (value) => GUID.test(value),
  'alpha/0': () => (value) => /^[a-z]*$/i.test(value),
  'length/1':
    ([exact = 0]) =>
    (value) =>
      value.length === exact,
  'length/2':
    ([low = 0, high = 0]) =>
    (value) =>
      between(value.length, low, high),
  'minlength/1':
    ([low = 0]) =>
    (value) =>
      value.length >= low,
  'maxlength/1':
    ([high = 0]) =>
    (value) =>
      value.length <= high,
  'min/1':
    ([low = 0]) =>
    (value) =>
      between(integer(value), low, Infinity),
  'max/1':
    ([high = 0]) =>
    (value) =>
      between(integer(value), -Infinity, high),
  'range/2':
    ([low = 0, high = 0]) =>
    (value) =>
      between(integer(value), low, high),
};

/** The constraint written as `int`, `length(1,5)` or `regex(…)`; undefined when the local host does not know it. */
export function parseConstraint(text: string): Constraint | undefined {
  const match = /^([a-z]+)(?:\((.*)\))?$/is.exec(text);
  if (match === null) return undefined;
  const [, name = '', inner] = match;
  if (name.toLowerCase() === 'regex' && inner !== undefined) {
    try {
      // Braces are doubled in a template, and ASP.NET matches without regard to case.
      const pattern = new RegExp(inner.replaceAll('{{', '{').replaceAll('}}', '}'), 'i');
      return (value) => pattern.test(value);
    } catch {
      return undefined;
    }
  }
  const args = inner === undefined ? [] : inner.split(',').map((part) => part.trim());
  if (!args.every((arg) => /^-?\d{1,15}$/.test(arg))) return undefined;
  return MAKERS[`${name.toLowerCase()}/${args.length}`]?.(args.map(Number));
}
