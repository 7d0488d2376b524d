import type { HttpRequest } from '@azure/functions';
import { AppError } from '../domain/errors.js';
import { LIMITS } from '../domain/limits.js';
import { fingerprintOf, scopeOf, type IdempotencyRequest } from '../storage/idempotency.js';

/** The request's idempotency key, scoped to caller and route. Throws `request-malformed` for a key that is none. */
export function idempotencyOf(
  request: HttpRequest,
  actor: string,
  body: unknown,
): IdempotencyRequest | undefined {
  const key = request.headers.get('idempotency-key');
  if (key === null) return undefined;
  if (!/^[\x21-\x7e]+$/.test(key) || key.length > LIMITS.idempotencyKeyChars) {
    throw new AppError('request-malformed', 'Idempotency-Key must be 1 to 255 visible ASCII characters.');
  }
  return { key, scope: scopeOf(actor, routeOf(request.url)), fingerprint: fingerprintOf(body) };
}

/** The path of a request in its one spelling: routing takes it in others, and whatever names a record is lower case. */
function routeOf(url: string): string {
  const { pathname } = new URL(url);
  let path = pathname;
  try {
    path = decodeURIComponent(pathname);
  } catch {
    // An escape that means nothing names nothing.
  }
  return path.replace(/\/$/, '').toLowerCase();
}
