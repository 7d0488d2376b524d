import { createHash, hkdfSync } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { SealingContext, Secret } from '../domain/commitment.js';
import { openPayload, sealedPlace } from './sealed-payload.js';
import { KEY_BYTES } from './keys/wrap-key.js';

/**
 * Opens what was sealed before data subjects had keys: `v1.<key id>.<base64url of nonce, ciphertext and tag>`, under a
 * key of the tenant's derived by HKDF-SHA-256 from a wrapping key; a key id is the first 8 hex digits of that one's
 * SHA-256. Nothing is sealed so any more.
 */
export class SealedV1 {
  readonly #wrapping: ReadonlyMap<string, Uint8Array>;
  readonly #derived = new LRUCache<string, Buffer>({ max: 1000 });

  constructor(wrappingKeys: readonly Uint8Array[]) {
    this.#wrapping = new Map(wrappingKeys.map((key) => [keyId(key), key]));
  }

  /** Undefined when it is not what was sealed there, or under a key that is not configured. */
  open(context: SealingContext, pointer: string, sealed: string): Secret | undefined {
    const match = /^v1\.([0-9a-f]{8})\.([A-Za-z0-9_-]+)$/.exec(sealed);
    const key = this.#tenantKey(match?.[1] ?? '', context.tenant);
    return key === undefined ? undefined : openPayload(key, match?.[2] ?? '', sealedPlace(context, pointer));
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

function keyId(wrapping: Uint8Array): string {
  return createHash('sha256').update(wrapping).digest('hex').slice(0, 8);
}
