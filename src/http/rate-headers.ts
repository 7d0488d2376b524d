import { AppError } from '../domain/errors.js';
import type { Admission } from '../security/rate-limiter.js';

/**
 * `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11), structured fields: lists with an item for
 * each limit the request falls under. `q` requests may come at once and have come back after `w` seconds; `r` of them
 * are left, and no more than that within the next `t` seconds. Nothing where there is no limit. Pure.
 */
export function rateHeaders({ standings }: Admission): Readonly<Record<string, string>> {
  if (standings.length === 0) return {};
  const policies = standings.map(({ party, limit: { perSecond, burst } }) => {
    return `"${party}";q=${burst};w=${Math.ceil(burst / perSecond)}`;
  });
  const states = standings.map(({ party, left, windowS }) => `"${party}";r=${left};t=${windowS}`);
  return { 'ratelimit-policy': policies.join(', '), ratelimit: states.join(', ') };
}

/** Throws `rate-limited` for a request that was not let through. */
export function assertAdmitted({ allowed, retryAfterS }: Admission): void {
  if (allowed) return;
  throw new AppError('rate-limited', 'Too many requests. Repeat it after Retry-After.', { retryAfterS });
}
