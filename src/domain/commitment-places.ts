import { COMMITMENT_MEMBER } from './commitment.js';
import { pointerOf } from './json-input.js';

/** The commitments in a committed form by the JSON pointers (RFC 6901) of their places: hex SHA-256. */
export function commitmentPlaces(committed: unknown): ReadonlyMap<string, string> {
  const places = new Map<string, string>();
  const walk = (value: unknown, path: readonly (string | number)[]): void => {
    if (typeof value !== 'object' || value === null) return;
    const commitment = (value as Record<string, unknown>)[COMMITMENT_MEMBER];
    // Nobody can submit a member of that name, so all of them are ours.
    if (typeof commitment === 'string') places.set(pointerOf(path), commitment);
    else if (Array.isArray(value)) value.forEach((item, at) => walk(item, [...path, at]));
    else for (const [name, inner] of Object.entries(value)) walk(inner, [...path, name]);
  };
  walk(committed, []);
  return places;
}
