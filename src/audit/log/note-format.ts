import { LIMITS } from '../../domain/limits.js';
import { concat, fromBase64, fromHex, toBase64, toHex, type Malformed } from './encoding.js';

/**
 * C2SP signed-note, as far as it is text: a text that ends in a newline, an empty line, and lines of signatures.
 * Nothing here knows keys or checks anything; nothing here is to be believed before a signature was. Runs in browsers.
 */
const SEPARATOR = '\n\n';
const DASH = '\u2014 ';
/** What a key name must not contain. */
const NOT_IN_NAMES = /[\p{White_Space}+]/u;
/** ASCII control characters other than newline. */
// eslint-disable-next-line no-control-regex -- the format forbids just these
const CONTROL = /[\0-\t\v-\x1f]/;

/** The type byte of Ed25519 in front of a public key (signed-note, signature types). */
const ED25519 = 1;
/** That of Ed25519 cosignatures (C2SP tlog-cosignature, format). */
export const COSIGNATURE_V1 = 4;
const ED25519_KEY_BYTES = 32;

/** One line of signatures. */
export interface NoteSignature {
  readonly name: string;
  /** The 32-bit key id, as 8 digits of lower-case hex. */
  readonly keyId: string;
  readonly signature: Uint8Array;
}

export interface Note {
  /** What is signed: up to and with the newline before the empty line. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** An Ed25519 key of a log, as its verifier key says it. */
export interface NoteKey {
  readonly name: string;
  readonly keyId: string;
  readonly publicKey: Uint8Array;
}

/** True for a name that a key may have: not empty, without white space and plus signs. */
export function isKeyName(name: string): boolean {
  return name !== '' && name.isWellFormed() && !NOT_IN_NAMES.test(name) && !CONTROL.test(name);
}

/** True for a text that can be signed as a note. */
export function isNoteText(text: string): boolean {
  return text.endsWith('\n') && text.isWellFormed() && !CONTROL.test(text);
}

/** Takes a signed note apart; what is not one to the letter is refused, whoever signed it. */
export function parseNote(note: string): Note | Malformed {
  if (note.length > LIMITS.noteChars) return { malformed: 'is longer than a note may be' };
  if (!note.isWellFormed()) return { malformed: 'is not Unicode text' };
  if (CONTROL.test(note)) return { malformed: 'has control characters' };
  const end = note.lastIndexOf(SEPARATOR);
  if (end < 0) return { malformed: 'has no empty line before its signatures' };
  const lines = note.slice(end + SEPARATOR.length).split('\n');
  if (lines.pop() !== '' || lines.length === 0) return { malformed: 'does not end in a line of signature' };
  if (lines.length > LIMITS.noteSignatures) return { malformed: 'has too many signatures' };
  const signatures: NoteSignature[] = [];
  for (const line of lines) {
    const signature = parseSignature(line);
    if (signature === undefined) return { malformed: 'has a line of signature that is none' };
    signatures.push(signature);
  }
  return { text: note.slice(0, end + 1), signatures };
}

function parseSignature(line: string): NoteSignature | undefined {
  if (!line.startsWith(DASH)) return undefined;
  const space = line.indexOf(' ', DASH.length);
  if (space < 0) return undefined;
  const name = line.slice(DASH.length, space);
  const bytes = fromBase64(line.slice(space + 1));
  if (!isKeyName(name) || bytes === undefined || bytes.length < 5) return undefined;
  return { name, keyId: toHex(bytes.subarray(0, 4)), signature: bytes.subarray(4) };
}

/** The inverse of `parseNote`. */
export function formatNote({ text, signatures }: Note): string {
  const lines = signatures.map(
    ({ name, keyId, signature }) => `${DASH}${name} ${toBase64(concat(fromHex(keyId), signature))}\n`,
  );
  return `${text}\n${lines.join('')}`;
}

/** The signatures that a key claims: its name and its id. */
export function signaturesBy(note: Note, key: Pick<NoteKey, 'name' | 'keyId'>): readonly NoteSignature[] {
  return note.signatures.filter(({ name, keyId }) => name === key.name && keyId === key.keyId);
}

/** What the id of a key is the first 4 bytes of the SHA-256 of: name, newline, type, public key. */
export function keyIdInput(name: string, publicKey: Uint8Array, type = ED25519): Uint8Array {
  return concat(new TextEncoder().encode(`${name}\n`), Uint8Array.of(type), publicKey);
}

/** `<name>+<key id>+<base64 of type and public key>`, as in Go's sumdb/note. */
export function formatVkey({ name, keyId, publicKey }: NoteKey, type = ED25519): string {
  return `${name}+${keyId}+${toBase64(concat(Uint8Array.of(type), publicKey))}`;
}

/** Takes a verifier key apart. That its id is that of its key is for the caller to check, who can hash. */
export function splitVkey(vkey: string, type = ED25519): NoteKey | Malformed {
  if (vkey.length > LIMITS.headerValueChars * 4) return { malformed: 'is longer than a verifier key may be' };
  const parts = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(vkey);
  if (parts === null) return { malformed: 'is not of the form <name>+<key id>+<key>' };
  const [, name = '', keyId = '', encoded = ''] = parts;
  const key = fromBase64(encoded);
  if (!isKeyName(name) || key === undefined) return { malformed: 'is not of the form <name>+<key id>+<key>' };
  if (key[0] !== type)
    return { malformed: type === ED25519 ? 'is not an Ed25519 key' : 'is not the key of an Ed25519 witness' };
  if (key.length !== 1 + ED25519_KEY_BYTES)
    return { malformed: 'has a key of another length than Ed25519 has' };
  return { name, keyId, publicKey: key.subarray(1) };
}

/** What a check of signatures found. */
export type NoteVerdict<Key> = { readonly text: string; readonly signedBy: readonly Key[] } | Malformed;

/**
 * The rule of signed-note over whatever can verify: signatures of unknown keys are ignored, one of a known key that does
 * not verify refuses the note, and so does a note without any of a known key.
 */
export function verdictOf<Key extends Pick<NoteKey, 'name'>>(
  text: string,
  checked: readonly { readonly key: Key; readonly valid: boolean }[],
): NoteVerdict<Key> {
  const bad = checked.find(({ valid }) => !valid);
  if (bad !== undefined) return { malformed: `has a signature of ${bad.key.name} that does not verify` };
  if (checked.length === 0) return { malformed: 'has no signature of a known key' };
  return { text, signedBy: [...new Set(checked.map(({ key }) => key))] };
}
