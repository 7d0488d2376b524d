import { z } from 'zod';
import { pointerOf } from '../../src/domain/json-input.js';
import { RECORD_TYPES } from '../../src/records/registry.js';
import { LIMITS } from '../../src/domain/limits.js';

/** One thing wrong with a body that is right otherwise. */
export interface InputFault {
  /** What kind of fault, e.g. `above its maximum`. */
  readonly what: string;
  /** Where the refusal has to point. */
  readonly pointer: string;
  /** To be written with `textOf`. */
  readonly body: unknown;
}

/** JSON Schema of what is submitted, as far as it is looked at here. */
interface Shape {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly format?: string;
  readonly pattern?: string;
  readonly examples?: readonly unknown[];
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly items?: Shape;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Shape;
  readonly anyOf?: readonly Shape[];
  readonly oneOf?: readonly Shape[];
}

type Path = readonly (string | number)[];
type Members = Readonly<Record<string, unknown>>;

const TIME = '2026-02-01T00:00:00.000Z';
const IDS = RECORD_TYPES.map(({ idPrefix }) => `${idPrefix}_019b0000-0000-7000-8000-000000000000`);
const TEXTS = ['x', TIME, ...IDS, 'a'.repeat(64), '1.0', '1.0.0', 'a@example.org', 'https://example.org/', 'text/plain']; // prettier-ignore
const NO_TIMES = ['yesterday', '2026-02-01', '2026-02-30T00:00:00Z', '2026-13-01T00:00:00Z', '2026-02-01T25:00:00Z', '1969-12-31T23:59:59Z', '2026-02-01T00:00:00']; // prettier-ignore
const NO_IDS = ['dec_1', 'DEC_019b0000-0000-7000-8000-000000000000', '019b0000-0000-7000-8000-000000000000'];

/** What JSON Schema cannot say of a string is found by trying (scripts/generate.mjs does the same). */
function tried({
  zodSchema,
  jsonSchema,
}: {
  zodSchema: z.core.$ZodType;
  jsonSchema: z.core.JSONSchema.BaseSchema;
}) {
  if (jsonSchema.type !== 'string' || jsonSchema.enum !== undefined) return;
  const takes = (text: string): boolean => z.safeParse(zodSchema, text).success;
  const taken = TEXTS.find(takes);
  if (taken === undefined) throw new Error('no text is known that this member takes: add one to TEXTS');
  jsonSchema.examples = [taken];
  if (taken === TIME) jsonSchema.format = 'date-time';
  if (IDS.includes(taken)) jsonSchema.format = 'record-id';
}

function shapeOf(schema: z.ZodType): Shape {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', override: tried }) as Shape;
}

/**
 * For every member that a schema takes, all that may be wrong with it, one thing at a time, in a body that says
 * everything that may be said beside `example`. A pointer is where the one thing is.
 */
export function inputFaults(schema: z.ZodType, example: unknown): readonly InputFault[] {
  const shape = shapeOf(schema);
  const { body, left } = completed(schema, shape, example);
  const faults = [...faultsAt(shape, body, [])];
  // Members that do not go with the others are tried by themselves.
  const apart = left.flatMap(([path, member]) => {
    const with_ = setAt(body, path, sampleOf(member));
    return [...faultsAt(member, with_, path)].filter(({ what }) => what !== 'missing');
  });
  return [...faults, ...apart].map(({ what, path, body: wrong }) => ({
    what,
    pointer: pointerOf(path),
    body: wrong,
  }));
}

/** Every member a schema takes, as pointers with `*` for items of a list. */
export function membersOf(schema: z.ZodType): readonly string[] {
  const walk = (shape: Shape, at: string): readonly string[] => [
    at,
    ...Object.entries(shape.properties ?? {}).flatMap(([name, member]) => walk(member, `${at}/${name}`)),
    ...(shape.items === undefined ? [] : walk(shape.items, `${at}/*`)),
  ];
  return walk(shapeOf(schema), '').filter((pointer) => pointer !== '');
}

