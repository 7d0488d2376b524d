import type { Entropy } from './clock.js';
import { canonicalJson, sha256Hex, type Json } from './canonical-json.js';

/** Name of the one member of a commitment. A submitted member of this name is refused everywhere. */
export const COMMITMENT_MEMBER = '$commitment';

/** What stands in a committed form where a sensitive value was. */
export interface Commitment {
  readonly $commitment: string;
}

/** Whether a value is a commitment; nobody can submit what looks like one. */
export function isCommitment(value: unknown): value is Commitment {
  if (typeof value !== 'object' || value === null) return false;
  return typeof (value as Record<string, unknown>)[COMMITMENT_MEMBER] === 'string';
}

/** A sensitive value and the salt that hides it; stored only sealed, shown only to those who may see the value. */
export interface Secret {
  /** 32 bytes, base64url. */
  readonly salt: string;
  readonly value: Json;
}

/** A fresh 32-byte salt, base64url. */
export function newSalt(entropy: Entropy): string {
  return Buffer.from(entropy.bytes(32)).toString('base64url');
}

/** hex SHA-256 of `salt || canonical JSON of the value` (architecture.md, the envelope). */
export function commit(secret: Secret): Commitment {
  const input = [Buffer.from(secret.salt, 'base64url'), Buffer.from(canonicalJson(secret.value))];
  return { $commitment: sha256Hex(Buffer.concat(input)) };
}

/** JSON pointer (RFC 6901) to the secret at that place. */
export type Secrets = Readonly<Record<string, Secret>>;
/** JSON pointer to the sealed (encrypted, authenticated) secret. */
export type SealedSecrets = Readonly<Record<string, string>>;
/** JSON pointer to the data subjects of the secret at that place. */
export type Subjects = Readonly<Record<string, readonly string[]>>;

/** What a sealed value is bound to: moving it anywhere else makes it unreadable. */
export interface SealingContext {
  readonly tenant: string;
  readonly type: string;
  readonly id: string;
  readonly revision: number;
}

/** Encrypts secrets before they leave the process; implemented in `security/`. */
export interface SecretBox {
  /**
   * `subjects`: whom each secret is about, by its pointer. It takes the keys of all of them to open it, so that it is gone
   * when one of them is. A secret of nobody who is named is sealed under a key of the tenant.
   */
  seal(context: SealingContext, secrets: Secrets, subjects: Subjects): Promise<SealedSecrets>;
  /**
   * What has been erased is left out. Throws `integrity-failure` when a value was altered or moved, or its key is not to
   * be had although nobody erased it; `storage-unavailable`.
   */
  open(context: SealingContext, sealed: SealedSecrets): Promise<Secrets>;
}
