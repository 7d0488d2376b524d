import type { JWTPayload } from 'jose';
import type { Caller } from './caller.js';
import { isGuid, type EntraSettings } from './entra-settings.js';
import { ROLES } from './roles.js';

/** The tenant here that a token's claims are for; undefined when there is none, or none it may have. Pure. */
export function tenantOf(settings: EntraSettings, claims: JWTPayload): string | undefined {
  const { tid } = claims;
  const tenants = typeof tid === 'string' ? settings.tenants.get(tid) : undefined;
  if (settings.tenantClaim === undefined) return tenants?.[0];
  const named = Object.hasOwn(claims, settings.tenantClaim) ? claims[settings.tenantClaim] : undefined;
  return tenants?.find((tenant) => tenant === named);
}

/**
 * Who a token's claims speak of; undefined when they do not say. A person is `user:<oid>`, an application that calls for
 * itself `app:<client id>`: ids that Entra never gives again, where names change hands. A token without `scp` is one of
 * an application. One without a client id is no access token (an ID token has the same audience and issuer). Pure.
 */
export function actorOf(claims: JWTPayload): string | undefined {
  const client = claims['azp'] ?? claims['appid'];
  const { oid, scp, idtyp } = claims;
  if (!isGuid(client)) return undefined;
  const forItself = idtyp === 'app' || typeof scp !== 'string' || scp === '';
  if (forItself) return `app:${client}`;
  return isGuid(oid) ? `user:${oid}` : undefined;
}

/** The app roles that are ours; others grant nothing, and neither does a scope. Pure. */
export function rolesOf(claims: JWTPayload): Caller['roles'] {
  const { roles } = claims;
  return Array.isArray(roles) ? ROLES.filter((role) => roles.includes(role)) : [];
}
