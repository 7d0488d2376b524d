import type { Served } from '../storage/manager-types.js';

/** Our name in `Cache-Status` (RFC 9211, 2). */
const CACHE = 'business-records';
/** A directive: its name, and its argument as a quoted string or a token (RFC 9111, 5.2). */
const DIRECTIVE = /([^\s,="]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?/g;

/**
 * True when a request does not want what was stored before it: `no-cache`, `no-store` or `max-age=0` in `Cache-Control`,
 * or, without that field, `Pragma: no-cache` (RFC 9111, 5.2.1 and 5.4).
 */
export function wantsFresh(headers: { get(name: string): string | null }): boolean {
  const control = headers.get('cache-control');
  const directives = directivesOf(control ?? headers.get('pragma') ?? '');
  if (directives.has('no-cache')) return true;
  if (control === null) return false;
  return directives.has('no-store') || /^0+$/.test(directives.get('max-age') ?? '');
}

/** Names are compared without regard to case; of a directive given twice the first counts. */
function directivesOf(field: string): ReadonlyMap<string, string> {
  const directives = new Map<string, string>();
  for (const [, name = '', quoted, token] of field.matchAll(DIRECTIVE)) {
    const known = name.toLowerCase();
    if (!directives.has(known)) directives.set(known, quoted ?? token ?? '');
  }
  return directives;
}

/** What a client is told of how its read was answered: `Cache-Status`, and `Age` in seconds where it was a hit. */
export function servedHeaders(served: Served | undefined): Readonly<Record<string, string>> {
  if (served === undefined) return {};
  const { reason, ageMs } = served;
  if (reason === 'hit') return { 'cache-status': `${CACHE}; hit`, age: String(Math.floor(ageMs / 1000)) };
  return { 'cache-status': `${CACHE}; fwd=${reason === 'collapsed' ? 'miss; collapsed' : reason}` };
}
