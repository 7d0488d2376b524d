import { concat, fromHex, toHex, utf8 } from '../log/encoding.js';
import { UnsupportedPlatform } from './report.js';

/** Hashes and signatures by Web Cryptography, which browsers and Node have alike. */
type Subtle = typeof globalThis.crypto.subtle;

function subtle(): Subtle {
  // Browsers have it in secure contexts only.
  const found = (globalThis as { crypto?: { subtle?: Subtle } }).crypto?.subtle;
  if (found === undefined)
    throw new UnsupportedPlatform('this platform has no Web Cryptography (in browsers: open it over HTTPS)');
  return found;
}

/** SHA-256 of bytes or of a text's UTF-8. */
export async function sha256(bytes: Uint8Array | string): Promise<Uint8Array> {
  const input = typeof bytes === 'string' ? utf8(bytes) : bytes;
  return new Uint8Array(await subtle().digest('SHA-256', new Uint8Array(input)));
}

/** RFC 6962: `SHA-256(0x00 || bytes)`, lower-case hex. */
export async function leafHashOf(bytes: string): Promise<string> {
  return toHex(await sha256(concat(Uint8Array.of(0), utf8(bytes))));
}

/** RFC 6962: `SHA-256(0x01 || left || right)`, lower-case hex. */
export async function nodeHashOf(left: string, right: string): Promise<string> {
  return toHex(await sha256(concat(Uint8Array.of(1), fromHex(left), fromHex(right))));
}

/** True when the signature is that of the key over the message. Throws UnsupportedPlatform where Ed25519 is missing. */
export async function ed25519Verifies(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const tools = subtle();
  const algorithm = { name: 'Ed25519' };
  let key;
  try {
    key = await tools.importKey('raw', new Uint8Array(publicKey), algorithm, false, ['verify']);
  } catch (error) {
    // A platform without the algorithm says so by this name; what else it may say is about the key.
    if ((error as Error).name === 'NotSupportedError')
      throw new UnsupportedPlatform('this platform cannot verify Ed25519 signatures');
    return false;
  }
  return tools.verify(algorithm, key, new Uint8Array(signature), new Uint8Array(message));
}
