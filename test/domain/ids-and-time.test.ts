import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatTime, parseTime } from '../../src/domain/clock.js';
import { newId, parseId, partName } from '../../src/domain/ids.js';
import { seededEntropy } from '../support/entropy.js';

describe('ids', () => {
  it('carry the millisecond they were made for', () => {
    const entropy = seededEntropy('ids');
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 253_402_300_799_999 }), (ms) => {
        const id = newId('dec', ms, entropy);
        expect(parseId(id)).toEqual({ prefix: 'dec', ms });
      }),
    );
  });

  it('sort as their times do and differ within one millisecond', () => {
    const entropy = seededEntropy('sort');
    const ids = Array.from({ length: 2000 }, (_, at) =>
      newId('evt', 1_750_000_000_000 + Math.floor(at / 100), entropy),
    );
    expect(new Set(ids).size).toBe(2000);
    const times = [...ids].sort().map((id) => parseId(id)?.ms);
    expect(times).toEqual([...times].sort((a, b) => (a ?? 0) - (b ?? 0)));
  });

  it('of what came with a record follow from the record, its time and the place, and from nothing else', () => {
    const record = 'con_019b0000-0000-7000-8000-000000000000';
    const other = 'con_019b0000-0000-7000-8000-000000000001';
    const name = partName('msg', 5, record, 0);
    expect(parseId(name)).toEqual({ prefix: 'msg', ms: 5 });
    expect(partName('msg', 5, record, 0)).toBe(name);
    const names = [record, other].flatMap((id) => [0, 1, 10].map((at) => partName('msg', 5, id, at)));
    expect(new Set(names).size).toBe(6);
  });

  it.each([
    'dec',
    'dec_',
    'dec_not-a-uuid',
    'dec_01980000-0000-4000-8000-000000000000',
    'DEC_01980000-0000-7000-8000-000000000000',
    'dec_01980000-0000-7000-8000-00000000000G',
    'dec_01980000-0000-7000-c000-000000000000',
    'dec_01980000-0000-7000-8000-000000000000\n',
    '01980000-0000-7000-8000-000000000000',
    '',
  ])('refuses %j', (text) => {
    expect(parseId(text)).toBeUndefined();
  });
});

describe('times', () => {
  it.each([
    ['2026-11-21T08:00:00Z', '2026-11-21T08:00:00.000Z'],
    ['2026-11-21t08:00:00.5z', '2026-11-21T08:00:00.500Z'],
    ['2026-11-21T09:30:00+01:30', '2026-11-21T08:00:00.000Z'],
    ['2026-11-21T08:00:00.123456789Z', '2026-11-21T08:00:00.123Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
    ['1969-12-31T23:59:59Z', '1969-12-31T23:59:59.000Z'],
  ])('reads %s as %s', (text, expected) => {
    expect(formatTime(parseTime(text) ?? Number.NaN)).toBe(expected);
  });

  it.each([
    '2026-11-21',
    '2026-11-21T08:00:00',
    '2026-02-30T08:00:00Z',
    '2025-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-11-21T24:00:00Z',
    '2016-12-31T23:59:60Z',
    '2026-11-21T08:00:00+24:00',
    '2026-11-21 08:00:00Z',
    'Sat, 21 Nov 2026 08:00:00 GMT',
    '',
  ])('refuses %j', (text) => {
    expect(parseTime(text)).toBeUndefined();
  });

  it('round-trips every millisecond', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 253_402_300_799_999 }), (ms) => {
        expect(parseTime(formatTime(ms))).toBe(ms);
      }),
    );
  });
});
