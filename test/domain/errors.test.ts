import { describe, expect, it } from 'vitest';
import { AppError, invalid, isAppError } from '../../src/domain/errors.js';

describe('a failure of the platform', () => {
  it('carries its code and what it was given', () => {
    const cause = new Error('underneath');
    const options = {
      cause,
      evidence: { id: 'dec_1' },
      issues: [{ pointer: '/a', detail: 'is wrong' }],
      retryAfterS: 5,
      allow: ['GET'],
    };
    const error = new AppError('storage-unavailable', 'Later.', options);
    expect(error).toMatchObject({ name: 'AppError', code: 'storage-unavailable', message: 'Later.', ...options }); // prettier-ignore
  });

  it('is empty of what it was not given', () => {
    const error = new AppError('forbidden', 'No.');
    const { evidence, issues, retryAfterS, allow } = error;
    expect([evidence, issues, retryAfterS, allow]).toEqual([{}, [], undefined, []]);
    expect('cause' in error).toBe(false);
    expect(invalid([{ pointer: '', detail: 'x' }])).toMatchObject({
      code: 'record-invalid',
      issues: [{ pointer: '', detail: 'x' }],
    });
  });

  it('is told from other errors, and from those of other codes', () => {
    const error = new AppError('forbidden', 'No.');
    expect([isAppError(error), isAppError(error, 'forbidden'), isAppError(error, 'record-exists', 'forbidden')]).toEqual([true, true, true]); // prettier-ignore
    expect(isAppError(error, 'record-exists')).toBe(false);
    for (const other of [Object.assign(new Error('No.'), { code: 'forbidden' }), undefined, 'forbidden']) {
      expect([isAppError(other), isAppError(other, 'forbidden')]).toEqual([false, false]);
    }
  });
});
