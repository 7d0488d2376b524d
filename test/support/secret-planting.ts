import { z } from 'zod';
import type { RecordData, RecordType } from '../../src/domain/record-type.js';
import { pathsOf, valueAt, type Path } from '../../src/domain/pointer-patterns.js';
import { replaceAt } from '../../src/domain/committed-form.js';

/** Makes texts that are like no other, and remembers them. */
export class Secrets {
  readonly all: string[] = [];

  constructor(private readonly word: string) {}

  /** Letters, digits, and characters that every encoding has an opinion on. */
  next(): string {
    const secret = `${this.word}${String(this.all.length).padStart(4, '0')}"é/ ${this.word}`;
    this.all.push(secret);
    return secret;
  }

  /** One of ASCII letters and digits, for what takes no other. */
  plain(): string {
    const secret = `${this.word}${String(this.all.length).padStart(4, '0')}${this.word}`;
    this.all.push(secret);
    return secret;
  }
}

/** Every text in a body that a schema would take another for is a secret, but for those at `kept`. */
export function planted<T>(schema: z.ZodType, body: T, secrets: Secrets, kept: readonly string[] = []): T {
  return textPaths(body)
    .filter((path) => !kept.includes(String(path.at(-1))))
    .reduce<unknown>((changed, path) => {
      const next = replaceAt(changed, path, secrets.next());
      if (schema.safeParse(next).success) return next;
      secrets.all.pop();
      return changed;
    }, body) as T;
}

/** A body with something at the sensitive places where it has nothing, as far as its schema takes it. */
export function filled<T>(schema: z.ZodType, body: T, patterns: readonly string[]): T {
  return patterns.reduce<unknown>((whole, pattern) => {
    const path = pattern.split('/').slice(1);
    if (path.includes('*')) return whole;
    const [there] = pathsOf(whole, [pattern]).map((at) => valueAt(whole, at));
    const isDictionary = typeof there === 'object' && there !== null && !Array.isArray(there);
    if (there !== undefined && !isDictionary) return whole;
    const values = isDictionary ? [{ ...there, note: 'text' }] : ANY;
    const candidates = values.map((value) => put(whole, path, value));
    return candidates.find((one) => taken(schema, one, pattern)) ?? whole;
  }, body) as T;
}

const ANY: readonly unknown[] = ['text', ['text'], { note: 'text' }];

/** A body with some text in every member that it need not have, as far as its schema takes that. */
export function rounded<T>(schema: z.ZodType, body: T): T {
  const members = schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
  return filled(schema, body, members.map((member) => `/${member}`)); // prettier-ignore
}

function put(whole: unknown, [head, ...rest]: readonly string[], value: unknown): unknown {
  if (head === undefined) return value;
  const members = (typeof whole === 'object' && whole !== null ? whole : {}) as RecordData;
  return { ...members, [head]: put(members[head], rest, value) };
}

function taken(schema: z.ZodType, body: unknown, pattern: string): boolean {
  const parsed = schema.safeParse(body);
  return parsed.success && pathsOf(parsed.data, [pattern]).length > 0;
}

/** Paths of all texts in a value. */
function textPaths(value: unknown, path: Path = []): readonly Path[] {
  if (typeof value === 'string') return [path];
  if (Array.isArray(value)) return value.flatMap((item, at) => textPaths(item, [...path, at]));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => textPaths(inner, [...path, name]));
}

/** Pointer patterns of all that is sensitive in a record as it is read, with its parts. */
export function sensitivePatterns({ sensitive, parts }: RecordType): readonly string[] {
  const { sensitive: ofParts = {}, shownAt } = parts ?? {};
  const shown = shownAt === undefined ? [] : Object.keys(ofParts).map((pattern) => `${shownAt}${pattern}`);
  return [...Object.keys(sensitive), ...shown];
}

/** What is left of a value without what is sensitive in it. */
export function withoutSensitive(data: RecordData, patterns: readonly string[]): unknown {
  return membersOf(data, patterns).reduce<unknown>((left, path) => replaceAt(left, path, null), data);
}

/** What is sensitive in a value, as JSON. */
export function sensitiveTexts(data: RecordData, patterns: readonly string[]): string {
  return JSON.stringify(membersOf(data, patterns).map((path) => valueAt(data, path)));
}

/** Like `pathsOf`, where `*` is any member of an object as well. */
function membersOf(data: RecordData, patterns: readonly string[]): readonly Path[] {
  return patterns.flatMap((pattern) => {
    const at = pattern.split('/').indexOf('*');
    const head = pattern.split('/').slice(0, at).join('/');
    const [found] = at < 0 ? [] : pathsOf(data, [head]);
    const inner = found === undefined ? undefined : valueAt(data, found);
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return pathsOf(data, [pattern]);
    const rest = pattern.split('/').slice(at + 1);
    return Object.keys(inner).flatMap((name) => pathsOf(data, [[head, name, ...rest].join('/')]));
  });
}
