import { parseTime } from '../domain/clock.js';
import type { Deprecation, RecordType } from '../domain/record-type.js';
import { deprecationOf } from '../domain/versions.js';

/**
 * `Deprecation` (RFC 9745: a structured date, `@` and seconds since 1970) and `Sunset` (RFC 8594: an HTTP date) where one
 * of the schema versions that a request names or an answer shows is deprecated; of several the earliest times. Empty
 * where none is. Pure.
 */
export function deprecationHeaders(
  type: RecordType | undefined,
  versions: Iterable<unknown>,
): Readonly<Record<string, string>> {
  if (type === undefined) return {};
  const found = [...new Set(versions)].flatMap((version) => deprecationOf(type, version) ?? []);
  if (found.length === 0) return {};
  const earliest = (time: keyof Deprecation): number =>
    Math.min(...found.map((deprecation) => parseTime(deprecation[time]) ?? 0));
  return {
    deprecation: `@${String(Math.floor(earliest('since') / 1000))}`,
    sunset: new Date(earliest('sunset')).toUTCString(),
  };
}
