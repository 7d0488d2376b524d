import { AppError } from '../domain/errors.js';
import { LIMITS } from '../domain/limits.js';
import { isTenant } from '../storage/keys.js';
import type { Authenticate } from './caller.js';
import { ROLES, type Role } from './roles.js';

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * `AUTH_MODE=development` (http-api.md, Caller): the caller says who it is, on one machine only. The name under which
 * the platform was addressed must be a loopback name, so that no web page can reach it through a name of its own.
 * Throws `unauthenticated`.
 */
export const developmentCaller: Authenticate = async ({ url, headers }) => {
  const header = (name: string): string | null => headers.get(name);
  if (!LOOPBACK.has(new URL(url).hostname)) {
    throw new AppError('unauthenticated', 'Development mode answers on the loopback interface only.');
  }
  const tenant = header('x-dev-tenant') ?? 'default';
  if (!isTenant(tenant))
    throw new AppError('unauthenticated', 'x-dev-tenant must be 1 to 63 of a-z, 0-9 and "-".');
  const actor = header('x-dev-actor') ?? 'developer';
  if (actor.trim() === '' || actor.length > LIMITS.labelChars) {
    throw new AppError('unauthenticated', 'x-dev-actor must be 1 to 256 characters.');
  }
  return { tenant, actor, roles: rolesOf(header('x-dev-roles')) };
};

/** Comma-separated; absent means all. Roles nobody knows grant nothing. */
function rolesOf(text: string | null): readonly Role[] {
  if (text === null) return ROLES;
  const named = text.split(',').map((role) => role.trim());
  return ROLES.filter((role) => named.includes(role));
}
