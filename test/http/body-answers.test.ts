import { describe, expect, it } from 'vitest';
import { read, tableRows } from '../architecture/support.js';
import { MINIMAL, newTenant } from '../support/decisions.js';
import { type RequestOptions } from '../support/http-harness.js';
import { STORAGES } from '../support/platform.js';
import { useHttpHost } from '../support/use-http-host.js';

const GOOD = JSON.stringify(MINIMAL);
/** The smallest decision, and in its free content what is written here. */
const within = (inputs: string): string => `${GOOD.slice(0, -1)},"inputs":{${inputs}}}`;
const bytes = (...values: readonly number[]): Uint8Array =>
  Buffer.concat([
    Buffer.from(`${GOOD.slice(0, -1)},"inputs":{"a":"`),
    Buffer.from(values),
    Buffer.from('"}}'),
  ]);
const typed = (type: string): RequestOptions => ({ raw: GOOD, headers: { 'content-type': type } });
const coded = (encoding: string): RequestOptions => ({
  raw: GOOD,
  headers: { 'content-encoding': encoding },
});

interface Case {
  readonly sent: RequestOptions | string | Uint8Array;
  /** Where the answer points to. */
  readonly at?: string;
  /** The free content that is stored. */
  readonly kept?: unknown;
}

/** What each row of the table in docs/http-api.md stands for. */
const CASES: Readonly<Record<string, readonly Case[]>> = {
  'of another media type, or of none': [
    { sent: typed('text/plain') },
    { sent: typed('') },
    { sent: typed('application/json, application/json') },
  ],
  'in another charset than UTF-8, by what is said of it': [
    { sent: typed('application/json; charset=utf-16') },
    { sent: typed('application/json; charset=utf8') },
    { sent: typed('application/json; charset=utf-8; charset=latin1') },
    { sent: typed('application/json; charset=latin1; charset=utf-8') },
  ],
  'compressed (`Content-Encoding` other than `identity`)': [
    { sent: coded('gzip') },
    { sent: coded('identity, br') },
  ],
  'over 1 MiB, of a batch 16 MiB': [{ sent: GOOD + ' '.repeat(1024 * 1024) }],
  'that is empty': [{ sent: '' }, { sent: ' \n' }, { sent: '\ufeff' }],
  'that is not UTF-8: overlong forms, surrogates, cut characters, other encodings': [
    { sent: bytes(0xc0, 0x80) },
    { sent: bytes(0xe0, 0x80, 0xaf) },
    { sent: bytes(0xed, 0xa0, 0x80) },
    { sent: bytes(0xe2, 0x82) },
    { sent: bytes(0xf5, 0x80, 0x80, 0x80) },
    { sent: Buffer.from(`\ufeff${GOOD}`, 'utf16le') },
  ],
  'that is not JSON (RFC 8259): trailing text, comments, `NaN`, control characters': [
    { sent: `${GOOD}x` },
    { sent: GOOD + GOOD },
    { sent: `${GOOD}\0` },
    { sent: `/* */${GOOD}` },
    { sent: within('"a":NaN') },
    { sent: within('"a":"\0"') },
    { sent: within('"a":"\n"') },
    { sent: within('"a":1,') },
    { sent: within('"a":01') },
    { sent: `\ufeff\ufeff${GOOD}` },
  ],
  'that gives a member twice, `"a"` and `"\\u0061"` being one': [
    { sent: `${GOOD.slice(0, -1)},"title":"Another"}`, at: '/title' },
    { sent: `${GOOD.slice(0, -1)},"t\\u0069tle":"Another"}`, at: '/title' },
    { sent: within('"a":[{"b":1},{"b":1,"b":1}]'), at: '/inputs/a/1/b' },
    { sent: within('"":1,"":2'), at: '/inputs/' },
  ],
  'with a number beyond 2^53 - 1 whose digits would not come back, or that would become 0': [
    { sent: within('"a":9007199254740993'), at: '/inputs/a' },
    { sent: within('"a":[0,-12345678901234567890]'), at: '/inputs/a/1' },
    { sent: within('"a":9.007199254740993e15'), at: '/inputs/a' },
    { sent: within('"a":1e-400'), at: '/inputs/a' },
  ],
  'with a number beyond 1.8e308': [
    { sent: within('"a":1e400'), at: '/inputs/a' },
    { sent: within(`"a":-1${'0'.repeat(400)}`), at: '/inputs/a' },
  ],
  'with half a surrogate pair, written `\\ud800`': [
    { sent: within('"a":["\\ud800"]'), at: '/inputs/a/0' },
    { sent: within('"\\udc00":1'), at: '/inputs' },
  ],
  'with a member named `__proto__` or `$commitment`, wherever it is': [
    { sent: within('"__proto__":{"a":1}'), at: '/inputs/__proto__' },
    { sent: within('"\\u005f_proto__":1'), at: '/inputs/__proto__' },
    { sent: `${GOOD.slice(0, -1)},"__proto__":{"title":"x"}}`, at: '/__proto__' },
    { sent: within('"a":{"$commitment":"00"}'), at: '/inputs/a/$commitment' },
  ],
  'with a member name over 256 characters, or over 10,000 members or items': [
    { sent: within(`"${'n'.repeat(257)}":1`), at: '/inputs' },
    { sent: within(`"a":[${'0,'.repeat(10_000)}0]`), at: '/inputs/a' },
  ],
  'nested deeper than 32 levels': [
    { sent: within(`"a":${'['.repeat(31)}${']'.repeat(31)}`), at: `/inputs/a${'/0'.repeat(30)}` },
    { sent: '['.repeat(300_000) + ']'.repeat(300_000), at: '/0'.repeat(32) },
  ],
  'that is JSON but no object': [
    { sent: 'null', at: '' },
    { sent: '[]', at: '' },
    { sent: '"text"', at: '' },
    { sent: '1', at: '' },
  ],
  'with members `constructor`, `prototype` or `toString` where content is free': [
    {
      sent: within('"constructor":{"prototype":{"x":1}},"prototype":2,"toString":3,"hasOwnProperty":4'),
      kept: { constructor: { prototype: { x: 1 } }, prototype: 2, toString: 3, hasOwnProperty: 4 },
    },
  ],
  'with `\\u0000` in a text where content is free': [
    { sent: within('"a":"x\\u0000y","b\\u0000":1'), kept: { a: 'x\0y', 'b\0': 1 } },
  ],
  'with the number `-0`': [{ sent: within('"a":-0,"b":-0.0e5'), kept: { a: 0, b: 0 } }],
  'with more digits of a fraction than a double has': [
    { sent: within('"a":3.14159265358979323846,"b":0.1'), kept: { a: 3.141592653589793, b: 0.1 } },
  ],
  'that begins with one byte order mark': [{ sent: `\ufeff${within('"a":1')}`, kept: { a: 1 } }],
};