/** The example with every optional member that goes with it; and those that do not. */
function completed(schema: z.ZodType, shape: Shape, example: unknown) {
  const left: (readonly [Path, Shape])[] = [];
  let body = example;
  const complete = (at: Shape, path: Path): void => {
    const shapeHere = branchOf(at, getAt(body, path));
    for (const [name, member] of Object.entries(shapeHere.properties ?? {})) {
      const here = [...path, name];
      if (isEmpty(getAt(body, here))) {
        const more = setAt(body, here, sampleOf(member));
        if (schema.safeParse(more).success) body = more;
        else if (getAt(body, here) === undefined) left.push([here, member]);
      }
      complete(member, here);
    }
    const items = getAt(body, path);
    if (shapeHere.items !== undefined && Array.isArray(items) && items.length > 0) complete(shapeHere.items, [...path, 0]); // prettier-ignore
  };
  complete(shape, []);
  return { body, left };
}

const isEmpty = (value: unknown): boolean =>
  value === undefined || (Array.isArray(value) && value.length === 0);

/** Of several shapes the one that a value has; one alone besides null. */
function branchOf(shape: Shape, value: unknown): Shape {
  const all = (shape.anyOf ?? shape.oneOf ?? []).filter(({ type }) => type !== 'null');
  if (all.length === 1) return all[0] as Shape;
  const tagged = all.filter(({ properties }) => Object.entries(properties ?? {}).some(([name, tag]) => tag.const !== undefined && (value as Members | undefined)?.[name] === tag.const)); // prettier-ignore
  return tagged.length === 1 ? (tagged[0] as Shape) : shape;
}

function sampleOf(shape: Shape): unknown {
  const [alternative] = shape.anyOf ?? shape.oneOf ?? [];
  if (alternative !== undefined) return sampleOf(alternative);
  if (shape.const !== undefined) return shape.const;
  if (shape.enum !== undefined) return shape.enum[0];
  switch (shape.type) {
    case 'string':
      return shape.examples?.[0] ?? 'x';
    case 'number':
    case 'integer':
      return Math.min(shape.maximum ?? 1, Math.max(shape.minimum ?? 1, 1));
    case 'boolean':
      return true;
    case 'array':
      return [sampleOf(shape.items ?? {})];
    case 'object':
      if (shape.properties === undefined)
        return { sample: typeof shape.additionalProperties === 'object' ? sampleOf(shape.additionalProperties) : 1 }; // prettier-ignore
      return Object.fromEntries(
        (shape.required ?? []).map((name) => [name, sampleOf(shape.properties?.[name] ?? {})]),
      );
    default:
      return 'x';
  }
}

interface Fault {
  readonly what: string;
  readonly path: Path;
  readonly body: unknown;
}

/** Numbers that JSON can write and no reader can keep. */
const TOO_LARGE = '\u0001 1e999';

/** A body with a fault as it travels. */
export function textOf(body: unknown): string {
  return JSON.stringify(body).replaceAll(/"\\u0001 (-?1e999)"/g, '$1');
}

function* faultsAt(shape: Shape, body: unknown, path: Path): Generator<Fault> {
  const value = getAt(body, path);
  const own = branchOf(shape, value);
  for (const [what, wrong, below = []] of wrongValues(own)) {
    if (wrong === null && shape !== own) continue;
    yield { what, path: [...path, ...below], body: path.length === 0 ? wrong : setAt(body, path, wrong) };
  }
  if (own.type === 'array' && Array.isArray(value)) {
    const item: unknown = value[0] ?? sampleOf(own.items ?? {});
    const many = Array.from({ length: (own.maxItems ?? LIMITS.collectionItems) + 1 }, () => item);
    yield { what: 'too many items', path, body: setAt(body, path, many) };
    if ((own.minItems ?? 0) > 0) yield { what: 'too few items', path, body: setAt(body, path, []) };
    if (value.length > 0) yield* faultsAt(own.items ?? {}, body, [...path, 0]);
  }
  if (own.type !== 'object') return;
  const unknown = own.properties !== undefined;
  for (const name of unknown ? ['no_such_member', '__proto__'] : ['__proto__', '$commitment'])
    yield { what: unknown ? 'an unknown member' : 'a reserved member', path: [...path, name], body: setAt(body, [...path, name], 1) }; // prettier-ignore
  if (!unknown) yield* dictionaryFaults(body, path);
  if (
    !unknown &&
    typeof own.additionalProperties === 'object' &&
    own.additionalProperties.type !== undefined
  ) {
    const [name] = Object.keys(value ?? {});
    if (name !== undefined) yield* faultsAt(own.additionalProperties, body, [...path, name]);
  }
  for (const [name, member] of Object.entries(own.properties ?? {})) {
    if (getAt(body, [...path, name]) === undefined) continue;
    if (own.required?.includes(name) === true)
      yield { what: 'missing', path: [...path, name], body: setAt(body, [...path, name], undefined) };
    yield* faultsAt(member, body, [...path, name]);
  }
}

