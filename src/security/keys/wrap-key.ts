import { createCipheriv, createDecipheriv } from 'node:crypto';
import { canonicalJson } from '../../domain/canonical-json.js';
import type { Entropy } from '../../domain/clock.js';

/** Every key of the platform: AES-256, HMAC-SHA-256. */
export const KEY_BYTES = 32;

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const WRAPPED_BYTES = NONCE_BYTES + KEY_BYTES + TAG_BYTES;

/** What a wrapped key is for; under any other name it does not unwrap. */
export type KeyPlace = readonly string[];

/**
 * Wraps a key with AES-256-GCM under another one: base64url of nonce, ciphertext and tag. Unlike AES key wrap (RFC 3394)
 * this takes associated data, which ties the wrapped key to its tenant and its row.
 */
export function wrapKey(under: Uint8Array, key: Uint8Array, place: KeyPlace, entropy: Entropy): string {
  const nonce = entropy.bytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, under, nonce).setAAD(placeBytes(place));
  const parts = [nonce, cipher.update(key), cipher.final(), cipher.getAuthTag()];
  return Buffer.concat(parts).toString('base64url');
}

/** The key, or undefined when this is not what was wrapped there under that key. */
export function unwrapKey(under: Uint8Array, wrapped: string, place: KeyPlace): Buffer | undefined {
  const bytes = Buffer.from(wrapped, 'base64url');
  if (bytes.length !== WRAPPED_BYTES || bytes.toString('base64url') !== wrapped) return undefined;
  const nonce = bytes.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv(CIPHER, under, nonce, { authTagLength: TAG_BYTES })
    .setAAD(placeBytes(place))
    .setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
  } catch {
    return undefined;
  }
}

function placeBytes(place: KeyPlace): Buffer {
  return Buffer.from(canonicalJson(['business-records/keys', ...place]));
}
