import { createHmac, createSign, type KeyObject } from 'node:crypto';
import { KeyObject as Keys } from 'node:crypto';
import { AUDIENCE, CLIENT, OTHER_TID, signed, TID, userClaims, type Claims, type LocalIssuer, type SigningKey } from './local-issuer.js'; // prettier-ignore

/** An Authorization header that nobody may come in with. */
export interface BadToken {
  readonly name: string;
  /** Undefined: no header. */
  readonly header: string | undefined;
  /** The fixed word in the audit trail. */
  readonly reason: string;
  /** True where signature and issuer hold: the refusal belongs to the tenant. */
  readonly proven?: true;
}

export interface BadTokenWorld {
  readonly issuer: LocalIssuer;
  /** A key that is published. */
  readonly key: SigningKey;
  /** Another that is published. */
  readonly second: SigningKey;
  /** One that is not. */
  readonly foreign: SigningKey;
  readonly nowMs: number;
}

const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token put together by hand, for what no library would sign. */
function byHand(header: Claims, claims: Claims, sign: (input: string) => string): string {
  const input = `${base64(header)}.${base64(claims)}`;
  return `${input}.${sign(input)}`;
}

const rs256 =
  ({ privateKey }: SigningKey) =>
  (input: string): string =>
    createSign('sha256').update(input).sign(Keys.from(privateKey), 'base64url');
const hs256 =
  (secret: string | KeyObject) =>
  (input: string): string =>
    createHmac('sha256', secret).update(input).digest('base64url');

