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
  return { key, scope: scopeOf(actor, new URL(request.url).pathname), fingerprint: fingerprintOf(body) };
}
