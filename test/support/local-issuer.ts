import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  exportJWK,
  generateKeyPair,
  SignJWT,
  type CryptoKey,
  type JWK,
  type JWTHeaderParameters,
} from 'jose';

/** Two Entra tenants, an application and a person, as Entra writes them. */
export const TID = '11111111-1111-4111-8111-111111111111';
export const OTHER_TID = '22222222-2222-4222-8222-222222222222';
export const CLIENT = 'cccccccc-cccc-4ccc-8ccc-cccccccccccc';
export const OID = 'dddddddd-dddd-4ddd-8ddd-dddddddddddd';
export const AUDIENCE = 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa';

export interface SigningKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  readonly jwk: JWK;
}

export type Claims = Readonly<Record<string, unknown>>;

/** A key of its own; RSA of 2048 bits, as Entra's are. */
export async function newSigningKey(kid: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  return { kid, privateKey, publicKey, jwk: { ...(await exportJWK(publicKey)), kid, use: 'sig' } };
}

/** A sign-in service as Entra is one, on the loopback interface: it publishes its configuration and its keys. */
export class LocalIssuer {
  /** What it publishes. */
  keys: readonly object[] = [];
  /** Paths that were asked for. */
  readonly asked: string[] = [];
  /** How it answers: as it should, with an error, with nonsense, or not before it is let. */
  mood: 'well' | 'down' | 'mad' | 'elsewhere' | 'slow' = 'well';
  readonly #held: (() => void)[] = [];
  readonly #server = createServer((request, response) => this.#answer(request.url ?? '', response));

  static async start(...keys: readonly SigningKey[]): Promise<LocalIssuer> {
    const issuer = new LocalIssuer();
    issuer.keys = keys.map(({ jwk }) => jwk);
    issuer.#server.listen(0, '127.0.0.1');
    await once(issuer.#server, 'listening');
    return issuer;
  }

  get authority(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  /** How often its keys were fetched. */
  get fetches(): number {
    return this.asked.filter((path) => path.endsWith('/keys')).length;
  }

  /** Lets go what was held while it was slow. */
  letGo(): void {
    this.mood = 'well';
    for (const answer of this.#held.splice(0)) answer();
  }

  async stop(): Promise<void> {
    this.letGo();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #answer(path: string, response: ServerResponse): void {
    this.asked.push(path);
    if (this.mood === 'slow') {
      this.#held.push(() => this.#send(path, response));
      return;
    }
    this.#send(path, response);
  }

  #send(path: string, response: ServerResponse): void {
    const [, tid = '', rest] = /^\/([^/]+)\/(.+)$/.exec(path) ?? [];
    const known = rest === 'v2.0/.well-known/openid-configuration' || rest === 'discovery/v2.0/keys';
    if (this.mood === 'down' || !known) {
      response.writeHead(this.mood === 'down' ? 500 : 404).end();
      return;
    }
    const home = this.mood === 'elsewhere' ? 'http://127.0.0.1:1' : this.authority;
    const configuration = { issuer: `${this.authority}/${tid}/v2.0`, jwks_uri: `${home}/${tid}/discovery/v2.0/keys` }; // prettier-ignore
    const body = rest === 'discovery/v2.0/keys' ? { keys: this.keys } : configuration;
    response.setHeader('content-type', 'application/json');
    response.end(this.mood === 'mad' ? '<html>' : JSON.stringify(body));
  }
}

/** The claims of a person's access token of version 2 that lasts an hour. */
export function userClaims(authority: string, nowMs: number, changes: Claims = {}): Claims {
  const now = Math.floor(nowMs / 1000);
  return {
    iss: `${authority}/${TID}/v2.0`,
    tid: TID,
    aud: AUDIENCE,
    iat: now,
    nbf: now,
    exp: now + 3600,
    ver: '2.0',
    azp: CLIENT,
    oid: OID,
    sub: 'pairwise-subject',
    scp: 'access',
    preferred_username: 'ada@example.com',
    roles: ['records.reader', 'records.writer'],
    ...changes,
  };
}

/** The same of an application that calls for itself. */
export function appClaims(authority: string, nowMs: number, changes: Claims = {}): Claims {
  const { scp: _scp, preferred_username: _name, ...rest } = userClaims(authority, nowMs);
  return { ...rest, sub: OID, ...changes };
}

/** Signs with RS256; a claim or header that is undefined is left out. */
export function signed(claims: Claims, key: SigningKey, header: Claims = {}): Promise<string> {
  const protectedHeader = { alg: 'RS256', typ: 'JWT', kid: key.kid, ...header };
  return new SignJWT(JSON.parse(JSON.stringify(claims)) as Record<string, unknown>)
    .setProtectedHeader(JSON.parse(JSON.stringify(protectedHeader)) as JWTHeaderParameters)
    .sign(key.privateKey);
}
