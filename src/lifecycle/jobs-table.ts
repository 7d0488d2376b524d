import { isAppError } from '../domain/errors.js';
import { partitionKey, SYSTEM_TENANT } from '../storage/keys.js';
import { isFault } from '../storage/ports.js';

/** Table of what jobs remember; all under the reserved tenant. */
export const JOBS_TABLE = 'jobs';
/** Partition of the rows of jobs themselves, and of what is switched off. */
export const JOBS_PARTITION = partitionKey(SYSTEM_TENANT, 'jobs');

/** What a row says of why something broke off: what is known to hold no data, a code or the kind of a fault. */
export function reasonOf(error: unknown): string {
  if (isAppError(error)) return error.code;
  return isFault(error) ? error.kind : 'internal-error';
}
