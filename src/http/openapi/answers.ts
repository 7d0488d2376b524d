import type { oas31, ZodOpenApiResponseObject } from 'zod-openapi';
import type { z } from 'zod';
import { ERROR_CODES, type ErrorCode } from '../../domain/errors.js';
import { PROBLEMS } from '../problem.js';
import { pascalCase } from './record-schemas.js';
import { problemOfCodes } from './shared-schemas.js';

/** Answers of operations and their headers: what is the same everywhere is a component. */

type Responses = Record<string, ZodOpenApiResponseObject | { $ref: string }>;
type Status = `${1 | 2 | 3 | 4 | 5}${string}`;
export type Headers = readonly (keyof typeof HEADERS)[];

/** A list (RFC 9651) of the limits with two whole numbers each, as a regular expression. */
function rateList(first: string, second: string): string {
  const item = `"(caller|tenant|address)";${first}=[0-9]+;${second}=[0-9]+`;
  return `^${item}(, ${item})*$`;
}

/** Headers of answers. */
export const HEADERS = {
  ETag: {
    description: 'Strong and opaque, one for each stored revision; for If-Match and If-None-Match.',
    required: true,
    schema: { type: 'string' },
  },
  Location: {
    description: 'Where it is from now on.',
    required: true,
    schema: { type: 'string', format: 'uri-reference' },
  },
  'Idempotency-Replayed': {
    description: 'Only when a request with this key was answered before: this is the first answer again.',
    schema: { type: 'string', enum: ['true'] },
  },
  'Preference-Applied': {
    description:
      'RFC 7240: `wait=` and the seconds, when everything this wrote was in the log before they were over.',
    schema: { type: 'string', pattern: '^wait=[0-9]+$' },
  },
  Link: {
    description:
      'RFC 8288: with that, the address of the proof (`rel="proof"`), for the role `records.auditor`.',
    schema: { type: 'string', pattern: '^<[^<>]+>; rel="proof"$' },
  },
  'Cache-Status': {
    description: 'RFC 9211: whether the answer came from memory; `Cache-Control: no-cache` goes past it.',
    schema: { type: 'string' },
  },
  Age: {
    description: 'Seconds since it was read from storage; only where it came from memory.',
    schema: { type: 'integer', minimum: 0 },
  },
  Deprecation: {
    description:
      'RFC 9745: since when the schema version that was named, or that is shown, is deprecated. `Sunset` says until when it is taken.',
    schema: { type: 'string' },
  },
  Sunset: {
    description: 'RFC 8594: when a deprecated schema version is taken no longer.',
    schema: { type: 'string' },
  },
  'Retry-After': {
    description: 'Seconds after which to ask again.',
    schema: { type: 'integer', minimum: 1 },
  },
  'RateLimit-Policy': {
    description:
      'draft-ietf-httpapi-ratelimit-headers: the limits this request falls under, each with the requests that may come at once (`q`) and the seconds after which so many have come back (`w`). Absent where nothing is limited.',
    schema: { type: 'string', pattern: rateList('q', 'w') },
  },
  RateLimit: {
    description: 'Of each of these limits, how many requests are left (`r`) for the next seconds (`t`).',
    schema: { type: 'string', pattern: rateList('r', 't') },
  },
} satisfies Record<string, oas31.HeaderObject>;

/** With the answer to a write that waited for its receipt. */
export const RECEIPT: Headers = ['Link', 'Preference-Applied'];

/** On every answer to who was authenticated, or where nobody need be. */
export const RATE_HEADERS = {
  'RateLimit-Policy': { $ref: '#/components/headers/RateLimit-Policy' },
  RateLimit: { $ref: '#/components/headers/RateLimit' },
} as const;

/** Those that come with a problem. */
const PROBLEM_HEADERS: Readonly<
  Record<number, readonly [name: string, description: string, schema: object]>
> = {
  401: ['WWW-Authenticate', 'How to authenticate.', { type: 'string' }],
  429: ['Retry-After', 'Seconds after which to ask again.', { type: 'integer', minimum: 1 }],
  503: ['Retry-After', 'Seconds after which to ask again.', { type: 'integer', minimum: 1 }],
};

/** Name of the component for problems of a status, e.g. `Problem404`. */
const problemName = (status: number): string => `Problem${status}`;

/** The codes of a status. */
function codesOf(status: number): readonly ErrorCode[] {
  return ERROR_CODES.filter((code) => PROBLEMS[code].status === status);
}

const STATUSES = [...new Set(ERROR_CODES.map((code) => PROBLEMS[code].status))]
  .filter((status) => status !== PROBLEMS['method-not-allowed'].status)
  .sort((a, b) => a - b);

/** A response for every status that an operation has problems of; a wrong method (405) is that of none. */
export function problemResponses(): Record<string, ZodOpenApiResponseObject> {
  return Object.fromEntries(STATUSES.map((status) => [problemName(status), problemResponse(status)]));
}

function problemResponse(status: number): ZodOpenApiResponseObject {
  const codes = codesOf(status);
  const own = PROBLEM_HEADERS[status];
  const retry = codes.includes('idempotency-in-progress') ? { 'Retry-After': { $ref: '#/components/headers/Retry-After' } } : {}; // prettier-ignore
  return {
    description: codes.map((code) => `\`${code}\`: ${PROBLEMS[code].title}.`).join(' '),
    headers: {
      ...retry,
      ...(status === PROBLEMS.unauthenticated.status ? {} : RATE_HEADERS),
      ...(own === undefined ? {} : { [own[0]]: { description: own[1], required: true, schema: own[2] } }),
    },
    content: { 'application/problem+json': { schema: problemOfCodes(codes) } },
  };
}

/** The problems that an operation can answer with, by status. */
export function problems(statuses: readonly number[]): Responses {
  return Object.fromEntries(
    [...new Set(statuses)]
      .sort((a, b) => a - b)
      .map((status) => [String(status), { $ref: `#/components/responses/${problemName(status)}` }]),
  );
}

/** An answer of JSON, or of nothing. */
export function answer(
  status: number,
  description: string,
  schema: z.ZodType | undefined,
  headers: Headers = [],
): Record<Status, ZodOpenApiResponseObject> {
  const referred = headers.map((name) => [name, { $ref: `#/components/headers/${name}` }]);
  return {
    [String(status) as Status]: {
      description,
      ...(headers.length === 0
        ? {}
        : { headers: Object.fromEntries(referred) as Record<string, { $ref: string }> }),
      ...(schema === undefined ? {} : { content: { 'application/json': { schema } } }),
    },
  };
}

export const notModified = (headers: Headers = ['ETag']): Record<Status, ZodOpenApiResponseObject> =>
  answer(304, 'What `If-None-Match` names is still current.', undefined, headers);

/** `postVotes`, `listDecisions`: a name for code. */
export function camelCase(verb: string, name: string): string {
  return `${verb}${pascalCase(name)}`;
}
