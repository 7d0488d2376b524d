import { AppError } from '../domain/errors.js';
import { isFault } from '../storage/ports.js';

/**
 * Runs `work`; where storage does not answer, throws `storage-unavailable` instead of the port's fault. `then` says to
 * the caller what that means.
 */
export async function answering<T>(then: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!isFault(cause, 'unavailable')) throw cause;
    throw new AppError('storage-unavailable', `Storage does not answer; ${then}.`, { cause, retryAfterS: 5 });
  }
}
