import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/domain/limits.js';
import { Cursors } from '../../src/storage/cursor.js';

const cursors = new Cursors(new Uint8Array(32).fill(7));
const refused = expect.objectContaining({ code: 'request-malformed' }) as Error;

describe('a cursor', () => {
  it('has one spelling', () => {
    const cursor = cursors.encode('q', { partition: '2026-11', rowKey: 'i:all::1:dec_1' });
    // 16 bytes are 22 digits of base64url, the last of which has four bits that say nothing.
    const last = cursor.at(-1) as string;
    const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const other = cursor.slice(0, -1) + (digits[digits.indexOf(last) + 1] as string);
    expect(Buffer.from(other.split('.')[1] as string, 'base64url')).toEqual(
      Buffer.from(cursor.split('.')[1] as string, 'base64url'),
    );
    for (const text of [other, `${cursor}=`, `${cursor}.`, `.${cursor}`, `${cursor}.AA`, ` ${cursor}`]) {
      expect(() => cursors.decode('q', text)).toThrow(refused);
    }
  });

  it('is as long as it may be, and no longer', () => {
    const position = (length: number) => ({ partition: 'p', rowKey: 'x'.repeat(length) });
    const lengthOf = (length: number): number => cursors.encode('q', position(length)).length;
    let most = LIMITS.cursorChars;
    while (lengthOf(most) > LIMITS.cursorChars) most -= 1;
    expect(cursors.decode('q', cursors.encode('q', position(most)))).toEqual(position(most));
    expect(() => cursors.decode('q', cursors.encode('q', position(most + 3)))).toThrow(refused);
  });
});
