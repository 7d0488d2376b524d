import type { CryptographyClient, KeyClient, KeyClientOptions } from '@azure/keyvault-keys';
import type { HttpClient } from '@azure/core-rest-pipeline';
import type { TokenCredential } from '@azure/identity';
import type { KeyWrapper, WrappedKey } from '../domain/key-wrapper.js';
import { LIMITS } from '../domain/limits.js';
import { StorageFault } from '../storage/ports.js';
import { lazyCredential } from './clients.js';
import { answerOf, attempt, faultOfAnswer } from './faults.js';

/** RSA-OAEP with SHA-256 (RFC 8017): what a key of type RSA in any vault can do. */
const ALGORITHM = 'RSA-OAEP-256';
const KEY_URL = /^(https:\/\/[a-z0-9.-]+)\/keys\/([A-Za-z0-9-]{1,127})(?:\/([0-9a-f]{32}))?\/?$/;
/** Versions spoken to: the current one, and those that keys of tenants are still wrapped by. */
const VERSIONS_KEPT = 16;

/** Which key of which vault; without a version, whichever is current. */
export interface VaultKey {
  readonly vaultUrl: string;
  readonly name: string;
  readonly version: string | undefined;
}

/** A key identifier, `https://<vault>/keys/<name>` with or without a version; undefined when it is none. */
export function parseVaultKey(url: string): VaultKey | undefined {
  const match = KEY_URL.exec(url);
  if (match === null) return undefined;
  return { vaultUrl: match[1] as string, name: match[2] as string, version: match[3] };
}

export interface KeyVaultOptions {
  /** Client id of a user-assigned identity. */
  readonly clientId?: string | undefined;
  /** Instead of the identity the process runs under. */
  readonly credential?: TokenCredential;
  /** Instead of the SDK's; tests answer requests here. */
  readonly httpClient?: HttpClient;
  /** Time for one call; `LIMITS.storageTryMs` unless told. */
  readonly tryMs?: number;
}

interface Clients {
  readonly keys: KeyClient;
  readonly cryptography: (version: string) => CryptographyClient;
}

/** An RSA key of Azure Key Vault or Managed HSM. The private half never leaves it. Like storage it never retries. */
export class KeyVaultWrapper implements KeyWrapper {
  readonly name: string;
  #clients: Promise<Clients> | undefined;

  /** Nothing is sent until it is used. */
  constructor(
    private readonly key: VaultKey,
    private readonly options: KeyVaultOptions = {},
  ) {
    this.name = `${key.vaultUrl}/keys/${key.name}`;
  }

  /** One call of the vault, none where the version was configured. */
  async currentVersion(): Promise<string> {
    const { version } = this.key;
    if (version !== undefined) return version;
    const found = await this.#call('', async ({ keys }, abortSignal) =>
      keys.getKey(this.key.name, { abortSignal }),
    );
    const current = found.properties.version;
    if (current === undefined) throw new StorageFault('refused', `the key ${this.name} has no version`);
    return current;
  }

  /** Two calls of the vault, one where the version was configured. */
  async wrap(_tenant: string, key: Uint8Array): Promise<WrappedKey> {
    const version = await this.currentVersion();
    const { result } = await this.#call(version, async ({ cryptography }, abortSignal) =>
      cryptography(version).wrapKey(ALGORITHM, key, { abortSignal }),
    );
    return { wrappedBy: this.name, version, wrapped: Buffer.from(result).toString('base64url') };
  }

  /** One call of the vault. */
  async unwrap(_tenant: string, { version, wrapped }: WrappedKey): Promise<Uint8Array | undefined> {
    if (!/^[0-9a-f]{32}$/.test(version)) return undefined;
    const bytes = Buffer.from(wrapped, 'base64url');
    try {
      const { result } = await this.#call(version, async ({ cryptography }, abortSignal) =>
        cryptography(version).unwrapKey(ALGORITHM, bytes, { abortSignal }),
      );
      return result;
    } catch (error) {
      // It understood the request and could not decrypt what was in it: that is about the row, not about the vault.
      if (answerOf((error as Error).cause)?.status === 400) return undefined;
      throw error;
    }
  }

  async #call<T>(version: string, call: (clients: Clients, signal: AbortSignal) => Promise<T>): Promise<T> {
    this.#clients ??= makeClients(this.key, this.options);
    const clients = await this.#clients;
    const what = version === '' ? `key ${this.name}` : `key ${this.name}/${version}`;
    return attempt(what, this.options.tryMs ?? LIMITS.storageTryMs, async (signal) => {
      try {
        return await call(clients, signal);
      } catch (error) {
        throw explained(error, what);
      }
    });
  }
}

/** The vault says in an inner code what a bare `Forbidden` leaves open, e.g. `KeyDisabled`. */
function explained(error: unknown, what: string): unknown {
  const answer = answerOf(error);
  if (answer === undefined) return error;
  const { details } = error as { details?: { error?: { code?: unknown; innerError?: { code?: unknown } } } };
  const codes = [details?.error?.innerError?.code, details?.error?.code, answer.code];
  const code = codes.find((one) => typeof one === 'string' && one !== '') as string | undefined;
  return faultOfAnswer({ status: answer.status, code }, what, error);
}

/** The library is large: loaded once a vault is used at all. */
async function makeClients({ vaultUrl, name }: VaultKey, options: KeyVaultOptions): Promise<Clients> {
  const { CryptographyClient, KeyClient } = await import('@azure/keyvault-keys');
  const credential = options.credential ?? lazyCredential(options.clientId);
  const { httpClient } = options;
  const settings = (): KeyClientOptions => ({
    retryOptions: { maxRetries: 0 },
    ...(httpClient === undefined ? {} : { httpClient }),
  });
  const byVersion = new Map<string, CryptographyClient>();
  return {
    keys: new KeyClient(vaultUrl, credential, settings()),
    cryptography: (version) => {
      const known = byVersion.get(version);
      if (known !== undefined) return known;
      // All the SDK is told of the key is its name: so it asks the vault to use it, and not first what it is like.
      const id = `${vaultUrl}/keys/${name}/${version}`;
      const key = { id, name, properties: { vaultUrl, name, version, id } };
      const client = new CryptographyClient(key, credential, settings());
      if (byVersion.size >= VERSIONS_KEPT) byVersion.clear();
      byVersion.set(version, client);
      return client;
    },
  };
}
