import { AppError } from '../domain/errors.js';
import type { Role } from './roles.js';

/** Who calls, once authenticated. */
export interface Caller {
  readonly tenant: string;
  readonly actor: string;
  readonly roles: readonly Role[];
}

/** What of a request says who calls. */
export interface CallerRequest {
  readonly url: string;
  readonly headers: { get(name: string): string | null };
}

/**
 * The port of sign-in (http-api.md, Caller). Throws `unauthenticated`; `storage-unavailable` when it cannot be told now
 * who calls. Of the error's evidence only `reason`, a fixed word, and `tenant`, once that is proven, go into the audit
 * trail.
 */
export type Authenticate = (request: CallerRequest) => Promise<Caller>;

/** Nobody is told why: what helps a caller to mend a token helps to forge one. */
export function notSignedIn(reason: string, tenant?: string): AppError {
  const evidence = tenant === undefined ? { reason } : { reason, tenant };
  return new AppError('unauthenticated', 'The request carries no valid credentials.', { evidence });
}
