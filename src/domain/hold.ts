import { z } from 'zod';
import { parseShape } from './apply-change.js';
import { invalid, type Issue } from './errors.js';
import { jsonIssues, pointerOf } from './json-input.js';
import { LIMITS } from './limits.js';
import type { RecordType } from './record-type.js';
import { label, time } from './schema-parts.js';
import { subjectsOf } from './subjects.js';

/** What a legal hold is and how it is asked for (lifecycle.md, Legal hold). What it covers is in `held.ts`. */

export const HOLD_SCHEMA_VERSION = '1.0';
/** Prefix of the ids of holds. */
export const HOLD_PREFIX = 'hold';
/** What holds are called where records have their type. */
export const HOLD_TYPE = 'hold';

const reason = () =>
  z
    .string()
    .max(LIMITS.holdReasonChars)
    .refine((text) => text.trim() !== '', 'must not be blank')
    .meta({ minLength: 1 });

/** What a hold covers: a record, whatever is about a subject, or the records of a collection that a query finds. */
export const holdScope = z
  .strictObject({
    record: z.strictObject({ collection: label(), id: label() }).optional(),
    subject: z
      .string()
      .min(1)
      .max(LIMITS.holdSubjectChars)
      .optional()
      .meta({ description: 'The id that the tenant knows the person by.' }),
    query: z
      .strictObject({
        collection: label(),
        all: z.literal(true).optional().meta({ description: 'The whole collection: said, never implied.' }),
        from: time().optional().meta({ description: 'Inclusive; on the time lists are ordered by.' }),
        to: time().optional().meta({ description: 'Exclusive.' }),
        field: z.record(z.string(), label()).optional().meta({
          description: 'Values of what lists of the collection are filtered by, combined with AND.',
        }),
      })
      .optional(),
  })
  .refine((scope) => Object.keys(scope).length === 1, 'must be one of record, subject and query')
  .meta({ minProperties: 1, maxProperties: 1 });

export const holdRequest = z.strictObject({
  scope: holdScope,
  reason: reason(),
  reference: label().optional().meta({ description: 'E.g. the number of a case.' }),
});

export const releaseRequest = z.strictObject({ reason: reason() });

export type HoldScope = z.output<typeof holdScope>;
export type HoldRequest = z.output<typeof holdRequest>;
export type HoldState = 'active' | 'released';

/** A hold as who may know of it is shown it; a member whose subject was erased has a commitment in its place. */
export interface Hold {
  readonly schema_version: string;
  /** `hold_<UUIDv7>`, made for when it was first asked for: what lists are ordered by. */
  readonly hold_id: string;
  readonly state: HoldState;
  readonly scope: Readonly<Record<string, unknown>>;
  readonly reason: unknown;
  readonly reference?: unknown;
  /** The time of its event. */
  readonly placed_at: string;
  /** Pseudonym `act_…`, as in the audit trail. */
  readonly placed_by: string;
  readonly released_at?: string;
  readonly released_by?: string;
  readonly release_reason?: unknown;
}

/** A hold that may be placed, and the type it names records of. */
export interface AcceptedHold extends HoldRequest {
  readonly type: RecordType | undefined;
}

/** Parses the body of a placement. Throws `record-invalid` with pointers; nothing else is wrong with it then. */
export function acceptHold(
  body: unknown,
  findByCollection: (collection: string) => RecordType | undefined,
): AcceptedHold {
  const asked = parsed(holdRequest, body);
  const [kind] = Object.keys(asked.scope);
  const { collection } = asked.scope.record ?? asked.scope.query ?? {};
  const type = collection === undefined ? undefined : findByCollection(collection);
  const unknown = collection !== undefined && type === undefined;
  const issues: readonly Issue[] = unknown
    ? [{ pointer: `/scope/${String(kind)}/collection`, detail: 'is not a collection of records' }]
    : queryIssues(asked.scope.query, type);
  if (issues.length > 0) throw invalid(issues);
  return { ...asked, type };
}

/** Parses the body of a release. Throws `record-invalid` with pointers. */
export function acceptRelease(body: unknown): { readonly reason: string } {
  return parsed(releaseRequest, body);
}

function parsed<T>(schema: z.ZodType<T>, body: unknown): T {
  const issues = jsonIssues(body);
  if (issues.length > 0) throw invalid(issues);
  return parseShape(schema, body);
}

function queryIssues(query: HoldScope['query'], type: RecordType | undefined): readonly Issue[] {
  if (query === undefined || type === undefined) return [];
  const { all, from, to, field } = query;
  const narrowed = from !== undefined || to !== undefined || field !== undefined;
  const names = Object.keys(field ?? {});
  const at = (...path: string[]): string => pointerOf(['scope', 'query', ...path]);
  return [
    // A typo must not hold all there is, and nobody should have to guess that it does.
    ...(all === true && narrowed ? [{ pointer: at('all'), detail: 'must be alone with the collection' }] : []),
    ...(all !== true && !narrowed ? [{ pointer: at(), detail: 'must have from, to, field, or "all": true' }] : []),
    ...(from !== undefined && to !== undefined && from >= to ? [{ pointer: at('to'), detail: 'must be after from' }] : []),
    ...(field !== undefined && names.length === 0 ? [{ pointer: at('field'), detail: 'must name a field' }] : []),
    ...names.filter((name) => !type.filters.includes(name)).map((name) => ({ pointer: at('field', name), detail: `must be one of ${type.filters.join(', ')}` })),
  ]; // prettier-ignore
}

/** What of a hold nobody reads in storage or in the log: pointers, each with whom the value is about. */
export function sensitiveOf({
  scope,
  type,
}: Pick<AcceptedHold, 'scope' | 'type'>): Readonly<Record<string, readonly string[]>> {
  const field = Object.entries(scope.query?.field ?? {}).filter(([name]) => type?.blindMembers.includes(name)); // prettier-ignore
  return {
    // They may name anybody: whom, nobody knows who has not read them.
    '/reason': [],
    '/reference': [],
    ...(scope.subject === undefined ? {} : { '/scope/subject': [scope.subject] }),
    ...Object.fromEntries(
      field.map(([name, value]) => {
        const about = subjectsOf({ [name]: value }, [`/${name}`], type?.subjects);
        return [pointerOf(['scope', 'query', 'field', name]), about[`/${name}`] ?? []];
      }),
    ),
  };
}
