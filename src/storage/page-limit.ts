import { AppError } from '../domain/errors.js';
import { LIMITS } from '../domain/limits.js';

/** Throws `request-malformed` unless a page may have so many items: 1 to 1,000. */
export function assertLimit(limit: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMITS.pageItems) {
    throw new AppError(
      'request-malformed',
      `limit must be an integer from 1 to ${String(LIMITS.pageItems)}.`,
    );
  }
}
