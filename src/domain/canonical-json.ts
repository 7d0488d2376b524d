import canonicalize from 'canonicalize';
import { hash } from 'node:crypto';

/** A JSON value as it is stored: finite numbers, well-formed strings, no undefined. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [member: string]: Json };
export type JsonObject = Readonly<Record<string, Json>>;

/** RFC 8785 canonical JSON. Throws TypeError for what JSON cannot say (NaN, lone surrogates, undefined). */
export function canonicalJson(value: Json): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError('value has no canonical JSON form');
  return text;
}

/** Lower-case hex SHA-256. */
export function sha256Hex(bytes: Uint8Array | string): string {
  return hash('sha256', bytes, 'hex');
}

/** The checksum of the envelope: hex SHA-256 over the canonical JSON of the committed form (REQ-STO-014). */
export function checksumOf(committed: Json): string {
  return sha256Hex(canonicalJson(committed));
}
