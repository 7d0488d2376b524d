import { formatTime, parseTime } from '../domain/clock.js';
import { AppError } from '../domain/errors.js';
import { LIMITS } from '../domain/limits.js';

/** Parsers of query parameters; all throw `request-malformed` and say which parameter is at fault. */

/** Refuses parameters nobody knows and parameters given twice: a typo must not widen a query. */
export function assertKnown(query: URLSearchParams, known: readonly string[]): void {
  for (const name of new Set(query.keys())) {
    if (!known.includes(name))
      throw malformed(`There is no query parameter ${JSON.stringify(name.slice(0, 64))} here.`);
    if (query.getAll(name).length > 1) throw malformed(`The query parameter ${name} is given twice.`);
  }
}

/** 1 to 1,000; default 50. */
export function limitOf(query: URLSearchParams): number {
  const text = query.get('limit');
  if (text === null) return LIMITS.pageItemsDefault;
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > LIMITS.pageItems) throw malformed('limit must be an integer from 1 to 1000.');
  return limit;
}

/** Names separated by commas; undefined when it is not asked for. What they may be is for the list to say. */
export function fieldsOf(query: URLSearchParams): readonly string[] | undefined {
  return query.get('fields')?.split(',');
}

export function cursorOf(query: URLSearchParams): string | undefined {
  return query.get('cursor') ?? undefined;
}

/** Milliseconds of an RFC 3339 time, rounded down. */
export function timeOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  // A '+' of an offset that was not percent-encoded arrives as a space.
  const ms = parseTime(text.replace(' ', '+'));
  if (ms === undefined) throw malformed(`${name} must be an RFC 3339 time such as ${formatTime(0)}.`);
  return ms;
}

/** `from` (inclusive) and `to` (exclusive). */
export function periodOf(query: URLSearchParams): { fromMs: number | undefined; toMs: number | undefined } {
  return { fromMs: timeOf(query, 'from'), toMs: timeOf(query, 'to') };
}

function malformed(detail: string): AppError {
  return new AppError('request-malformed', detail);
}
