import { z } from 'zod';
import { invalid, isAppError } from './errors.js';
import { isObject } from './merge-patch.js';
import type { Deprecation, Migration, OlderCreate, RecordType } from './record-type.js';

/** Schema versions of what is written (REQ-STO-016 to 018); stored data is upgraded by `upgrade.ts`. */

const MEMBER = 'schema_version';

/** The body of a create and the schema version it is written in. */
export interface VersionedBody {
  readonly version: string;
  /** Without the member that named the version. */
  readonly body: unknown;
}

/** A migration whose older version may still be written. */
export type WritableMigration = Migration & { readonly create: OlderCreate };

/** The versions that a create may name, the current one last. */
export function writableVersions(type: RecordType): readonly string[] {
  return [...type.migrations.filter(isWritable).map(({ from }) => from), type.schemaVersion];
}

/** The migrations that a body of a writable version goes through, in order; none for the current version. */
export function migrationsOf(type: RecordType, version: string): readonly WritableMigration[] {
  const first = type.migrations.findIndex(({ from }) => from === version);
  return first < 0 ? [] : type.migrations.slice(first).filter(isWritable);
}

function isWritable(migration: Migration): migration is WritableMigration {
  return migration.create !== undefined;
}

/**
 * The version a body names, whether or not there is one; undefined when it names none. In a type whose data has a member
 * `schema_version` of its own that member is data and names nothing.
 */
export function namedVersion(type: RecordType, body: unknown): unknown {
  if (!isObject(body) || !Object.hasOwn(body, MEMBER)) return undefined;
  return type.schema instanceof z.ZodObject && Object.hasOwn(type.schema.shape, MEMBER)
    ? undefined
    : body[MEMBER];
}

/** Splits what is written from the version it is written in. Throws `record-invalid` for one that is not taken. */
export function versionedBody(type: RecordType, body: unknown): VersionedBody {
  const named = namedVersion(type, body);
  if (named === undefined) return { version: type.schemaVersion, body };
  const versions = writableVersions(type);
  const version = versions.find((known) => known === named);
  if (version === undefined) throw invalid([{ pointer: `/${MEMBER}`, detail: `must be one of ${versions.join(', ')}` }]); // prettier-ignore
  return { version, body: without(body as object) };
}

function without(body: object): unknown {
  // fromEntries defines members, so one named __proto__ stays data, and is refused.
  return Object.fromEntries(Object.entries(body).filter(([member]) => member !== MEMBER));
}

/** Does `work` on a migrated body; faults it finds there are told by pointers into the body that was sent. */
export function inTermsOf<T>(migrations: readonly WritableMigration[], work: () => T): T {
  if (migrations.length === 0) return work();
  try {
    return work();
  } catch (error) {
    if (!isAppError(error, 'record-invalid')) throw error;
    throw invalid(
      error.issues.map((issue) => ({
        ...issue,
        pointer: migrations.reduceRight(
          (pointer, { create }) => renamedBack(create.renamed, pointer),
          issue.pointer,
        ),
      })),
    );
  }
}

/** The pointer under the longest pattern it begins with, as it was called before. */
function renamedBack(renamed: OlderCreate['renamed'], pointer: string): string {
  const tokens = pointer.split('/');
  const rules = Object.entries(renamed)
    .map(([now, then]) => ({ now: now.split('/'), then: then.split('/') }))
    .filter(
      ({ now }) =>
        now.length <= tokens.length && now.every((token, at) => token === '*' || token === tokens[at]),
    ) // prettier-ignore
    .sort((a, b) => b.now.length - a.now.length);
  const rule = rules[0];
  if (rule === undefined) return pointer;
  const indexes = tokens.filter((_, at) => rule.now[at] === '*');
  const head = rule.then.map((token) => (token === '*' ? (indexes.shift() ?? token) : token));
  return [...head, ...tokens.slice(rule.now.length)].join('/');
}

/** What is said to those who use a version; undefined for one that is not deprecated, or not known. */
export function deprecationOf(type: RecordType, version: unknown): Deprecation | undefined {
  return type.migrations.find(({ from }) => from === version)?.deprecated;
}
