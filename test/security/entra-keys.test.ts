import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { isAppError } from '../../src/domain/errors.js';
import type { Caller } from '../../src/security/caller.js';
import { EntraCallers } from '../../src/security/entra-caller.js';
import { fetchJsonWith } from '../../src/security/fetch-json.js';
import { AUDIENCE, LocalIssuer, newSigningKey, OTHER_TID, signed, TID, userClaims, type Claims, type SigningKey } from '../support/local-issuer.js'; // prettier-ignore
import { VirtualClock } from '../support/virtual-clock.js';

const START = Date.UTC(2026, 0, 10, 12);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let issuer: LocalIssuer;
let old: SigningKey;
let fresh: SigningKey;
let clock: VirtualClock;
let errors: unknown[];
let callers: EntraCallers;
let serial = 0;

beforeAll(async () => {
  [old, fresh] = (await Promise.all(['old', 'fresh'].map(newSigningKey))) as [SigningKey, SigningKey];
});
beforeEach(async () => {
  issuer = await LocalIssuer.start(old);
  clock = new VirtualClock(START);
  errors = [];
  callers = new EntraCallers(
    { fetchJson: fetchJsonWith(fetch), clock, onError: (error) => errors.push(error) },
    { authority: issuer.authority, audiences: [AUDIENCE], tenants: new Map([[TID, ['acme']], [OTHER_TID, ['globex']]]), tenantClaim: undefined }, // prettier-ignore
  );
  return () => issuer.stop();
});

/** What becomes of a token that nobody has seen before: `in`, or the code and the reason it is refused with. */
async function fate(by: SigningKey, changes: Claims = {}): Promise<string> {
  serial += 1;
  const claims = userClaims(issuer.authority, clock.now(), { jti: String(serial), ...changes });
  return fateOf(await signed(claims, by));
}

async function fateOf(token: string): Promise<string> {
  const headers = new Headers({ authorization: `Bearer ${token}` });
  const caller = await callers.authenticate({ url: 'https://records.example.com/', headers }).catch((error: unknown) => error); // prettier-ignore
  if (isAppError(caller)) return `${caller.code} ${String(caller.evidence['reason'] ?? caller.retryAfterS)}`;
  return (caller as Caller).tenant === undefined ? String(caller) : 'in';
}

