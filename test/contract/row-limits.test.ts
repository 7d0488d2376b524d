import { describe, expect, it } from 'vitest';
import { isFault, type Properties, type RowOperation } from '../../src/storage/ports.js';
import { checkKey, checkRange, checkTransaction, entityBytes } from '../../src/storage/row-limits.js';

const insert = (properties: Properties, rowKey = 'r'): RowOperation => ({
  kind: 'insert',
  rowKey,
  properties,
});

function faultKind(check: () => void): string {
  try {
    check();
  } catch (error) {
    if (isFault(error)) return error.kind;
    throw error;
  }
  return 'accepted';
}
const row = (properties: Properties): string => faultKind(() => checkTransaction('p', [insert(properties)]));
const key = (text: string): string => faultKind(() => checkKey('row key', text));

describe('the limits of rows', () => {
  it('count a string property in UTF-16: 32,768 units of any character, not one more', () => {
    for (const unit of ['x', 'é', '中']) {
      expect(row({ p: unit.repeat(32_768) })).toBe('accepted');
      expect(row({ p: unit.repeat(32_769) })).toBe('too-large');
    }
    expect(row({ p: '😀'.repeat(16_384) })).toBe('accepted');
    expect(row({ p: '😀'.repeat(16_385) })).toBe('too-large');
  });

  it('count a row as the service does, keys and names included', () => {
    expect(entityBytes('p', 'r', {})).toBe(4 + 4);
    expect(entityBytes('pp', 'rr', { ab: 'xyz' })).toBe(4 + 8 + (8 + 4 + 6 + 4));
    expect(entityBytes('p', 'r', { b: true, n: 1.5 })).toBe(8 + (8 + 2 + 1) + (8 + 2 + 8));
  });

  it('bound a row to 1 MiB', () => {
    const full = Object.fromEntries(Array.from({ length: 15 }, (_, n) => [`p${n}`, 'x'.repeat(32_768)]));
    expect(row(full)).toBe('accepted');
    expect(row({ ...full, q: 'x'.repeat(32_000) })).toBe('accepted');
    expect(row({ ...full, q: 'x'.repeat(32_000), r: 'x'.repeat(1_000) })).toBe('too-large');
  });

  it('bound a row to 252 properties', () => {
    const many = (count: number): Properties =>
      Object.fromEntries(Array.from({ length: count }, (_, n) => [`p${n}`, n]));
    expect(row(many(252))).toBe('accepted');
    expect(row(many(253))).toBe('too-large');
  });

  it('bound a transaction to 100 rows, and a row to one place in it', () => {
    const rows = (count: number): RowOperation[] =>
      Array.from({ length: count }, (_, n) => insert({}, `r${n}`));
    expect(faultKind(() => checkTransaction('p', rows(100)))).toBe('accepted');
    expect(faultKind(() => checkTransaction('p', rows(101)))).toBe('too-large');
    const twice: RowOperation[] = [insert({}), { kind: 'delete', rowKey: 'r', etag: '*' }];
    expect(faultKind(() => checkTransaction('p', twice))).toBe('too-large');
  });

  it('bound a transaction to 4 MiB as it is sent: a character may take three bytes', () => {
    const rows = (unit: string, count: number): RowOperation[] =>
      Array.from({ length: count }, (_, n) => insert({ p: unit.repeat(32_768) }, `r${n}`));
    expect(faultKind(() => checkTransaction('p', rows('x', 100)))).toBe('accepted');
    expect(faultKind(() => checkTransaction('p', rows('中', 42)))).toBe('accepted');
    expect(faultKind(() => checkTransaction('p', rows('中', 43)))).toBe('too-large');
  });

  it('bound keys to 512 characters that a key may hold', () => {
    expect(key('k'.repeat(512))).toBe('accepted');
    expect(key('k'.repeat(513))).toBe('too-large');
    for (const bad of ['/', '\\', '#', '?', '\u0000', '\t', '\n', '\u007f', '\u009f', '\ud800'])
      expect(key(`a${bad}b`), JSON.stringify(bad)).toBe('too-large');
    for (const good of ["r:dec_1.2-3=20'", '', 'é', '😀', ' ', '%', '!', '~'])
      expect(key(good)).toBe('accepted');
    expect(faultKind(() => checkTransaction('a/b', [insert({})]))).toBe('too-large');
  });

  it('refuse what no table can hold: numbers that are none, half characters, names of the service', () => {
    for (const number of [Number.NaN, Infinity, -Infinity]) expect(row({ p: number })).toBe('refused');
    expect(row({ p: 'half \ud83d' })).toBe('refused');
    for (const name of [
      'Timestamp',
      'timestamp',
      'PartitionKey',
      'rowKey',
      'etag',
      'a-b',
      '1a',
      '',
      'a@odata.type',
    ])
      expect(row({ [name]: 1 }), name).toBe('refused');
  });

  it('refuse an empty transaction and an empty ETag, which would overwrite anything', () => {
    expect(faultKind(() => checkTransaction('p', []))).toBe('refused');
    const replace: RowOperation = { kind: 'replace', rowKey: 'r', properties: {}, etag: '' };
    expect(faultKind(() => checkTransaction('p', [replace]))).toBe('refused');
  });

  it('refuse a page of no row, of a part of one, or of more than 1,000', () => {
    const page = (limit: number): string => faultKind(() => checkRange({ from: 'a', to: 'b', limit }));
    expect([1, 1000].map(page)).toEqual(['accepted', 'accepted']);
    expect([0, 1001, 1.5, -1].map(page)).toEqual(Array(4).fill('refused'));
  });
});
