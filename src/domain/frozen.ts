/** What a value and a member take besides their text, roughly: it is to bound memory, not to measure it. */
const VALUE_BYTES = 16;
const MEMBER_BYTES = 24;

/**
 * Freezes a JSON value and everything in it, so that many may be given the same one and nobody changes it for the
 * others. Returns about how many bytes of memory it takes. Once for each value, where copies would cost several times
 * that for each reader.
 */
export function freezeJson(value: unknown): number {
  if (typeof value === 'string') return VALUE_BYTES + 2 * value.length;
  if (typeof value !== 'object' || value === null) return VALUE_BYTES;
  Object.freeze(value);
  return Object.values(value).reduce<number>(
    (bytes, member) => bytes + MEMBER_BYTES + freezeJson(member),
    VALUE_BYTES,
  );
}
