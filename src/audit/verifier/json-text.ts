import { LIMITS } from '../../domain/limits.js';
import type { Malformed } from '../log/encoding.js';

/** A JSON object that was read from a text. */
export interface ParsedObject {
  readonly value: Readonly<Record<string, unknown>>;
}

/**
 * Parses the text of a JSON object that means one thing to everybody: no member twice, no nesting that brings a reader
 * down, no half of a surrogate pair.
 */
export function parseJsonObject(text: string, maxChars: number): ParsedObject | Malformed {
  if (text.length > maxChars) return { malformed: 'is too long' };
  let value: unknown;
  try {
    // First, and in one pass: a parser spends seconds on what is nested a million times.
    const fault = ambiguityOf(text);
    if (fault !== undefined) return { malformed: fault };
    value = JSON.parse(text);
  } catch {
    return { malformed: 'is not JSON' };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { malformed: 'is not a JSON object' };
  return { value: value as Record<string, unknown> };
}

/** What readers may differ about in a text, if it is JSON; throws SyntaxError where it certainly is not. */
function ambiguityOf(text: string): string | undefined {
  // The members of each object that is open; undefined for a list.
  const open: (Set<string> | undefined)[] = [];
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '{' || char === '[') {
      if (open.push(char === '{' ? new Set() : undefined) > LIMITS.proofDocumentDepth)
        return 'is nested too deeply';
    } else if (char === '}' || char === ']') {
      open.pop();
    } else if (char === '"') {
      const end = endOfString(text, at);
      const string = JSON.parse(text.slice(at, end)) as string;
      if (!string.isWellFormed()) return 'has half of a surrogate pair, which is not a character';
      if (isMemberName(text, end)) {
        const names = open.at(-1);
        if (names?.has(string) === true) return 'has a member twice';
        names?.add(string);
      }
      at = end - 1;
    }
  }
  return undefined;
}

/** Where the string that begins at `start` has ended. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

function isMemberName(text: string, end: number): boolean {
  let at = end;
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at += 1;
  return text[at] === ':';
}