const SECTION = /## Bodies([\s\S]*?)\n## /.exec(read('docs/http-api.md'))?.[1] ?? '';
const ROWS = tableRows(SECTION).slice(2).map(([body = '', answer = '']) => ({ body, answer })); // prettier-ignore

describe.each(STORAGES)('what a body is answered with $name', (kind) => {
  const { host } = useHttpHost(kind);

  it('is documented, row by row', () => {
    expect(ROWS.map(({ body }) => body).sort()).toEqual(Object.keys(CASES).sort());
  });

  it.each(ROWS)('$body: $answer', async ({ body, answer }) => {
    const [, status, code] = /^(\d{3}) `([a-z-]+)`/.exec(answer) ?? [];
    const tenant = newTenant();
    for (const { sent, at, kept } of CASES[body] ?? []) {
      const options = typeof sent === 'string' || sent instanceof Uint8Array ? { raw: sent } : sent;
      const reply = await host.request('POST', '/decisions', { ...options, tenant });
      if (status === undefined) {
        expect(reply.status, reply.text).toBe(201);
        const read = await host.get(`/decisions/${reply.envelope.id}`, { tenant });
        expect(read.envelope.data['inputs']).toEqual(kept);
        continue;
      }
      expect([reply.status, reply.code], reply.text).toEqual([Number(status), code]);
      expect(answer.includes('pointing')).toBe(at !== undefined);
      if (at === undefined) expect(reply.problem.errors ?? []).toEqual([]);
      else expect(reply.pointers).toEqual([at]);
    }
    if (status !== undefined) expect((await host.get('/decisions', { tenant })).page.items).toEqual([]);
  });

  it('is the same for every way to send one, a batch, an action, a PATCH and a PUT', async () => {
    const tenant = newTenant();
    const made = await host.post('/decisions', MINIMAL, { tenant });
    const ways: readonly (readonly [string, string, (text: string) => string, string])[] = [
      ['POST', '/inbox/decisions', (text) => within(text), '/inputs/a'],
      ['POST', '/decisions/batch', (text) => `{"items":[${GOOD},${within(text)}]}`, '/items/1/inputs/a'],
      [
        'POST',
        `/decisions/${made.envelope.id}/votes`,
        (text) => `{"conditions":[{${text}}]}`,
        '/conditions/0/a',
      ],
      ['PATCH', `/decisions/${made.envelope.id}`, (text) => `{"metadata":{${text}}}`, '/metadata/a'],
      ['PUT', '/agents/cfo/one', (text) => `{"status":"idle","metrics":{${text}}}`, '/metrics/a'],
      ['POST', '/holds', (text) => `{"scope":{${text}}}`, '/scope/a'],
      ['PUT', '/configuration', (text) => `{"cache":{${text}}}`, '/cache/a'],
      ['POST', '/audit-events', (text) => `{"details":{${text}}}`, '/details/a'],
    ];
    for (const [method, path, body, pointer] of ways)
      for (const text of ['"a":1,"a":2', '"a":9007199254740993']) {
        const reply = await host.request(method, path, { raw: body(text), tenant, ifMatch: made.etag });
        expect([method, path, reply.status, reply.code]).toEqual([method, path, 400, 'request-malformed']);
        expect(reply.pointers).toEqual([pointer]);
      }
    expect((await host.get(`/decisions/${made.envelope.id}`, { tenant })).text).toBe(made.text);
    expect((await host.get('/decisions', { tenant })).page.items).toHaveLength(1);
  });

  it('is a refusal before anything is looked up, so that it tells nothing of what is there', async () => {
    const missing = '/decisions/dec_01980000-0000-7000-8000-000000000000';
    const reply = await host.request('PATCH', missing, {
      raw: '{"metadata":{},"metadata":{}}',
      tenant: newTenant(),
    });
    expect([reply.status, reply.pointers]).toEqual([400, ['/metadata']]);
  });
});
