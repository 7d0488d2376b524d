import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';

/** Something that was stored, sent or printed, and where it was found. */
export interface Trace {
  readonly where: string;
  readonly content: string | Uint8Array;
}

/** A secret that was found, in which spelling, and where. */
export interface Leak {
  readonly secret: string;
  readonly spelling: string;
  readonly where: string;
}

/** Below this, what looks like base64 is a word. */
const ENCODED_CHARS = 16;
const DEPTH = 3;

/**
 * Looks for secrets in every spelling that code gives a text without meaning to: as it is, in any case of letters,
 * escaped for JSON, a URI or a key, in hex, in base64 and base64url at any offset; inside base64 and gzip again. And for bare
 * hashes of them, with which a guess could be tested.
 */
export function findLeaks(secrets: readonly string[], traces: readonly Trace[]): readonly Leak[] {
  const needles = secrets.flatMap((secret) =>
    spellingsOf(secret).map(([spelling, text]) => ({ secret, spelling, text })),
  );
  return traces.flatMap(({ where, content }) => {
    const texts = unpacked(content);
    return needles
      .filter(({ text }) => texts.some((one) => one.includes(text)))
      .map(({ secret, spelling }) => ({ secret, spelling, where }));
  });
}

/** The letters and digits that a secret begins with: what no encoding changes, and nothing cuts away. */
export function coreOf(secret: string): string {
  return /^[a-z0-9]+/.exec(secret)?.[0] ?? secret;
}

/** What tells a secret in each of its spellings. */
function spellingsOf(secret: string): readonly (readonly [string, string])[] {
  const core = coreOf(secret);
  const bytes = Buffer.from(core, 'utf8');
  const hashes = [secret, JSON.stringify(secret)].flatMap((text) => {
    const hash = createHash('sha256').update(text).digest();
    return [hash.toString('hex'), hash.toString('base64').slice(0, 42), hash.toString('base64url').slice(0, 42)]; // prettier-ignore
  });
  const spelled = [
    ['as it is', core],
    ['UTF-16', [...core].join('\u0000')],
    ['hex', bytes.toString('hex')],
    ['hex of UTF-16', Buffer.from(core, 'utf16le').toString('hex')],
    ...[0, 1, 2].flatMap((offset) => base64At(bytes, offset)),
    ...hashes.map((hash) => ['bare hash', hash] as const),
  ] as const;
  return [...new Map(spelled.map(([spelling, text]) => [text, spelling]))].map(([text, spelling]) => [spelling, text]); // prettier-ignore
}

/** What is the same of a text's base64 whatever stands before and behind it. */
function base64At(bytes: Uint8Array, offset: number): readonly (readonly [string, string])[] {
  const padded = Buffer.concat([Buffer.alloc(offset), bytes]);
  const whole = padded.subarray(0, padded.length - (padded.length % 3));
  const skip = offset === 0 ? 0 : 4;
  return (['base64', 'base64url'] as const).map((encoding) => [encoding, whole.toString(encoding).slice(skip)]); // prettier-ignore
}

/** A content as text, as it is and in lower case, and whatever is packed in it. */
function unpacked(content: string | Uint8Array, depth = DEPTH): readonly string[] {
  const bytes = typeof content === 'string' ? Buffer.from(content, 'utf8') : Buffer.from(content);
  const packed = depth > 0 ? gunzipped(bytes) : undefined;
  if (packed !== undefined) return unpacked(packed, depth - 1);
  const text = bytes.toString('utf8');
  const inner = depth === 0 ? [] : (text.match(/[A-Za-z0-9+/_-]{16,}={0,2}/g) ?? []);
  const decoded = inner
    .filter((word) => word.length >= ENCODED_CHARS)
    .map((word) => Buffer.from(word, 'base64'))
    .filter(isText)
    .flatMap((one) => unpacked(one, depth - 1));
  return [text, text.toLowerCase(), ...decoded];
}

/** What is packed in bytes, where they are gzip: of random ones some begin as it does. */
function gunzipped(bytes: Buffer): Buffer | undefined {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return undefined;
  try {
    return gunzipSync(bytes);
  } catch {
    return undefined;
  }
}

/** Whether bytes may be worth looking into: text, or gzip. */
function isText(bytes: Buffer): boolean {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return true;
  return bytes.length > 0 && !bytes.toString('utf8').includes('\ufffd');
}