/** Everything that is wrong with a token, one thing at a time. */
export async function badTokens(world: BadTokenWorld): Promise<readonly BadToken[]> {
  const { issuer, key, second, foreign, nowMs } = world;
  const { authority } = issuer;
  const now = Math.floor(nowMs / 1000);
  const good = (changes: Claims = {}): Claims => userClaims(authority, nowMs, changes);
  const claims = async (name: string, changes: Claims, reason: string, proven?: true): Promise<BadToken> => ({
    name,
    header: `Bearer ${await signed(good(changes), key)}`,
    reason,
    ...(proven === undefined ? {} : { proven }),
  });
  const head = async (name: string, header: Claims, reason: string, by = key): Promise<BadToken> => ({
    name,
    header: `Bearer ${await signed(good(), by, header)}`,
    reason,
  });
  const hand = (name: string, header: Claims, reason: string, sign = rs256(key)): BadToken => ({
    name,
    header: `Bearer ${byHand({ typ: 'JWT', kid: key.kid, ...header }, good(), sign)}`,
    reason,
  });
  const plain = (name: string, header: string | undefined, reason: string): BadToken => ({ name, header, reason }); // prettier-ignore
  const token = await signed(good(), key);
  const [top = '', middle = '', bottom = ''] = token.split('.');
  const publicPem = Keys.from(key.publicKey).export({ type: 'spki', format: 'pem' });
  const embedded = { jwk: foreign.jwk, jku: `${authority}/attacker/keys`, x5u: `${authority}/attacker/cert`, x5c: ['MIIB'] }; // prettier-ignore
  return [
    plain('no header', undefined, 'none'),
    plain('an empty header', '', 'none'),
    plain('only the scheme', 'Bearer', 'not-a-token'),
    plain('another scheme', 'Basic dXNlcjpwYXNz', 'scheme'),
    plain('no scheme', token, 'scheme'),
    plain('two headers', `Bearer ${token}, Bearer ${token}`, 'scheme'),
    plain('two tokens', `Bearer ${token} ${token}`, 'not-a-token'),
    plain('no token of any kind', 'Bearer hunter2', 'not-a-token'),
    plain('a token without a signature', `Bearer ${top}.${middle}.`, 'signature'),
    plain('two of three parts', `Bearer ${top}.${middle}`, 'not-a-token'),
    plain('five parts', `Bearer ${token}.${top}.${middle}`, 'not-a-token'),
    plain('parts that are no JSON', 'Bearer eHh4.eHh4.eHh4', 'not-a-token'),
    plain('claims that are a list', `Bearer ${top}.${base64([1])}.${bottom}`, 'not-a-token'),
    plain('an altered signature', `Bearer ${top}.${middle}.${bottom.startsWith('A') ? 'B' : 'A'}${bottom.slice(1)}`, 'signature'), // prettier-ignore
    plain('altered claims', `Bearer ${top}.${base64(good({ roles: ['records.operator'] }))}.${bottom}`, 'signature'), // prettier-ignore
    plain('more than may be looked at', `Bearer ${token}${'A'.repeat(16 * 1024)}`, 'too-large'),
    hand('alg none', { alg: 'none' }, 'algorithm', () => ''),
    hand('alg None', { alg: 'None' }, 'algorithm', () => ''),
    hand('no alg', {}, 'algorithm'),
    hand('HS256 with the public key as PEM', { alg: 'HS256' }, 'algorithm', hs256(publicPem.toString())),
    hand('HS256 with the public key as JWK', { alg: 'HS256' }, 'algorithm', hs256(JSON.stringify(key.jwk))),
    hand('HS256 called RS256', { alg: 'RS256' }, 'signature', hs256(publicPem.toString())),
    hand('RS512', { alg: 'RS512' }, 'algorithm'),
    hand('PS256', { alg: 'PS256' }, 'algorithm'),
    hand('crit with an unknown extension', { alg: 'RS256', crit: ['exp2'], exp2: 1 }, 'header'),
    hand('crit with a known extension', { alg: 'RS256', crit: ['b64'], b64: true }, 'header'),
    hand('an empty crit', { alg: 'RS256', crit: [] }, 'header'),
    await head('a key that is not published, under a published name', { kid: key.kid }, 'signature', foreign),
    await head('a key that is not published', {}, 'key', foreign),
    await head('the name of another published key', { kid: second.kid }, 'signature'),
    await head('no name of a key', { kid: undefined }, 'header'),
    await head('an empty name of a key', { kid: '' }, 'header'),
    hand('a name of a key that is a number', { alg: 'RS256', kid: 7 }, 'header'),
    await head('a path as the name of a key', { kid: '../../../../dev/null' }, 'key'),
    await head('a URL as the name of a key', { kid: `${authority}/attacker/keys#${key.kid}` }, 'key'),
    await head('a prototype name as the name of a key', { kid: '__proto__' }, 'key'),
    await head('a name of a key beyond measure', { kid: 'k'.repeat(300) }, 'header'),
    await head('keys of its own in its header', { ...embedded, kid: key.kid }, 'signature', foreign),
    await head('keys of its own and their name', { ...embedded }, 'key', foreign),
    await claims('no tenant', { tid: undefined }, 'no-tenant'),
    await claims('a tenant that is no text', { tid: [TID] }, 'no-tenant'),
    await claims(
      'a tenant that is not allowed',
      { tid: CLIENT, iss: `${authority}/${CLIENT}/v2.0` },
      'tenant',
    ),
    await claims('a tenant in capitals', { tid: TID.toUpperCase().replaceAll('1', 'A') }, 'tenant'),
    await claims('the issuer of one tenant and the id of another', { tid: OTHER_TID }, 'issuer'),
    await claims('another issuer', { iss: 'https://login.example.com/v2.0' }, 'issuer'),
    await claims('no issuer', { iss: undefined }, 'issuer'),
    await claims('an issuer of any tenant', { iss: `${authority}/common/v2.0` }, 'issuer'),
    await claims('an issuer with more at its end', { iss: `${authority}/${TID}/v2.0/` }, 'issuer'),
    await claims('another audience', { aud: CLIENT }, 'audience', true),
    await claims('no audience', { aud: undefined }, 'claims', true),
    await claims('an audience that only begins like ours', { aud: `${AUDIENCE}-other` }, 'audience', true),
    await claims('an end in the past', { exp: now - 61 }, 'expired', true),
    await claims('no end', { exp: undefined }, 'claims', true),
    await claims('an end that is no number', { exp: 'never' }, 'claims', true),
    await claims('a beginning in the future', { nbf: now + 120 }, 'not-yet-valid', true),
    await claims('no beginning', { nbf: undefined }, 'claims', true),
    await claims('no application: an ID token', { azp: undefined, nonce: 'n' }, 'claims', true),
    await claims('a person without an id', { oid: undefined }, 'claims', true),
    await claims('a person with a name for an id', { oid: 'ada@example.com' }, 'claims', true),
  ];
}
