import type { Entropy } from './clock.js';
import type { Json } from './canonical-json.js';
import { COMMITMENT_MEMBER, commit, isCommitment, newSalt, type Secret, type Secrets } from './commitment.js';
import type { Openings } from './disclosure.js';
import { pointerOf } from './json-input.js';
import { isObject } from './merge-patch.js';
import { pathsOf, valueAt, type Path } from './pointer-patterns.js';

/** A copy of `value` with what stands at `path` replaced. */
export function replaceAt(value: unknown, path: Path, replacement: unknown): unknown {
  const [head, ...tail] = path;
  if (head === undefined) return replacement;
  if (Array.isArray(value)) {
    return value.map((item: unknown, index) => (index === head ? replaceAt(item, tail, replacement) : item));
  }
  if (!isObject(value)) return value;
  if (typeof head === 'number' || !Object.hasOwn(value, head)) return { ...value };
  // What is spread and computed is defined, so a member named __proto__ stays data.
  return { ...value, [head]: replaceAt(value[head], tail, replacement) };
}

/**
 * The committed form of `data`: every sensitive value replaced by a commitment under a fresh 32-byte salt
 * (architecture.md, the envelope). The secrets are keyed by RFC 6901 pointer. What is a commitment already, because its
 * value was erased, is carried on as it is.
 */
export function commitData(
  data: Record<string, unknown>,
  patterns: readonly string[],
  entropy: Entropy,
): { readonly committed: Record<string, unknown>; readonly secrets: Secrets } {
  const secrets: Record<string, Secret> = {};
  let committed: unknown = data;
  for (const path of pathsOf(data, patterns)) {
    const value = valueAt(data, path) as Json;
    if (isCommitment(value)) continue;
    const secret: Secret = { salt: newSalt(entropy), value };
    secrets[pointerOf(path)] = secret;
    committed = replaceAt(committed, path, commit(secret));
  }
  return { committed: committed as Record<string, unknown>, secrets };
}

/** The inverse: a committed form with the values of `secrets` back in their places. */
export function discloseData(committed: Record<string, unknown>, secrets: Secrets): Record<string, unknown> {
  let data: unknown = committed;
  for (const [pointer, secret] of Object.entries(secrets)) {
    data = replaceAt(data, pathOf(committed, pointer), secret.value);
  }
  return data as Record<string, unknown>;
}

/** What opens the commitments of a committed form that was held against its secrets: nothing is hashed again. */
export function openingsIn(committed: Record<string, unknown>, secrets: Secrets): Openings {
  return new Map(
    Object.entries(secrets).flatMap(([pointer, secret]) => {
      const found = valueAt(committed, pathOf(committed, pointer));
      return isCommitment(found) ? [[found.$commitment, secret] as const] : [];
    }),
  );
}

function pathOf(root: unknown, pointer: string): Path {
  const path: (string | number)[] = [];
  let value = root;
  for (const token of pointer.split('/').slice(1)) {
    const part = Array.isArray(value) ? Number(token) : token.replaceAll('~1', '/').replaceAll('~0', '~');
    path.push(part);
    value = (value as Record<string | number, unknown> | undefined)?.[part];
  }
  return path;
}

/**
 * True when every secret opens the commitment that stands at its place, and there are commitments at the pointers that
 * were sealed and nowhere else. Those without a secret were erased.
 */
export function secretsMatch(
  committed: Record<string, unknown>,
  sealed: readonly string[],
  secrets: Secrets,
): boolean {
  const matching = sealed.every((pointer) => {
    const found = valueAt(committed, pathOf(committed, pointer));
    if (!isObject(found) || !Object.hasOwn(found, COMMITMENT_MEMBER)) return false;
    const secret = secrets[pointer];
    return secret === undefined || found[COMMITMENT_MEMBER] === commit(secret).$commitment;
  });
  const known = Object.keys(secrets).every((pointer) => sealed.includes(pointer));
  // Nobody can submit a member of that name, so all of them are ours.
  return matching && known && commitmentsIn(committed) === sealed.length;
}

function commitmentsIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  if (Object.hasOwn(value, COMMITMENT_MEMBER)) return 1;
  return Object.values(value).reduce<number>((count, inner) => count + commitmentsIn(inner), 0);
}
