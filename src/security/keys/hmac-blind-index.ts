import { createHmac } from 'node:crypto';
import type { BlindIndex } from '../../domain/blind-index.js';
import { canonicalJson } from '../../domain/canonical-json.js';

/** Digits of a blind hash: 128 bits, so that no two values of a tenant ever meet by chance. */
const DIGITS = 32;

/** Where the index key of a tenant is to be had. */
export interface IndexKeys {
  indexKey(tenant: string): Promise<Uint8Array>;
}

/**
 * HMAC-SHA-256 (RFC 2104) of purpose and value under the tenant's index key. Values are brought to NFC first: who types
 * a name on another keyboard means the same name, and erasing it must reach both spellings.
 */
export class HmacBlindIndex implements BlindIndex {
  constructor(private readonly keys: IndexKeys) {}

  async blind(tenant: string, purpose: string, value: string): Promise<string> {
    return blindHash(await this.keys.indexKey(tenant), purpose, value);
  }
}

/** The hash itself, for who has the key at hand. */
export function blindHash(key: Uint8Array, purpose: string, value: string): string {
  const text = canonicalJson([purpose, value.normalize('NFC')]);
  return createHmac('sha256', key).update(text).digest('hex').slice(0, DIGITS);
}