function* dictionaryFaults(body: unknown, path: Path): Generator<Fault> {
  const many = Object.fromEntries(Array.from({ length: LIMITS.collectionItems + 1 }, (_, at) => [`m${String(at)}`, 0])); // prettier-ignore
  yield { what: 'too many members', path, body: setAt(body, path, many) };
  const free = [...path, 'free'];
  yield { what: 'not finite', path: free, body: setAt(body, free, TOO_LARGE) };
  yield { what: 'half of a surrogate pair', path: free, body: setAt(body, free, '\ud800') };
}

type Wrong = readonly [what: string, value: unknown, below?: Path];

/** Values that a member does not take, whatever else the body says. */
function* wrongValues(shape: Shape): Generator<Wrong> {
  const several = shape.anyOf ?? shape.oneOf;
  if (several !== undefined) {
    const others = [7, 'x', true, [], {}].filter(
      (value) => !several.some(({ type }) => type === typeOf(value)),
    );
    yield* others.map((value): Wrong => ['of another type', value]);
    return;
  }
  yield ['null', null];
  if (shape.enum !== undefined || shape.const !== undefined) yield ['an unknown value', 'no such value'];
  if (shape.type === 'string') yield* wrongTexts(shape);
  else if (shape.type === 'number' || shape.type === 'integer') yield* wrongNumbers(shape);
  else for (const value of OTHERS[shape.type ?? ''] ?? []) yield ['of another type', value];
}

const OTHERS: Readonly<Record<string, readonly unknown[]>> = {
  boolean: ['true', 1],
  array: [{}, 'x'],
  object: [[], 'x'],
};

const typeOf = (value: unknown): string => (Array.isArray(value) ? 'array' : typeof value);

function* wrongTexts(shape: Shape): Generator<Wrong> {
  yield ['of another type', 7];
  yield ['of another type', ['x']];
  yield ['half of a surrogate pair', '\ud800'];
  if (shape.enum !== undefined) return;
  yield ['too long', 'x'.repeat((shape.maxLength ?? LIMITS.textChars) + 1)];
  if (shape.format === 'date-time') for (const text of NO_TIMES) yield ['no time', text];
  if (shape.format === 'record-id') for (const text of NO_IDS) yield ['no id', text];
  const bound = shape.format !== undefined || shape.pattern !== undefined || (shape.minLength ?? 0) > 0;
  if (bound) for (const text of ['', ' \t\n']) yield ['blank', text];
}

function* wrongNumbers(shape: Shape): Generator<Wrong> {
  yield ['of another type', '7'];
  yield ['not finite', TOO_LARGE];
  yield ['not finite', TOO_LARGE.replace('1e', '-1e')];
  if (shape.type === 'integer') yield ['no integer', 0.5 + Math.max(shape.minimum ?? 0, 0)];
  if (shape.minimum !== undefined) yield ['below its minimum', shape.minimum - stepOf(shape.minimum)];
  if (shape.maximum !== undefined) yield ['above its maximum', shape.maximum + stepOf(shape.maximum)];
  if (shape.exclusiveMinimum !== undefined) yield ['at its minimum', shape.exclusiveMinimum];
  if (shape.exclusiveMaximum !== undefined) yield ['at its maximum', shape.exclusiveMaximum];
}

/** One, and where one is too little to make a difference a thousandth of it. */
const stepOf = (bound: number): number => Math.max(1, Math.abs(bound) / 1000);

function getAt(value: unknown, [name, ...rest]: Path): unknown {
  if (name === undefined) return value;
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return getAt((value as Members)[name], rest);
}

/** A copy with the value at a path replaced, or taken out where `next` is undefined. */
function setAt(value: unknown, [name, ...rest]: Path, next: unknown): unknown {
  if (name === undefined) return next;
  if (Array.isArray(value))
    return value.map((item, at): unknown => (at === name ? setAt(item, rest, next) : item));
  const others = Object.entries((value ?? {}) as Members).filter(([member]) => member !== name);
  const set = setAt((value as Members | undefined)?.[name], rest, next);
  return Object.fromEntries([...others, ...(set === undefined ? [] : [[name, set] as const])]);
}
