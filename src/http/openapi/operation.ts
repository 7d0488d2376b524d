import { z } from 'zod';
import type {
  oas31,
  ZodOpenApiOperationObject,
  ZodOpenApiPathItemObject,
  ZodOpenApiResponseObject,
} from 'zod-openapi';
import { isOpen, rolesFor, type RouteKind } from '../../security/access-table.js';
import type { Operation } from '../resource.js';
import { problems, RATE_HEADERS } from './answers.js';
import { CALL_HEADERS, parameter, queryParameter, type ParameterName } from './parameters.js';

export type Paths = Record<string, ZodOpenApiPathItemObject>;

/** Statuses of problems with changes of a record that is there. */
export const CHANGE_PROBLEMS = [404, 409, 410, 412];

/** What the description of an operation says that its code does not. */
export interface Details {
  /** Unique in the document; the name of a function in clients. */
  readonly id: string;
  /** The collection, where it is about one. */
  readonly tag: string;
  /** Where the operation serves several kinds, that of this path. */
  readonly kind?: RouteKind;
  readonly summary: string;
  readonly description?: string;
  /** Besides those of the query that the operation says it knows, and the headers that every call has. */
  readonly parameters?: readonly (ParameterName | oas31.ParameterObject)[];
  /** Query parameters that are no components, by name. */
  readonly filters?: Readonly<Record<string, z.ZodType>>;
  readonly body?: { readonly schema: z.ZodType; readonly example?: unknown };
  /** Answers that are no problems. */
  readonly answers: Readonly<Record<string, ZodOpenApiResponseObject>>;
  /** Statuses of problems besides those that follow from permission and body. */
  readonly problems?: readonly number[];
}

/** Development mode's headers say who calls; each may be left out. */
const SECURITY = [{ bearer: [] }, { developmentTenant: [], developmentActor: [], developmentRoles: [] }];

/** Describes an operation: permission, media types and query parameters are read off the code that serves it. */
export function describe(operation: Operation | undefined, details: Details): ZodOpenApiOperationObject {
  if (operation === undefined) throw new TypeError(`nothing serves ${details.id}`);
  const { id, tag, summary, filters = {}, body, answers } = details;
  const isPublic = isOpen(operation.permission);
  const known = operation.query === '*' || operation.query === undefined ? [] : operation.query;
  const others = Object.fromEntries(
    known
      .filter((name) => queryParameter(name) === undefined)
      .map((name) => [name, filters[name] ?? z.string()]),
  );
  const query = { ...others, ...filters };
  return {
    operationId: id,
    tags: [tag],
    summary,
    description: [details.description, roleText(details.kind ?? operation.permission, tag)]
      .filter((text) => text !== undefined)
      .join('\n\n'),
    security: isPublic ? [] : SECURITY,
    parameters: [
      ...(details.parameters ?? []).map((one) => (typeof one === 'string' ? parameter(one) : one)),
      ...known.flatMap((name) => queryParameter(name) ?? []),
      ...(isPublic ? [] : CALL_HEADERS.map(parameter)),
    ],
    ...(Object.keys(query).length === 0 ? {} : { requestParams: { query: z.object(query).partial() } }),
    ...(operation.accepts === undefined || body === undefined
      ? {}
      : { requestBody: bodyOf(operation.accepts, body) }),
    responses: {
      ...limited(answers),
      ...problems([
        400, 429, 500, 503,
        ...(isPublic ? [] : [401, 403]),
        ...(operation.accepts === undefined ? [] : [413, 415, 422]),
        ...(details.problems ?? []),
      ]), // prettier-ignore
    },
  };
}

/** Answers with the headers that say how the limits stand. */
function limited(answers: Details['answers']): Details['answers'] {
  return Object.fromEntries(
    Object.entries(answers).map(([status, one]) => {
      // We never give headers as a schema.
      const headers = one.headers as oas31.HeadersObject | undefined;
      return [status, { ...one, headers: { ...headers, ...RATE_HEADERS } }];
    }),
  );
}

function bodyOf(accepts: readonly string[], { schema, example }: NonNullable<Details['body']>) {
  const content = { schema, ...(example === undefined ? {} : { example }) };
  return { required: true, content: Object.fromEntries(accepts.map((type) => [type, content])) };
}

function roleText(kind: RouteKind, collection: string): string {
  const allowed = rolesFor(kind, collection);
  if (allowed === 'anybody') return 'Anybody may ask.';
  const roles = allowed.map((role) => `\`${role}\``);
  return roles.length === 1
    ? `Needs the role ${roles.join('')}.`
    : `Needs one of the roles ${roles.join(', ')}.`;
}

/** All of them, those of one path together. */
export function joined(...all: readonly Paths[]): Paths {
  const joined: Paths = {};
  for (const [path, item] of all.flatMap((paths) => Object.entries(paths)))
    joined[path] = { ...joined[path], ...item };
  return joined;
}
