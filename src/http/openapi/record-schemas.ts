import { z } from 'zod';
import type { PartsDeclaration } from '../../domain/parts.js';
import type { RecordType } from '../../domain/record-type.js';
import { sha256, time } from '../../domain/schema-parts.js';
import { summaryPath } from '../../domain/summary-path.js';
import { olderCreates } from './abilities.js';
import { component, headShape, pageOf, summaryShape } from './shared-schemas.js';

/** Schemas of what requests and answers of one record type hold, all from its declaration. */
export interface RecordSchemas {
  /** Names of components begin with it, e.g. `WorkflowExecution`. */
  readonly name: string;
  /** Body of a create. */
  readonly create: z.ZodType;
  /** Body of a PUT under a name; undefined for a type without names. */
  readonly put: z.ZodType | undefined;
  readonly patch: z.ZodType;
  readonly envelope: z.ZodType;
  readonly summaryPage: z.ZodType;
  /** By path. */
  readonly actions: Readonly<Record<string, z.ZodType>>;
}

const SALTS = z
  .record(z.string(), z.string())
  .meta({ description: 'By JSON pointer, base64url; for who sees sensitive values.' });

/** `workflow_execution` is `WorkflowExecution`. */
export function pascalCase(name: string): string {
  return name
    .split(/[^A-Za-z0-9]+/)
    .map((word) => `${word.slice(0, 1).toUpperCase()}${word.slice(1)}`)
    .join('');
}

export function recordSchemas(type: RecordType): RecordSchemas {
  const name = pascalCase(type.recordType);
  const data = component(`${name}Data`, type.schema);
  const envelope = z.strictObject({
    ...headShape(type),
    data,
    salts: SALTS.optional(),
    stored_schema_version: z.string().optional().meta({ description: 'Of the stored form, when it is an older one.' }),
  }); // prettier-ignore
  return {
    name,
    create: createOf(name, type),
    put: type.named === undefined ? undefined : component(`${name}Put`, putOf(type)),
    patch: component(`${name}Patch`, patchOf(type)),
    envelope: component(
      name,
      envelope,
      `A revision of a ${type.recordType}; \`checksum\` is that of its stored form.`,
    ),
    summaryPage: component(`${name}Page`, pageOf(component(`${name}Summary`, summaryOf(type)))),
    actions: Object.fromEntries(
      Object.entries(type.actions).map(([path, { input }]) => [path, inputOf(name, path, input)]),
    ),
  };
}

/** The body of an action or of an addition. */
export function inputOf(name: string, path: string, input: z.ZodType): z.ZodType {
  return component(`${name}${pascalCase(path)}Input`, input);
}

/** An entry as lists show it: what is stored, its number, and when it came. */
export function shownEntry(name: string, { entry, sensitive }: PartsDeclaration): z.ZodType {
  const head = { seq: z.int().min(0), added_at: time(), checksum: sha256() };
  const shown = {
    ...head,
    ...(sensitive === undefined ? {} : { salts: SALTS.optional() }),
    ...membersOf(entry),
  };
  return component(entryName(name), z.strictObject(shown));
}

/** Of the component that describes an entry of a type's parts. */
export function entryName(name: string): string {
  return `${name}Entry`;
}

/** What a list may be filtered by under a name. */
export function filterOf(type: RecordType, name: string): z.ZodType {
  return summaryMember(type, name);
}

function membersOf(schema: z.ZodType): Readonly<Record<string, z.ZodType>> {
  return schema instanceof z.ZodObject ? schema.shape : {};
}

/** The body of a create, also in the older schema versions that are still taken. */
function createOf(name: string, type: RecordType): z.ZodType {
  const current = component(`${name}Create`, type.createSchema);
  const older = olderCreates(type).map(({ version, schema }) => {
    const members = { ...membersOf(schema), schema_version: z.literal(version) };
    return component(`${name}Create_${version.replaceAll('.', '_')}`, z.strictObject(members));
  });
  return older.length === 0 ? current : z.union([current, ...older]);
}

/** A create without the members that the address says. */
function putOf(type: RecordType): z.ZodType {
  const said = [type.named?.member, type.partition.kind === 'member' ? type.partition.member : undefined];
  const members = Object.entries(membersOf(type.createSchema)).filter(([member]) => !said.includes(member));
  return z.strictObject(Object.fromEntries(members));
}

/** A merge patch: what may change, each member by itself; null removes one that need not be there. */
function patchOf(type: RecordType): z.ZodType {
  const free = Object.entries(membersOf(type.schema)).filter(([member]) => !type.immutable.includes(member));
  const members = free.map(([member, schema]) => {
    const inner = unwrapped(schema);
    const value =
      inner instanceof z.ZodObject || inner instanceof z.ZodRecord
        ? z
            .record(z.string(), z.unknown())
            .meta({ description: 'Merged into what is there; null removes a member.' })
        : inner;
    return [member, inner === schema ? value.optional() : value.nullable().optional()] as const;
  });
  return z.strictObject(Object.fromEntries(members)).meta({ description: 'RFC 7396.' });
}

/** A schema without what says that its value may be missing. */
function unwrapped(schema: z.ZodType): z.ZodType {
  return schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodNullable
    ? unwrapped(schema.unwrap() as z.ZodType)
    : schema;
}

function summaryOf(type: RecordType): z.ZodType {
  const members = type.summary.map((member) => [member, summaryMember(type, member)] as const);
  const all = z.strictObject({ ...summaryShape(type), ...Object.fromEntries(members) });
  // Who asks for `fields` sees those, and the id.
  return all.partial().required({ id: true });
}

/** What a summary shows under a name; any JSON where the type does not say. */
function summaryMember(type: RecordType, name: string): z.ZodType {
  return summaryPath(type, name).reduce<z.ZodType>(
    (found, member) => unwrapped(membersOf(found)[member] ?? z.unknown()),
    type.schema,
  );
}