describe('the keys of sign-in', () => {
  it('are fetched once, for however many tokens at a time', async () => {
    const fates = await Promise.all(Array.from({ length: 20 }, () => fate(old)));
    expect([new Set(fates), issuer.fetches]).toEqual([new Set(['in']), 1]);
    for (let n = 0; n < 5; n += 1) expect(await fate(old)).toBe('in');
    expect(issuer.fetches).toBe(1);
  });

  it('are those of the Entra tenant of the token', async () => {
    await fate(old);
    await fate(old, { tid: OTHER_TID, iss: `${issuer.authority}/${OTHER_TID}/v2.0` });
    expect(issuer.asked.filter((path) => path.endsWith('/keys'))).toEqual([`/${TID}/discovery/v2.0/keys`, `/${OTHER_TID}/discovery/v2.0/keys`]); // prettier-ignore
  });

  it('are fetched again for one that is new, and it is good from then on', async () => {
    expect(await fate(old)).toBe('in');
    await clock.advance(31_000);
    issuer.keys = [old.jwk, fresh.jwk];
    expect([await fate(fresh), await fate(old), issuer.fetches]).toEqual(['in', 'in', 2]);
  });

  it('are not fetched for every name that somebody makes up', async () => {
    expect(await fate(old)).toBe('in');
    for (let n = 0; n < 20; n += 1)
      expect(await fate({ ...fresh, kid: `made-up-${String(n)}` })).toBe('unauthenticated key');
    expect(issuer.fetches).toBe(1);
    await clock.advance(31_000);
    const many = Array.from({ length: 20 }, (_, n) => fate({ ...fresh, kid: `more-${String(n)}` }));
    expect(new Set(await Promise.all(many))).toEqual(new Set(['unauthenticated key']));
    expect(issuer.fetches).toBe(2);
  });

  it('that are gone are refused once ours have had their time', async () => {
    expect(await fate(old)).toBe('in');
    issuer.keys = [fresh.jwk];
    await clock.advance(10 * MINUTE + 1);
    expect([await fate(old), await fate(fresh)]).toEqual(['unauthenticated key', 'in']);
  });

  it('that are gone end a token that is remembered as well', async () => {
    const token = await signed(userClaims(issuer.authority, START), old);
    expect(await fateOf(token)).toBe('in');
    issuer.keys = [fresh.jwk];
    await clock.advance(5 * MINUTE - 1);
    expect([await fateOf(token), issuer.fetches]).toEqual(['in', 1]);
    await clock.advance(5 * MINUTE + 2);
    expect(await fateOf(token)).toBe('unauthenticated key');
  });

  it('are fetched ahead of their time where there is traffic, and nobody waits for that', async () => {
    expect(await fate(old)).toBe('in');
    await clock.advance(6 * MINUTE);
    issuer.mood = 'slow';
    expect(await fate(old)).toBe('in');
    issuer.letGo();
    await expect.poll(() => issuer.fetches).toBe(2);
    await clock.advance(6 * MINUTE);
    expect(await fate(old)).toBe('in');
  });

  it.each(['down', 'mad', 'elsewhere'] as const)('with the service %s go on for a day', async (mood) => {
    expect(await fate(old)).toBe('in');
    issuer.mood = mood;
    for (const ms of [11 * MINUTE, HOUR, 22 * HOUR]) {
      await clock.advance(ms);
      expect(await fate(old)).toBe('in');
    }
    await expect.poll(() => errors.length).toBeGreaterThan(0);
    await clock.advance(HOUR);
    expect(await fate(old)).toBe('storage-unavailable 5');
    issuer.mood = 'well';
    await clock.advance(6000);
    expect(await fate(old)).toBe('in');
  });

  it.each(['down', 'mad', 'elsewhere'] as const)(
    'that were never had, with the service %s, are no reason to refuse anybody for good',
    async (mood) => {
      issuer.mood = mood;
      expect(await fate(old)).toBe('storage-unavailable 5');
      const asked = issuer.asked.length;
      expect([await fate(old), issuer.asked.length]).toEqual(['storage-unavailable 5', asked]);
      issuer.mood = 'well';
      await clock.advance(5000);
      expect(await fate(old)).toBe('in');
    },
  );

  it('may have one more that we cannot see while the service is down', async () => {
    expect(await fate(old)).toBe('in');
    issuer.mood = 'down';
    await clock.advance(31_000);
    expect([await fate(fresh), await fate(old)]).toEqual(['storage-unavailable 5', 'in']);
  });

  it('are not taken from a list without any, nor when they are for something else', async () => {
    for (const keys of [
      [],
      [{ ...old.jwk, use: 'enc' }],
      [{ ...old.jwk, issuer: `https://login.microsoftonline.com/${OTHER_TID}/v2.0` }],
    ]) {
      issuer.keys = keys;
      expect(await fate(old)).toBe('storage-unavailable 5');
      await clock.advance(5000);
    }
    issuer.keys = [{ ...old.jwk, issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0' }];
    expect(await fate(old)).toBe('in');
  });

  it('are none when two go by one name, or when one is too short', async () => {
    const { publicKey } = await crypto.subtle.generateKey({ name: 'RSASSA-PKCS1-v1_5', modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' }, true, ['sign', 'verify']); // prettier-ignore
    const short = { ...(await crypto.subtle.exportKey('jwk', publicKey)), kid: 'short', use: 'sig' };
    issuer.keys = [old.jwk, { ...fresh.jwk, kid: old.kid }, short];
    expect(await fate(old)).toBe('unauthenticated key');
    expect(await fate({ ...old, kid: 'short' })).toBe('unauthenticated key');
  });
});

describe('a token that was found good', () => {
  it('is remembered: neither keys nor its signature are looked at again for five minutes', async () => {
    const token = await signed(userClaims(issuer.authority, START), old);
    expect(await fateOf(token)).toBe('in');
    issuer.mood = 'down';
    const asked = issuer.asked.length;
    for (let n = 0; n < 100; n += 1) expect(await fateOf(token)).toBe('in');
    expect(issuer.asked).toHaveLength(asked);
  });

  it('is another one with one character changed', async () => {
    const token = await signed(userClaims(issuer.authority, START), old);
    expect(await fateOf(token)).toBe('in');
    const altered = `${token.slice(0, -9)}${token.at(-9) === 'A' ? 'B' : 'A'}${token.slice(-8)}`;
    expect(await fateOf(altered)).toBe('unauthenticated signature');
  });
});
