import { AppError, type Issue } from './errors.js';
import { pointerOf } from './json-input.js';
import { LIMITS } from './limits.js';

/** Below this everything is refused for its nesting, whatever else is wrong with it; envelopes around records fit in. */
const LOOKED_INTO = 2 * LIMITS.nestingDepth;
const ISSUES_AT_MOST = 20;

/**
 * JSON text as a value. Two things that `JSON.parse` passes over in silence are refused, because what would be stored is
 * not what was sent (RFC 7493, I-JSON, 2.2 and 2.3, which RFC 8785 builds on): a member name given twice in one object,
 * in whatever spelling, and a number that a double cannot hold (`faithful`). Throws `request-malformed`, for these with
 * pointers; the text is never quoted. Time is linear in the text, and nesting takes no stack.
 */
export function parseJsonSource(text: string, what: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's message quotes the text, so it is not passed on, not even as a cause.
    throw new AppError('request-malformed', `${what} is not JSON.`);
  }
  const issues = sourceIssues(text);
  if (issues.length === 0) return value;
  throw new AppError('request-malformed', `${what} says something twice, or a number that cannot be kept.`, {
    issues,
  });
}

/** An object or a list that is being read. */
interface Frame {
  /** Names there were; undefined for a list. */
  readonly names: Set<string> | undefined;
  /** The member or the item that is being read. */
  at: string | number;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const NINE = 0x39;
const ZERO = 0x30;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** What is wrong with a text that is known to be JSON, which spares every check of its grammar. */
function sourceIssues(text: string): readonly Issue[] {
  const issues: Issue[] = [];
  const stack: Frame[] = [];
  let frame: Frame | undefined;
  let nameNext = false;
  const complain = (detail: string): void => {
    const pointer = pointerOf(nameable(stack));
    if (!issues.some((issue) => issue.pointer === pointer)) issues.push({ pointer, detail });
  };
  for (let i = 0; i < text.length && issues.length < ISSUES_AT_MOST; i += 1) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      const end = endOfString(text, i + 1);
      if (nameNext && frame?.names !== undefined) {
        nameNext = false;
        frame.at = nameOf(text, i, end);
        if (frame.names.has(frame.at)) complain('is given more than once');
        else frame.names.add(frame.at);
      }
      i = end;
    } else if (code === COMMA) {
      if (typeof frame?.at === 'number') frame.at += 1;
      else nameNext = true;
    } else if (code === MINUS || (code >= ZERO && code <= NINE)) {
      const end = endOfNumber(text, i + 1);
      if (!faithful(text, i, end)) complain('is a number that cannot be kept as it is');
      i = end - 1;
    } else if (code === OPEN_OBJECT || code === OPEN_LIST) {
      if (stack.length === LOOKED_INTO) return issues;
      nameNext = code === OPEN_OBJECT;
      frame = nameNext ? { names: new Set(), at: '' } : { names: undefined, at: 0 };
      stack.push(frame);
    } else if (code === CLOSE_OBJECT || code === CLOSE_LIST) {
      nameNext = false;
      stack.pop();
      frame = stack.at(-1);
    }
  }
  return issues;
}

/** Where the quote is that ends a string: the first with an even number of backslashes before it. */
function endOfString(text: string, start: number): number {
  for (let quote = text.indexOf('"', start); ; quote = text.indexOf('"', quote + 1)) {
    let from = quote;
    while (from > start && text.charCodeAt(from - 1) === BACKSLASH) from -= 1;
    if ((quote - from) % 2 === 0) return quote;
  }
}

/** What the name between two quotes comes to: `"a"` and `"\u0061"` are one. */
function nameOf(text: string, quote: number, end: number): string {
  const raw = text.slice(quote + 1, end);
  return raw.includes('\\') ? (JSON.parse(text.slice(quote, end + 1)) as string) : raw;
}

function endOfNumber(text: string, start: number): number {
  let end = start;
  while (isOfNumber(text.charCodeAt(end))) end += 1;
  return end;
}

/** Digits, the point, signs and both exponents: in JSON nothing else of these is next to a number. */
function isOfNumber(code: number): boolean {
  return (code >= ZERO && code <= NINE) || code === 0x2e || code === MINUS || code === 0x2b || isExponent(code); // prettier-ignore
}

const isExponent = (code: number): boolean => code === 0x65 || code === 0x45;

/** Numbers of fewer characters and without an exponent are kept as they are: a double holds any 15 digits. */
const SHORT = 16;

/**
 * Whether a number is, once it is a double, still the one that was written: beyond 2^53 - 1 in size all its digits must
 * come back (9007199254740993 would be another integer), and what is not zero must not become zero. Fractions below that
 * are rounded to the nearest double, as everywhere. One that is too large altogether is `jsonIssues`' to refuse.
 */
function faithful(text: string, start: number, end: number): boolean {
  if (end - start < SHORT && !hasExponent(text, start, end)) return true;
  const written = text.slice(start, end);
  const value = Number(written);
  if (value === 0) return /^[^1-9]*(?:[eE]|$)/.test(written);
  if (Math.abs(value) <= Number.MAX_SAFE_INTEGER || !Number.isFinite(value)) return true;
  return decimal(written) === decimal(String(value));
}

function hasExponent(text: string, start: number, end: number): boolean {
  for (let i = start; i < end; i += 1) if (isExponent(text.charCodeAt(i))) return true;
  return false;
}

/** The size of a number in one spelling: digits without zeros around them, and the power of ten they are times. */
function decimal(number: string): string {
  const [, whole = '', fraction = '', exponent = '0'] = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(number) ?? []; // prettier-ignore
  const digits = whole + fraction;
  let first = 0;
  while (digits.charCodeAt(first) === ZERO) first += 1;
  let last = digits.length;
  while (digits.charCodeAt(last - 1) === ZERO) last -= 1;
  const power = Number(exponent) - fraction.length + (digits.length - last);
  return `${digits.slice(first, last)}e${String(power)}`;
}

/** The way to where a fault is, as far as it can be named: a name that no record may have ends it. */
function nameable(stack: readonly Frame[]): readonly (string | number)[] {
  const path = stack.map(({ at }) => at);
  const wrong = path.findIndex((at) => typeof at === 'string' && (at.length > LIMITS.memberNameChars || !at.isWellFormed())); // prettier-ignore
  return wrong < 0 ? path : path.slice(0, wrong);
}
