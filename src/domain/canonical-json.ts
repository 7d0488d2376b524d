import canonicalize from 'canonicalize';
import { hash } from 'node:crypto';

/** A JSON value as it is stored: finite numbers, well-formed strings, no undefined. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [member: string]: Json };
export type JsonObject = Readonly<Record<string, Json>>;

/**
 * RFC 8785 canonical JSON. Throws for what JSON cannot say (NaN, lone surrogates, undefined).
 *
 * JSON of a value whose members are in order is that form already, and is written by the engine in half the time. What is
 * not plainly such a value is left to the library.
 */
export function canonicalJson(value: Json): string {
  const plain = inOrder(value);
  const text = plain === undefined ? canonicalize(value) : JSON.stringify(plain);
  if (text === undefined) throw new TypeError('value has no canonical JSON form');
  return text;
}

/** The value with the members of its objects in the order of their names; undefined where that may not be its form. */
function inOrder(value: unknown): Json | undefined {
  if (typeof value === 'string') return value.isWellFormed() ? value : undefined;
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined;
  if (typeof value === 'boolean' || value === null) return value;
  if (typeof value !== 'object' || 'toJSON' in value) return undefined;
  return Array.isArray(value) ? itemsInOrder(value) : membersInOrder(value as Record<string, unknown>);
}

function itemsInOrder(items: readonly unknown[]): Json | undefined {
  const plain: Json[] = [];
  for (const item of items) {
    const own = inOrder(item);
    if (own === undefined) return undefined;
    plain.push(own);
  }
  return plain;
}

/** Names of digits, and `__proto__`, do not stay in the place they are put. */
const MOVES = /^(?:\d|__proto__$)/;

function membersInOrder(members: Readonly<Record<string, unknown>>): Json | undefined {
  const plain: Record<string, Json> = {};
  for (const name of Object.keys(members).sort()) {
    if (members[name] === undefined) continue;
    const own = inOrder(members[name]);
    if (own === undefined || MOVES.test(name) || !name.isWellFormed()) return undefined;
    plain[name] = own;
  }
  return plain;
}

/** Lower-case hex SHA-256. */
export function sha256Hex(bytes: Uint8Array | string): string {
  return hash('sha256', bytes, 'hex');
}

/** The checksum of the envelope: hex SHA-256 over the canonical JSON of the committed form (REQ-STO-014). */
export function checksumOf(committed: Json): string {
  return sha256Hex(canonicalJson(committed));
}
