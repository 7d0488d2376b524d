/** True for a JSON object (not null, not an array). */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * JSON Merge Patch, RFC 7396: a new value, neither argument is changed. Null removes a member, objects merge, anything
 * else replaces.
 */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return structuredClone(patch);
  const result = new Map(Object.entries(isObject(target) ? target : {}));
  for (const [member, value] of Object.entries(patch)) {
    if (value === null) result.delete(member);
    else result.set(member, mergePatch(result.get(member), value));
  }
  // fromEntries defines members, so one named __proto__ stays data.
  return structuredClone(Object.fromEntries(result));
}
