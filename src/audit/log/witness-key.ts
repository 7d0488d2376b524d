import { createHash, createPublicKey, verify } from 'node:crypto';
import { COSIGNATURE_V1, cosignedMessage, readCosignature } from './cosignature.js';
import { isMalformed, type Malformed } from './encoding.js';
import { keyIdInput, signaturesBy, splitVkey, type Note, type NoteSignature } from './note-format.js';

/** The key of a witness, on Node's crypto. */
export interface WitnessKey {
  readonly name: string;
  readonly keyId: string;
  /** The cosignatures of a note that this key claims, or undefined when one of them does not verify. */
  readonly cosignatures: (note: Note) => readonly NoteSignature[] | undefined;
}

/** A witness's key from its verifier key (signature type 0x04), or what is wrong with it. */
export function witnessKeyOf(vkey: string): WitnessKey | Malformed {
  const parts = splitVkey(vkey, COSIGNATURE_V1);
  if (isMalformed(parts)) return parts;
  const { name, keyId, publicKey } = parts;
  const hash = createHash('sha256')
    .update(keyIdInput(name, publicKey, COSIGNATURE_V1))
    .digest('hex');
  if (hash.slice(0, 8) !== keyId) return { malformed: 'has a key id that is not that of its key' };
  const x = Buffer.from(publicKey).toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  const holds = (text: string, line: NoteSignature): boolean => {
    const read = readCosignature(line);
    return read !== undefined && verify(null, cosignedMessage(text, read.timestamp), key, read.signature);
  };
  return {
    name,
    keyId,
    cosignatures: (note) => {
      const claimed = signaturesBy(note, { name, keyId });
      return claimed.every((line) => holds(note.text, line)) ? claimed : undefined;
    },
  };
}
