import { isMalformed } from '../log/encoding.js';
import { witnessKeyOf, type WitnessKey } from '../log/witness-key.js';

/** Settings of anchors, as text from the environment. Pure. */

/**
 * The submission prefix of a witness, without a slash at its end; undefined for what is none. HTTPS, or plain HTTP on
 * this machine; no user, no query.
 */
export function parseWitnessUrl(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const { protocol, hostname, username, password, search, hash } = new URL(text);
  const here = ['127.0.0.1', '[::1]', 'localhost'].includes(hostname);
  if (protocol !== 'https:' && !(protocol === 'http:' && here)) return undefined;
  if (username !== '' || password !== '' || search !== '' || hash !== '') return undefined;
  return text.replace(/\/+$/, '');
}

/** The key of a witness, from its verifier key; undefined for what is none. */
export function parseWitnessKey(text: string): WitnessKey | undefined {
  const key = witnessKeyOf(text);
  return isMalformed(key) ? undefined : key;
}

/** A number of checkpoints, from 1 on; undefined for anything else. */
export function parseEvery(text: string): number | undefined {
  return /^[1-9]\d{0,5}$/.test(text) ? Number(text) : undefined;
}

/** Another account: its name, or a connection string; undefined for what is neither. */
export function parseAccount(
  text: string,
): { readonly accountName: string } | { readonly connectionString: string } | undefined {
  if (/^[a-z0-9]{3,24}$/.test(text)) return { accountName: text };
  return text.includes('=') ? { connectionString: text } : undefined;
}

/** The name of a container, as Azure has them; undefined for anything else. */
export function parseContainer(text: string): string | undefined {
  return /^[a-z0-9](?:-?[a-z0-9]){2,62}$/.test(text) ? text : undefined;
}
