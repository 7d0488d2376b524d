import { AppError } from '../domain/errors.js';
import { isMalformed } from './log/encoding.js';
import { splitVkey } from './log/note-format.js';
import { ed25519PrivateKey, ed25519Signer, vkeyOf, type NoteSigner } from './log/signed-note.js';

/** Who signs the logs of tenants, and what their signatures are verified with. */
export interface LogKeys {
  /** The signer of a tenant's log; its name is the log's origin. */
  readonly signer: (tenant: string) => NoteSigner;
  /** The verifier key of a tenant's log, and after it those of before, which signed older checkpoints. */
  readonly vkeys: (tenant: string) => readonly string[];
}

/** The unique name of a tenant's log. */
function originOf(auditOrigin: string, tenant: string): string {
  return `${auditOrigin}/${tenant}`;
}

/**
 * Keys of logs: one Ed25519 key (PKCS #8 in PEM) signs for all tenants, each under an origin of its own. `former` are
 * verifier keys of any tenant that were in use before. Throws `internal-error` for what is no key, and says nothing of it.
 */
export function logKeysOf(
  auditOrigin: string,
  privateKeyPem: string,
  former: readonly string[] = [],
): LogKeys {
  const privateKey = ed25519PrivateKey(privateKeyPem);
  const publicKeys = former.map(publicKeyOfVkey);
  return {
    signer: (tenant) => ed25519Signer(originOf(auditOrigin, tenant), privateKey),
    vkeys: (tenant) => {
      const origin = originOf(auditOrigin, tenant);
      const keys = [ed25519Signer(origin, privateKey).vkey, ...publicKeys.map((key) => vkeyOf(origin, key))];
      return [...new Set(keys)];
    },
  };
}

/** The 32 bytes of the Ed25519 key in a verifier key. Throws `internal-error`. */
export function publicKeyOfVkey(vkey: string): Uint8Array {
  const parts = splitVkey(vkey);
  if (isMalformed(parts)) throw new AppError('internal-error', `A verifier key ${parts.malformed}.`);
  return parts.publicKey;
}
