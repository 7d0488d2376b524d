import { COMMITMENT_MEMBER, commit, type Secret, type Secrets } from './commitment.js';
import { pointerOf } from './json-input.js';

/** Secrets by the commitment that each of them opens: salts are random, so no two commitments are the same. */
export type Openings = ReadonlyMap<string, Secret>;

/** What opens the commitments of several committed forms. */
export function openingsOf(...all: readonly Secrets[]): Openings {
  return new Map(
    all.flatMap((secrets) => Object.values(secrets).map((secret) => [commit(secret).$commitment, secret])),
  );
}

export interface Disclosed<T> {
  readonly data: T;
  /** base64url, by JSON pointer (RFC 6901) into `data`. */
  readonly salts: Readonly<Record<string, string>>;
}

/**
 * A committed form, or whatever was put together from committed forms, with the values in the places of the commitments
 * that `openings` has something for; all others stay. Pure; copies only what changes.
 */
export function disclose<T>(committed: T, openings: Openings): Disclosed<T> {
  const salts: Record<string, string> = {};
  const walk = (value: unknown, path: readonly (string | number)[]): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    const commitment = (value as Record<string, unknown>)[COMMITMENT_MEMBER];
    const secret = typeof commitment === 'string' ? openings.get(commitment) : undefined;
    if (secret !== undefined) {
      salts[pointerOf(path)] = secret.salt;
      return secret.value;
    }
    if (Array.isArray(value)) {
      const items = value.map((item: unknown, at) => walk(item, [...path, at]));
      return items.some((item, at) => item !== value[at]) ? items : value;
    }
    const entries = Object.entries(value).map(
      ([name, inner]) => [name, walk(inner, [...path, name])] as const,
    );
    return entries.some(([name, inner]) => inner !== (value as Record<string, unknown>)[name])
      ? Object.fromEntries(entries)
      : value;
  };
  const data = openings.size === 0 ? committed : (walk(committed, []) as T);
  return { data, salts };
}
