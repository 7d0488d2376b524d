import { createCipheriv, createDecipheriv } from 'node:crypto';
import { canonicalJson, type Json } from '../domain/canonical-json.js';
import type { Entropy } from '../domain/clock.js';
import type { SealingContext, Secret } from '../domain/commitment.js';

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Where a sealed value belongs: moved anywhere else, it does not open. */
export function sealedPlace({ tenant, type, id, revision }: SealingContext, pointer: string): Buffer {
  return Buffer.from(canonicalJson([tenant, type, id, revision, pointer]));
}

/** base64url of nonce, ciphertext and tag of AES-256-GCM, with `place` as associated data. */
export function sealPayload(key: Uint8Array, secret: Secret, place: Buffer, entropy: Entropy): string {
  const nonce = entropy.bytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce).setAAD(place);
  const text = cipher.update(canonicalJson(secret as unknown as Json), 'utf8');
  return Buffer.concat([nonce, text, cipher.final(), cipher.getAuthTag()]).toString('base64url');
}

/** The inverse; undefined when it is not what was sealed there. */
export function openPayload(key: Uint8Array, payload: string, place: Buffer): Secret | undefined {
  const bytes = Buffer.from(payload, 'base64url');
  // Another spelling of the same bytes is an alteration too.
  const faithful = bytes.toString('base64url') === payload;
  if (!faithful || bytes.length <= NONCE_BYTES + TAG_BYTES) return undefined;
  try {
    const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    })
      .setAAD(place)
      .setAuthTag(bytes.subarray(-TAG_BYTES));
    const text = [decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()];
    return JSON.parse(Buffer.concat(text).toString('utf8')) as Secret;
  } catch {
    return undefined;
  }
}
