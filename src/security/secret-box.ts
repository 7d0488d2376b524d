import { createCipheriv, createDecipheriv, createHash, hkdfSync } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { canonicalJson, type Json } from '../domain/canonical-json.js';
import type { Entropy } from '../domain/clock.js';
import type { SealedSecrets, SealingContext, Secret, SecretBox, Secrets } from '../domain/commitment.js';
import { AppError } from '../domain/errors.js';

const VERSION = 'v1';
const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Encrypts secrets with AES-256-GCM under a key of the tenant's, derived by HKDF-SHA-256 from a wrapping key
 * (security.md, sensitive fields). A sealed value is `v1.<key id>.<base64url of nonce, ciphertext and tag>`, bound by
 * its associated data to tenant, type, id, revision and pointer. A key id is the first 8 hex digits of the wrapping
 * key's SHA-256; data keys of single subjects will follow it as `<8 hex>-<data key>`, which this version does not know.
 */
export class AesSecretBox implements SecretBox {
  readonly #wrapping = new Map<string, Uint8Array>();
  /** Derived once each: every event has a value to seal. */
  readonly #derived = new LRUCache<string, Buffer>({ max: 1000 });
  readonly #currentId: string;

  /**
   * Seals with the first key and opens with any of them. Throws TypeError unless there is at least one and each has
   * 32 bytes.
   */
  constructor(
    wrappingKeys: readonly Uint8Array[],
    private readonly entropy: Entropy,
  ) {
    const [current] = wrappingKeys;
    if (current === undefined || wrappingKeys.some((key) => key.length !== KEY_BYTES)) {
      throw new TypeError(`a wrapping key has ${String(KEY_BYTES)} bytes`);
    }
    for (const key of wrappingKeys) this.#wrapping.set(keyId(key), key);
    this.#currentId = keyId(current);
  }

  async seal(context: SealingContext, secrets: Secrets): Promise<SealedSecrets> {
    const key = this.#tenantKey(this.#currentId, context.tenant) as Buffer;
    const entries = Object.entries(secrets).map(([pointer, secret]) => {
      const nonce = this.entropy.bytes(NONCE_BYTES);
      const cipher = createCipheriv(CIPHER, key, nonce).setAAD(boundTo(context, pointer));
      const text = canonicalJson(secret as unknown as Json);
      const payload = Buffer.concat([
        nonce,
        cipher.update(text, 'utf8'),
        cipher.final(),
        cipher.getAuthTag(),
      ]);
      return [pointer, `${VERSION}.${this.#currentId}.${payload.toString('base64url')}`];
    });
    return Object.fromEntries(entries) as SealedSecrets;
  }

  async open(context: SealingContext, sealed: SealedSecrets): Promise<Secrets> {
    const entries = Object.entries(sealed).map(([pointer, text]) => [
      pointer,
      this.#open(context, pointer, text),
    ]);
    return Object.fromEntries(entries) as Secrets;
  }

  #open(context: SealingContext, pointer: string, sealed: string): Secret {
    const match = /^v1\.([0-9a-f]{8})\.([A-Za-z0-9_-]+)$/.exec(sealed);
    const key = this.#tenantKey(match?.[1] ?? '', context.tenant);
    const payload = Buffer.from(match?.[2] ?? '', 'base64url');
    // Another spelling of the same bytes is an alteration too.
    const faithful = payload.toString('base64url') === match?.[2];
    if (key === undefined || !faithful || payload.length <= NONCE_BYTES + TAG_BYTES)
      throw unreadable(context);
    try {
      const nonce = payload.subarray(0, NONCE_BYTES);
      const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
        .setAAD(boundTo(context, pointer))
        .setAuthTag(payload.subarray(-TAG_BYTES));
      const text = Buffer.concat([
        decipher.update(payload.subarray(NONCE_BYTES, -TAG_BYTES)),
        decipher.final(),
      ]);
      return JSON.parse(text.toString('utf8')) as Secret;
    } catch (cause) {
      throw unreadable(context, cause);
    }
  }

  #tenantKey(id: string, tenant: string): Buffer | undefined {
    const wrapping = this.#wrapping.get(id);
    if (wrapping === undefined) return undefined;
    const name = `${id}/${tenant}`;
    const known = this.#derived.get(name);
    if (known !== undefined) return known;
    const info = `business-records/sealed/v1/${tenant}`;
    const derived = Buffer.from(hkdfSync('sha256', wrapping, '', info, KEY_BYTES));
    this.#derived.set(name, derived);
    return derived;
  }
}

/** Where a sealed value belongs: moved anywhere else, it does not open. */
function boundTo({ tenant, type, id, revision }: SealingContext, pointer: string): Buffer {
  return Buffer.from(canonicalJson([tenant, type, id, revision, pointer]));
}

function keyId(wrapping: Uint8Array): string {
  return createHash('sha256').update(wrapping).digest('hex').slice(0, 8);
}

function unreadable({ tenant, type, id, revision }: SealingContext, cause?: unknown): AppError {
  return new AppError('integrity-failure', 'A sealed value cannot be opened.', {
    evidence: { tenant, type, id, revision, what: 'sealed' },
    cause,
  });
}
