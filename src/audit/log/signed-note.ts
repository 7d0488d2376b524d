import { createHash, createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { AppError } from '../../domain/errors.js';
import { isMalformed, type Malformed } from './encoding.js';
import {
  formatNote,
  formatVkey,
  isKeyName,
  isNoteText,
  keyIdInput,
  parseNote,
  signaturesBy,
  splitVkey,
  verdictOf,
  type NoteVerdict,
} from './note-format.js';

/** C2SP signed-note with Ed25519 (signature type 0x01), on Node's crypto. */

/** Who signs notes. `sign` may ask somebody else, a key vault for instance. */
export interface NoteSigner {
  /** The name of the key; for a log, its origin. */
  readonly name: string;
  /** The 32-bit key id, as 8 digits of lower-case hex. */
  readonly keyId: string;
  /** The 64 bytes of the Ed25519 signature over `message`. */
  sign(message: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

/** A signer in this process, which can also say what its signatures are verified with. */
export interface LocalNoteSigner extends NoteSigner {
  readonly vkey: string;
}

export interface NoteVerifier {
  readonly name: string;
  readonly keyId: string;
  verify(message: Uint8Array, signature: Uint8Array): boolean;
}

/** First 4 bytes of SHA-256(name, newline, 0x01, public key), as 8 digits of lower-case hex. */
function keyIdOf(name: string, publicKey: Uint8Array): string {
  return createHash('sha256').update(keyIdInput(name, publicKey)).digest('hex').slice(0, 8);
}

/** The verifier key of an Ed25519 public key (32 bytes) under a name. */
export function vkeyOf(name: string, publicKey: Uint8Array): string {
  return formatVkey({ name, keyId: keyIdOf(name, publicKey), publicKey });
}

/**
 * A signer from an Ed25519 private key, PKCS#8 in PEM or read before. Throws `internal-error` when the text is no such
 * key or the name none that a key may have; the message says nothing of the key.
 */
export function ed25519Signer(name: string, privateKey: string | KeyObject): LocalNoteSigner {
  if (!isKeyName(name))
    throw new AppError('internal-error', 'The name of the log cannot be the name of a key.');
  const key = typeof privateKey === 'string' ? ed25519PrivateKey(privateKey) : privateKey;
  const publicKey = rawPublicKey(createPublicKey(key));
  return {
    name,
    keyId: keyIdOf(name, publicKey),
    vkey: vkeyOf(name, publicKey),
    sign: (message) => sign(null, message, key),
  };
}

/** The key in a PEM, for several signers. Throws `internal-error`, which says nothing of the text. */
export function ed25519PrivateKey(pem: string): KeyObject {
  let key: KeyObject | undefined;
  try {
    key = createPrivateKey({ key: pem, format: 'pem' });
  } catch {
    // What the library says of a text that it cannot read may quote it.
  }
  if (key?.asymmetricKeyType !== 'ed25519')
    throw new AppError('internal-error', 'The key of the log is not an Ed25519 private key in PEM.');
  return key;
}

function rawPublicKey(key: KeyObject): Uint8Array {
  return Buffer.from(key.export({ format: 'jwk' }).x as string, 'base64url');
}

/** A verifier from its verifier key, or what is wrong with the key. */
export function verifierOf(vkey: string): NoteVerifier | Malformed {
  const parts = splitVkey(vkey);
  if (isMalformed(parts)) return parts;
  const { name, keyId, publicKey } = parts;
  if (keyIdOf(name, publicKey) !== keyId) return { malformed: 'has a key id that is not that of its key' };
  const x = Buffer.from(publicKey).toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  return { name, keyId, verify: (message, signature) => verify(null, message, key, signature) };
}

/**
 * The signed note of a text, with one signature of each signer, in their order. Throws `internal-error` for a text that
 * is none of a note (it ends in a newline and has no other control characters).
 */
export async function signNote(text: string, ...signers: readonly NoteSigner[]): Promise<string> {
  if (!isNoteText(text)) throw new AppError('internal-error', 'A text cannot be signed as a note.');
  const message = Buffer.from(text);
  const signatures = await Promise.all(
    signers.map(async (signer) => {
      const { name, keyId } = signer;
      return { name, keyId, signature: await signer.sign(message) };
    }),
  );
  return formatNote({ text, signatures });
}

/** The text of a signed note and who of the verifiers signed it, or why it is refused. */
export function openNote(note: string, verifiers: readonly NoteVerifier[]): NoteVerdict<NoteVerifier> {
  const parsed = parseNote(note);
  if (isMalformed(parsed)) return parsed;
  const message = Buffer.from(parsed.text);
  const checked = verifiers.flatMap((key) =>
    signaturesBy(parsed, key).map(({ signature }) => ({ key, valid: key.verify(message, signature) })),
  );
  return verdictOf(parsed.text, checked);
}
