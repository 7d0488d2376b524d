import { decodeJwt, decodeProtectedHeader, errors, jwtVerify, type JWTPayload } from 'jose';
import { isAppError } from '../domain/errors.js';
import { LIMITS } from '../domain/limits.js';
import { notSignedIn } from './caller.js';
import { tenantOf } from './entra-claims.js';
import type { EntraKeys } from './entra-keys.js';
import { issuersOf, type EntraSettings } from './entra-settings.js';

/** Entra signs with nothing else; what a token says of itself does not choose how it is checked (RFC 8725, 3.1). */
const ALGORITHM = 'RS256';
const REQUIRED = ['exp', 'nbf', 'aud', 'iss', 'tid'];

/** What a token says before anybody vouches for it: it only chooses which keys and which rules it is held against. */
interface Claimed {
  readonly kid: string;
  readonly tid: string;
  readonly issuer: string;
}

/**
 * The claims of a token, once signature, issuer, audience and times hold at `nowMs`. Throws `unauthenticated` with the
 * reason in its evidence, and there also the tenant where signature and issuer held; `storage-unavailable`.
 */
export async function verifiedClaims(
  token: string,
  settings: EntraSettings,
  keysOf: (tid: string) => EntraKeys | undefined,
  nowMs: number,
): Promise<JWTPayload> {
  const { kid, tid, issuer } = claimedBy(token, settings);
  const find = await keysOf(tid)?.find(kid);
  if (find === undefined) throw notSignedIn('key');
  try {
    const { payload } = await jwtVerify(token, find, {
      algorithms: [ALGORITHM],
      issuer,
      audience: [...settings.audiences],
      requiredClaims: REQUIRED,
      clockTolerance: LIMITS.tokenSkewMs / 1000,
      currentDate: new Date(nowMs),
    });
    return payload;
  } catch (error) {
    throw refusalOf(error, settings);
  }
}

/** Throws for everything that is wrong whoever signed it. */
function claimedBy(token: string, settings: EntraSettings): Claimed {
  const { header, claims } = partsOf(token);
  if (header.alg !== ALGORITHM) throw notSignedIn('algorithm');
  // Entra sends none, and of no extension do we promise to understand it. Keys and addresses of keys in the header
  // (`jwk`, `jku`, `x5c`, `x5u`) are the sender's word and are not looked at.
  if (Object.hasOwn(header, 'crit')) throw notSignedIn('header');
  const { kid } = header;
  if (typeof kid !== 'string' || kid === '' || kid.length > LIMITS.labelChars) throw notSignedIn('header');
  const { tid, iss } = claims;
  if (typeof tid !== 'string') throw notSignedIn('no-tenant');
  if (!settings.tenants.has(tid)) throw notSignedIn('tenant');
  const { v1, v2 } = issuersOf(settings.authority, tid);
  if (iss !== v1 && iss !== v2) throw notSignedIn('issuer');
  return { kid, tid, issuer: iss };
}

function partsOf(token: string): {
  readonly header: ReturnType<typeof decodeProtectedHeader>;
  readonly claims: JWTPayload;
} {
  try {
    return { header: decodeProtectedHeader(token), claims: decodeJwt(token) };
  } catch {
    throw notSignedIn('not-a-token');
  }
}

/** Claims are looked at only after the signature and the issuer held: then the tenant is proven as well. */
function refusalOf(error: unknown, settings: EntraSettings): Error {
  if (isAppError(error)) return error;
  if (error instanceof errors.JWTExpired) return notSignedIn('expired', tenantOf(settings, error.payload));
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'iss') return notSignedIn('issuer');
    const word = { aud: 'audience', nbf: 'not-yet-valid' }[error.claim];
    return notSignedIn(
      error.reason === 'missing' ? 'claims' : (word ?? 'claims'),
      tenantOf(settings, error.payload),
    );
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) return notSignedIn('signature');
  const malformed = error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid;
  return notSignedIn(malformed ? 'not-a-token' : 'key');
}
