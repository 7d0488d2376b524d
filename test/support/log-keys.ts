import { createPrivateKey } from 'node:crypto';
import { logKeysOf } from '../../src/audit/log-keys.js';

/** The fixed part of the PKCS #8 form of an Ed25519 key (RFC 8410): what follows is its seed. */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');

/** The key with this seed byte 32 times, in PEM. */
export function signingKeyPem(seed: number): string {
  const der = Buffer.concat([PKCS8_HEAD, new Uint8Array(32).fill(seed)]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    .export({ type: 'pkcs8', format: 'pem' })
    .toString();
}

export const TEST_ORIGIN = 'records.test';

/** Who signs logs in tests. */
export const TEST_LOG_KEYS = logKeysOf(TEST_ORIGIN, signingKeyPem(7));
