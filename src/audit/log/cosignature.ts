import { concat, utf8, type Malformed } from './encoding.js';
import { COSIGNATURE_V1, formatNote, parseNote, type Note, type NoteSignature } from './note-format.js';

/**
 * C2SP tlog-cosignature, the Ed25519 form (`cosignature/v1`), as far as it is bytes: what a witness signs and how it says
 * when. Checks no signature. Runs in browsers.
 */
export { COSIGNATURE_V1 };

const TIMESTAMP_BYTES = 8;
const ED25519_BYTES = 64;

/** A cosignature taken apart. */
export interface Cosignature {
  /** Seconds since 1970, by the witness's clock. */
  readonly timestamp: number;
  /** Ed25519. */
  readonly signature: Uint8Array;
}

/** What a witness signs: that at this time this was the largest tree of the log that it had seen. */
export function cosignedMessage(text: string, timestamp: number): Uint8Array {
  return utf8(`cosignature/v1\ntime ${String(timestamp)}\n${text}`);
}

/** The bytes of a line of signature as a cosignature; undefined for what is none, or of a time beyond 2^53. */
export function readCosignature({ signature }: NoteSignature): Cosignature | undefined {
  if (signature.length !== TIMESTAMP_BYTES + ED25519_BYTES) return undefined;
  let timestamp = 0;
  for (const byte of signature.subarray(0, TIMESTAMP_BYTES)) timestamp = timestamp * 256 + byte;
  if (!Number.isSafeInteger(timestamp)) return undefined;
  return { timestamp, signature: signature.subarray(TIMESTAMP_BYTES) };
}

/** The inverse of `readCosignature`. */
export function cosignatureBytes({ timestamp, signature }: Cosignature): Uint8Array {
  const seconds = new Uint8Array(TIMESTAMP_BYTES);
  new DataView(seconds.buffer).setBigUint64(0, BigInt(timestamp));
  return concat(seconds, signature);
}

/** Lines of signatures as a witness answers with them, for the note of a text. */
export function parseSignatureLines(text: string, lines: string): readonly NoteSignature[] | Malformed {
  const note = parseNote(`${text}\n${lines}`);
  if ('malformed' in note) return note;
  // An empty line among the lines would have made them a part of the text.
  return note.text === text ? note.signatures : { malformed: 'has an empty line among its signatures' };
}

/** The signed note with further signatures after its own. */
export function withSignatures(note: Note, more: readonly NoteSignature[]): string {
  return formatNote({ text: note.text, signatures: [...note.signatures, ...more] });
}
