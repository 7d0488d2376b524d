import type { Random } from './simulation-random.js';

/** What an attacker or a careless client puts where a value is expected. All of it is drawn from a seed. */

const NASTY_TEXTS = [
  '',
  ' ',
  '\u0000',
  'a\u0000b',
  '..',
  '../../..',
  './',
  '%2e%2e%2f',
  '%00',
  '\\..\\',
  'constructor',
  '__proto__',
  'prototype',
  'toString',
  'hasOwnProperty',
  'null',
  'undefined',
  'NaN',
  'true',
  '0',
  '-1',
  '1e309',
  "'; drop table decisions; --",
  "' or RowKey ge '",
  '$' + '{7*7}',
  '{{7*7}}',
  '<script>alert(1)</script>',
  '\u202egnp.exe',
  '\ufeff',
  '\u2028\u2029',
  '\ud800',
  '\udc00x',
  'e\u0301\u0323',
  '\u{1f469}\u200d\u{1f469}\u200d\u{1f466}',
  '\uffff',
  '\r\nx-injected: 1',
  'queued\n',
  '2026-13-45T99:99:99Z',
  '1969-12-31T23:59:59.999Z',
  '9999-12-31T23:59:59.999Z',
  '+010000-01-01T00:00:00Z',
  '2026-01-01',
  'dec_01980000-0000-7000-8000-000000000000',
  'dec_ffffffff-ffff-7fff-bfff-ffffffffffff',
  'DEC_01980000-0000-7000-8000-000000000000',
  'op_01980000-0000-7000-8000-000000000000',
] as const;

const NASTY_NAMES = ['__proto__', 'constructor', 'prototype', 'toJSON', '$commitment', '', ' ', '\ud800', '~1/~0', 'then', 'length', '\u0000'] as const; // prettier-ignore

/** A text: usually a known trap, sometimes long, sometimes any characters at all. */
export function nastyText(random: Random, longest = 5_000): string {
  const kind = random.below(10);
  if (kind < 6) return random.pick(NASTY_TEXTS);
  if (kind < 7) return random.pick(['a', '\u20ac', '=', '/', '"', '\u{1f600}', '\ud800']).repeat(random.between(1, longest)); // prettier-ignore
  return Array.from({ length: random.between(1, 24) }, () => String.fromCharCode(random.below(0x10000))).join(
    '',
  );
}

/** A value of any type. */
export function nastyValue(random: Random, depth = 0): unknown {
  switch (random.below(depth > 3 ? 9 : 12)) {
    case 0:
      return null;
    case 1:
      return random.chance(0.5);
    case 2:
      return random.pick([0, -0, -1, 1, 0.1, 1e21, 2 ** 53, -(2 ** 63), 1.7976931348623157e308, 5e-324]);
    case 3:
      return random.below(1_000_000);
    case 4:
    case 5:
    case 6:
    case 7:
      return nastyText(random);
    case 8:
      return random.pick<() => unknown>([() => [], () => ({})])();
    case 9:
      return Array.from({ length: random.below(6) }, () => nastyValue(random, depth + 1));
    default:
      return Object.fromEntries(
        Array.from({ length: random.below(5) }, () => [nastyName(random), nastyValue(random, depth + 1)]),
      );
  }
}

export function nastyName(random: Random): string {
  return random.chance(0.5) ? random.pick(NASTY_NAMES) : nastyText(random, 300);
}

type Path = readonly (string | number)[];

/** The paths of every member and item in a value. */
function pathsIn(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([name, member]) => pathsIn(member, [...path, name]))];
}

/** A copy with the value at a path replaced, or taken out where `next` is undefined. */
function replaced(value: unknown, [name, ...rest]: Path, next: unknown): unknown {
  if (name === undefined) return next;
  const members = Object.entries(value as object).map(([key, member]): [string, unknown] => [
    key,
    key === String(name) ? replaced(member, rest, next) : member,
  ]);
  const kept = members.filter(([, member]) => member !== undefined);
  return Array.isArray(value) ? kept.map(([, member]) => member) : Object.fromEntries(kept);
}

/** A valid body with one to three things wrong with it, most of the time. */
export function mutated(random: Random, valid: unknown): unknown {
  let body: unknown = structuredClone(valid);
  for (let left = random.below(4); left > 0; left -= 1) {
    const path = random.pick(pathsIn(body));
    const what = random.below(6);
    if (what === 0) body = replaced(body, path, undefined) ?? null;
    else if (what === 1) body = withMember(body, path, nastyName(random), nastyValue(random));
    else if (what === 2 && path.length > 0)
      body = replaced(body, path, Array.from({ length: random.between(1, 12) * 100 }, () => 'x')); // prettier-ignore
    else body = replaced(body, path, nastyValue(random)) ?? null;
  }
  return body;
}

function withMember(body: unknown, path: Path, name: string, value: unknown): unknown {
  let at: unknown = body;
  for (const part of path) at = (at as Record<string | number, unknown>)[part];
  if (typeof at !== 'object' || at === null || Array.isArray(at)) return body;
  const members = [...Object.entries(at), [name, value] as [string, unknown]];
  return replaced(body, path, Object.fromEntries(members));
}

/** Texts that nobody's JSON library would write. */
const RAW: readonly ((random: Random, json: string) => string | Uint8Array)[] = [
  (random, json) => json.slice(0, random.below(json.length + 1)),
  (_, json) => json.replace('{', '{"title":"first","title":"second","__proto__":{"status":"completed"},'),
  (_, json) => json.replace(/"[^"]*"/, '1e999'),
  (_, json) => json.replace(/:"[^"]*"/, `:${'9'.repeat(400)}`),
  (_, json) => json.replace(/:"[^"]*"/, ':"\\ud800"'),
  (_, json) => json.replace(/:"[^"]*"/, ':-0.0e-9999'),
  (_, json) => `\ufeff${json}`,
  (_, json) => `${json}${json}`,
  (_, json) => ` \n\t${json}\r\n `,
  (random) => deep(random.pick(['[', '{"a":']), random.pick([10, 33, 34, 1_000, 20_000])),
  (random, json) => json.replace(/:"[^"]*"/, `:${deep('[', random.pick([31, 32, 33, 5_000]))}`),
  (random) => `{"items":${deep('[', random.pick([31, 32, 33, 5_000]))}}`,
  (random) => `[${'{},'.repeat(random.between(1, 3_000))}{}]`,
  (random) => `{${Array.from({ length: random.between(1, 12_000) }, (_, n) => `"m${n}":0`).join(',')}}`,
  (random) => Buffer.from(random.bytes(random.between(1, 200))),
  (_, json) => Buffer.from(json, 'utf16le'),
  (_, json) => Buffer.concat([Buffer.from(json.slice(0, -2)), Buffer.from([0xed, 0xa0, 0x80, 0xff]), Buffer.from('"}')]), // prettier-ignore
  (_, json) => json.replace(/:"[^"]*"/, `:"${'x'.repeat(1_100_000)}"`),
  () => '',
];

function deep(open: string, levels: number): string {
  return `${open.repeat(levels)}${open === '[' ? '' : '0'}${(open === '[' ? ']' : '}').repeat(levels)}`;
}

/** A body as it travels: JSON of a mutation of something valid, or something that JSON is not. */
export function rawBody(random: Random, valid: unknown): string | Uint8Array {
  const json = JSON.stringify(mutated(random, valid));
  return random.chance(0.25) ? random.pick(RAW)(random, JSON.stringify(valid)) : json;
}
