import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAppError, type Issue } from '../../src/domain/errors.js';
import { parseJsonSource } from '../../src/domain/json-source.js';

/** What is wrong with a text: the places, or the sentence where there is none. */
function faultOf(text: string): readonly Issue[] | string {
  try {
    parseJsonSource(text, 'The body');
    return [];
  } catch (error) {
    if (!isAppError(error, 'request-malformed')) throw error;
    return error.issues.length > 0 ? error.issues : error.message;
  }
}
const pointersOf = (text: string): readonly string[] => {
  const fault = faultOf(text);
  return typeof fault === 'string' ? ['not JSON'] : fault.map(({ pointer }) => pointer);
};

/** JSON with spaces and escapes that it need not have, as a sender may write it. */
function spelled(value: unknown, pick: () => number): string {
  const space = (): string => ['', ' ', '\n', '\t\r'][pick() % 4] as string;
  const around = (text: string): string => `${space()}${text}${space()}`;
  if (typeof value === 'string') {
    const plain = JSON.stringify(value);
    if (pick() % 3 > 0) return around(plain);
    const units = [...Array(value.length).keys()].map((n) => value.charCodeAt(n).toString(16));
    return around(`"${units.map((unit) => `\\u${unit.padStart(4, '0')}`).join('')}"`);
  }
  if (Array.isArray(value)) return around(`[${value.map((item) => spelled(item, pick)).join(',')}]`);
  if (typeof value !== 'object' || value === null) return around(JSON.stringify(value));
  const members = Object.entries(value).map(
    ([name, item]) => `${spelled(name, pick)}:${spelled(item, pick)}`,
  );
  return around(`{${members.join(',')}}`);
}

const dice = fc.infiniteStream(fc.nat(11)).map((stream) => () => stream.next().value as number);

