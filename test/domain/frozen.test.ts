import { describe, expect, it } from 'vitest';
import { freezeJson } from '../../src/domain/frozen.js';

describe('a frozen value', () => {
  it('is frozen to its last member, and the same value', () => {
    const value = { a: [{ b: { c: [1, 'x', null, true] } }], d: {} };
    const before = JSON.stringify(value);
    freezeJson(value);
    const members = [value, value.a, value.a[0], value.a[0]?.b, value.a[0]?.b.c, value.d];
    expect(members.map((member) => Object.isFrozen(member))).toEqual(members.map(() => true));
    expect(JSON.stringify(value)).toBe(before);
  });

  it('takes at least the memory of its text, and more the more there is of it', () => {
    expect(freezeJson('x'.repeat(1000))).toBeGreaterThanOrEqual(2000);
    expect(freezeJson(null)).toBeGreaterThan(0);
    const list = (length: number) => freezeJson(Array.from({ length }, () => ({ name: 'value' })));
    expect(list(1000)).toBeGreaterThan(500 * list(1));
    expect(list(1000)).toBeGreaterThan(
      Buffer.byteLength(JSON.stringify(Array(1000).fill({ name: 'value' }))),
    );
  });
});
