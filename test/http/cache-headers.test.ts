import { describe, expect, it } from 'vitest';
import { servedHeaders, wantsFresh } from '../../src/http/cache-headers.js';

const asks = (fields: Record<string, string>): boolean =>
  wantsFresh({ get: (name) => fields[name.toLowerCase()] ?? null });

describe('a request wants what is stored now', () => {
  it.each([
    'no-cache',
    'No-Cache',
    'no-store',
    'max-age=0',
    'max-age=00',
    'MAX-AGE=0',
    'max-age="0"',
    'max-stale=5, no-cache',
    'no-transform,no-cache',
    ' \t no-cache ,',
    ',,no-store',
    'foo="bar, baz", no-cache',
    'foo="a \\" b", no-cache',
    'no-cache="field"',
  ])('with Cache-Control: %s', (field) => {
    expect(asks({ 'cache-control': field })).toBe(true);
  });

  it.each([
    '',
    'max-age=60',
    'max-age=01',
    'max-age',
    'max-age=',
    'max-age=-0',
    'max-age=0x',
    'max-age=60, max-age=0',
    'only-if-cached',
    'no-cachex',
    'x-no-cache',
    'foo=no-cache',
    'foo="no-cache"',
    'foo="a, no-cache, b"',
    'foo="a \\", no-cache"',
    's-maxage=0',
  ])('not with Cache-Control: %s', (field) => {
    expect(asks({ 'cache-control': field })).toBe(false);
  });

  it('with Pragma: no-cache, where there is no Cache-Control', () => {
    expect(asks({ pragma: 'no-cache' })).toBe(true);
    expect(asks({ pragma: 'other, No-Cache' })).toBe(true);
    expect(asks({ pragma: 'no-store' })).toBe(false);
    expect(asks({ pragma: 'max-age=0' })).toBe(false);
    expect(asks({ pragma: 'no-cache', 'cache-control': 'max-age=60' })).toBe(false);
    expect(asks({})).toBe(false);
  });

  it('is told in no more time than the field is long', () => {
    const field = `${'a="\\'.repeat(20_000)},no-cache`;
    const began = performance.now();
    asks({ 'cache-control': field });
    expect(performance.now() - began).toBeLessThan(1000);
  });
});

describe('an answer says how it was made', () => {
  it.each([
    [undefined, {}],
    [
      { reason: 'hit', ageMs: 1999 },
      { 'cache-status': 'business-records; hit', age: '1' },
    ],
    [{ reason: 'miss', ageMs: 0 }, { 'cache-status': 'business-records; fwd=miss' }],
    [{ reason: 'stale', ageMs: 0 }, { 'cache-status': 'business-records; fwd=stale' }],
    [{ reason: 'request', ageMs: 0 }, { 'cache-status': 'business-records; fwd=request' }],
    [{ reason: 'bypass', ageMs: 0 }, { 'cache-status': 'business-records; fwd=bypass' }],
    [{ reason: 'collapsed', ageMs: 0 }, { 'cache-status': 'business-records; fwd=miss; collapsed' }],
  ] as const)('%j', (served, headers) => {
    expect(servedHeaders(served)).toEqual(headers);
  });
});