describe('the source of a JSON value', () => {
  it('is read as JSON.parse reads it, however it is spelled', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), dice, (value, pick) => {
        const text = spelled(value, pick);
        expect(parseJsonSource(text, 'The body')).toEqual(JSON.parse(text));
      }),
      { numRuns: 1000 },
    );
  });

  it('is refused where any of its objects has a member twice, in any spelling', () => {
    const name = fc.string({ maxLength: 12, unit: 'binary' }).filter((text) => text.isWellFormed());
    const inside = fc.dictionary(name, fc.jsonValue({ maxDepth: 2 }), { minKeys: 1, noNullPrototype: true });
    fc.assert(
      fc.property(inside, dice, fc.array(fc.nat(3), { maxLength: 20 }), (object, pick, levels) => {
        const entries = Object.entries(object);
        const [twice] = entries[pick() % entries.length] as [string, unknown];
        const member = `${spelled(twice, pick)}:${spelled(pick(), pick)}`;
        const whole = spelled(object, pick).trim();
        let text = pick() % 2 === 0 ? `{${member},${whole.slice(1)}` : `${whole.slice(0, -1)},${member}}`;
        let pointer = `/${twice.replaceAll('~', '~0').replaceAll('/', '~1')}`;
        for (const level of levels) {
          text =
            level === 0 ? `{"a":0,"in":${text},"b":{"in":1}}` : `[${'1,'.repeat(level)}${text},{"in":2}]`;
          pointer = level === 0 ? `/in${pointer}` : `/${level}${pointer}`;
        }
        expect(pointersOf(text)).toEqual([pointer]);
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['{"a":1,"a":1}', ['/a']],
    ['{"a":1,"\\u0061":2}', ['/a']],
    ['{"\\"":1,"\\u0022":2}', ['/"']],
    ['{"a":1,"a":2,"a":3}', ['/a']],
    ['{"":1,"":2}', ['/']],
    ['{"a":{"b":1},"a":{"b":1}}', ['/a']],
    ['{"__proto__":1,"__proto__":2}', ['/__proto__']],
    ['[{"a":1},{"a":1,"b":[{"c":1,"c":2}]}]', ['/1/b/0/c']],
    ['{"a":{"a":{"a":1}},"b":"a","c":["a","a"]}', []],
    ['{"a":"\\"a\\":","b":"{\\"b\\":1,\\"b\\":2}"}', []],
    ['{"a\\\\":"\\\\","a":"\\\\\\""}', []],
    [`{"${'n'.repeat(300)}":{"a":1,"a":2}}`, ['']],
    ['{"x":{"\\ud800":1,"\\ud800":2}}', ['/x']],
    ['{"a":', ['not JSON']],
  ])('%s is at fault at %j', (text, pointers) => {
    expect(pointersOf(text)).toEqual(pointers);
  });

  it.each([
    '0', '-0', '0.0', '-0e99', '0.1', '1e2', '9007199254740991', '-9007199254740991', '9007199254740992', '9007199254740994',
    '9007199254740992.0', '90071992547409920e-1', '1e21', '1E+21', '1000000000000000000000', '1152921504606847000',
    '1.7976931348623157e308', '5e-324', '0.1000000000000000055511151231257827', '3.14159265358979323846', '1e999', '-1e999', '1e99999999999',
  ])('the number %s is kept, or left to be refused for its size', (text) => {
    for (const json of [text, `[${text}]`, `{"a": ${text} }`]) expect(pointersOf(json)).toEqual([]);
  }); // prettier-ignore

  it.each([
    '9007199254740993', '-9007199254740993', '9007199254740993.0', '9.007199254740993e15', '9007199254740992.5', '12345678901234567890',
    '1152921504606846976', '18446744073709551615', '1e-400', '-1e-400', '0.00001e-400', `0.${'0'.repeat(400)}1`,
  ])('the number %s is not', (text) => {
    expect(pointersOf(`{"a":[0,${text}]}`)).toEqual(['/a/1']);
    expect(pointersOf(text)).toEqual(['']);
  }); // prettier-ignore

  it('keeps an integer exactly when its digits come back', () => {
    const digits = fc.bigInt({ min: -(10n ** 24n), max: 10n ** 24n });
    const near = fc.bigInt({ min: 2n ** 53n - 50n, max: 2n ** 53n + 50n });
    const survives = (integer: bigint): boolean => shortest(Number(integer)) === integer;
    fc.assert(
      fc.property(fc.oneof(digits, near), (integer) => {
        expect(pointersOf(`[${integer}]`)).toEqual(survives(integer) ? [] : ['/0']);
      }),
      { numRuns: 2000 },
    );
  });

  it('takes every number that JSON is made with', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(pointersOf(JSON.stringify([value]))).toEqual([]);
        expect(pointersOf(`[${value.toExponential()}]`)).toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });

  it('takes no stack for nesting, and stops where everything is refused anyway', () => {
    const levels = 200_000;
    expect(pointersOf(`${'['.repeat(levels)}${']'.repeat(levels)}`)).toEqual([]);
    expect(pointersOf(`${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`)).toEqual([]);
    const within = `${'['.repeat(40)}{"a":1,"a":2}${']'.repeat(40)}`;
    expect(pointersOf(within)).toEqual([`${'/0'.repeat(40)}/a`]);
  });

  it('names at most 20 places', () => {
    const many = Array.from({ length: 50 }, (_, n) => `"m${n}":1,"m${n}":2`).join(',');
    expect(pointersOf(`{${many}}`)).toHaveLength(20);
  });

  it('never quotes what it was given', () => {
    for (const text of ['{"a":"hunter2","a":"hunter2"}', '{"a":hunter2}', '[90071992547409931111]'])
      expect(JSON.stringify(faultOf(text))).not.toMatch(/hunter2|9007/);
  });
});

/** The integer whose decimal digits JavaScript writes for a double. */
function shortest(value: number): bigint {
  const [mantissa = '', exponent = '0'] = String(value).split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  return BigInt(whole + fraction) * 10n ** BigInt(Number(exponent) - fraction.length);
}
