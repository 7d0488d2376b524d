import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import type { Clock } from '../domain/clock.js';
import { AppError } from '../domain/errors.js';
import { LIMITS } from '../domain/limits.js';
import { issuersOf } from './entra-settings.js';
import type { FetchJson } from './fetch-json.js';

export interface KeyTools {
  readonly fetchJson: FetchJson;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** Told of each attempt to fetch keys that failed. Must not throw. */
  readonly onError: (error: unknown) => void;
}

/** Keys as they were fetched. */
interface Known {
  readonly ids: ReadonlySet<string>;
  readonly find: JWTVerifyGetKey;
  readonly atMs: number;
}

const configuration = z.object({ issuer: z.string(), jwks_uri: z.url() });
const keySet = z.object({
  keys: z.array(
    z.looseObject({ kty: z.string(), kid: z.string().optional(), use: z.string().optional(), issuer: z.string().optional() }), // prettier-ignore
  ),
});

/**
 * The keys with which Entra signs the tokens of one of its tenants (OpenID Connect Discovery 1.0). They are fetched when
 * they are first needed, again once they are some minutes old, and when a token names one that is not among them, but
 * never by two at once and not again right after: nobody makes us fetch by inventing names.
 */
export class EntraKeys {
  #known: Known | undefined;
  #fetching: Promise<void> | undefined;
  #triedMs = -Infinity;
  #failed = false;

  constructor(
    private readonly tools: KeyTools,
    private readonly authority: string,
    private readonly tid: string,
  ) {}

  /**
   * What finds the key of that id, or undefined when Entra has none. A service that does not answer leaves the keys of
   * the last day as they are; throws `storage-unavailable` when nothing can be told without it.
   */
  async find(kid: string): Promise<JWTVerifyGetKey | undefined> {
    const ageMs = this.#ageMs();
    // While the service fails, those that wait for it would be all callers.
    const mustWait = ageMs > (this.#failed ? LIMITS.signInKeysKeptMs : LIMITS.signInKeysFreshMs);
    if (mustWait || !this.#has(kid)) await this.#refresh();
    else if (ageMs > LIMITS.signInKeysFreshMs / 2) void this.#refresh();
    if (this.#has(kid) && this.#ageMs() <= LIMITS.signInKeysKeptMs) return this.#known?.find;
    if (!this.#failed) return undefined;
    throw new AppError('storage-unavailable', 'The keys that tokens are checked with cannot be had now.', {
      retryAfterS: LIMITS.signInRetryMs / 1000,
    });
  }

  #ageMs(): number {
    return this.#known === undefined ? Infinity : this.tools.clock.monotonic() - this.#known.atMs;
  }

  #has(kid: string): boolean {
    return this.#known?.ids.has(kid) === true;
  }

  /** Nothing, when the last attempt is too recent. Never rejects. */
  async #refresh(): Promise<void> {
    const quietMs = this.#failed ? LIMITS.signInRetryMs : LIMITS.signInCooldownMs;
    if (this.#fetching === undefined && this.tools.clock.monotonic() - this.#triedMs < quietMs) return;
    this.#fetching ??= this.#fetch().finally(() => (this.#fetching = undefined));
    await this.#fetching;
  }

  async #fetch(): Promise<void> {
    const atMs = this.tools.clock.monotonic();
    this.#triedMs = atMs;
    try {
      this.#known = { ...(await this.#fetchKeys()), atMs };
      this.#failed = false;
    } catch (error) {
      this.#failed = true;
      this.tools.onError(error);
    }
  }

  async #fetchKeys(): Promise<Omit<Known, 'atMs'>> {
    const issuer = issuersOf(this.authority, this.tid).v2;
    const found = configuration.parse(await this.tools.fetchJson(`${issuer}/.well-known/openid-configuration`)); // prettier-ignore
    if (found.issuer !== issuer) throw new Error('the configuration is that of another issuer');
    // A service that could send us anywhere could make us ask anybody.
    if (new URL(found.jwks_uri).origin !== this.authority) throw new Error('the keys are somewhere else');
    const { keys } = keySet.parse(await this.tools.fetchJson(found.jwks_uri));
    const usable = keys.filter((key) => key.kty === 'RSA' && (key.use ?? 'sig') === 'sig' && this.#isOurs(key.issuer)); // prettier-ignore
    const ids = new Set(usable.map(({ kid }) => kid).filter((kid) => kid !== undefined));
    if (ids.size === 0) throw new Error('there are no keys');
    return { ids, find: createLocalJWKSet({ keys: usable } as JSONWebKeySet) };
  }

  /** Entra says of some keys whose tokens they sign: those of one tenant, or `{tenantid}` for any. */
  #isOurs(issuer: string | undefined): boolean {
    return issuer === undefined || issuer.includes('{tenantid}') || issuer.includes(this.tid);
  }
}
