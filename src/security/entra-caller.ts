import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../domain/clock.js';
import { LIMITS } from '../domain/limits.js';
import { notSignedIn, type Caller, type CallerRequest } from './caller.js';
import { actorOf, rolesOf, tenantOf } from './entra-claims.js';
import { EntraKeys, type KeyTools } from './entra-keys.js';
import type { EntraSettings } from './entra-settings.js';
import { verifiedClaims } from './entra-token.js';

export interface EntraTools extends KeyTools {
  readonly clock: Pick<Clock, 'now' | 'monotonic'>;
}

/** A token that was found good. */
interface Accepted {
  readonly caller: Caller;
  /** Milliseconds since 1970; the skew is not in it. */
  readonly expiresMs: number;
}

/** RFC 6750, 2.1: one scheme, one token. Two headers come as one value with a comma, which no token has. */
const BEARER = /^bearer +([\w-]+\.[\w-]+\.[\w-]*)$/i;

/**
 * `AUTH_MODE=entra` (http-api.md, Caller): the caller is who an access token of Microsoft Entra ID says, of a person or
 * an application, issued by an allowed Entra tenant for this platform. A token that was found good is remembered by its
 * hash for some minutes, and never beyond its end, so that a caller is checked once and not with every request.
 */
export class EntraCallers {
  readonly #keys: ReadonlyMap<string, EntraKeys>;
  readonly #accepted: LRUCache<string, Accepted>;

  constructor(
    private readonly tools: EntraTools,
    private readonly settings: EntraSettings,
  ) {
    const { authority, tenants } = settings;
    this.#keys = new Map([...tenants.keys()].map((tid) => [tid, new EntraKeys(tools, authority, tid)]));
    this.#accepted = new LRUCache({
      max: LIMITS.acceptedTokens,
      ttl: LIMITS.acceptedTokenMs,
      ttlResolution: 0,
      // The cache takes an entry of time 0 for one without an age.
      perf: { now: () => tools.clock.monotonic() + 1 },
    });
  }

  /** Throws `unauthenticated`, and `storage-unavailable` when the keys of sign-in cannot be had. */
  async authenticate(request: CallerRequest): Promise<Caller> {
    const header = request.headers.get('authorization') ?? '';
    // Length first: nothing of what is too long is looked at, not even to see whether it is known.
    if (header.length > LIMITS.tokenChars) throw notSignedIn('too-large');
    const key = createHash('sha256').update(header).digest('base64');
    const nowMs = this.tools.clock.now();
    const known = this.#accepted.get(key);
    if (known !== undefined && nowMs < known.expiresMs + LIMITS.tokenSkewMs) return known.caller;
    const claims = await verifiedClaims(tokenOf(header), this.settings, (tid) => this.#keys.get(tid), nowMs);
    const tenant = tenantOf(this.settings, claims);
    if (tenant === undefined) throw notSignedIn('tenant');
    const actor = actorOf(claims);
    if (actor === undefined) throw notSignedIn('claims', tenant);
    const caller: Caller = { tenant, actor, roles: rolesOf(claims) };
    this.#accepted.set(key, { caller, expiresMs: (claims.exp ?? 0) * 1000 });
    return caller;
  }
}

function tokenOf(header: string): string {
  if (header.trim() === '') throw notSignedIn('none');
  if (!/^bearer( |$)/i.test(header) || header.includes(',')) throw notSignedIn('scheme');
  const token = BEARER.exec(header.trim())?.[1];
  if (token === undefined) throw notSignedIn('not-a-token');
  return token;
}
