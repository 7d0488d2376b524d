import type { oas31 } from 'zod-openapi';
import type { RecordType } from '../../domain/record-type.js';
import { LIMITS } from '../../domain/limits.js';

/** Parameters of requests, all of them components but for the filters of lists. */

const TIME: oas31.SchemaObject = { type: 'string', format: 'date-time' };
const SHORT: oas31.SchemaObject = {
  type: 'string',
  minLength: 1,
  maxLength: LIMITS.headerValueChars,
  pattern: '^[\\x20-\\x7e]+$',
};

export const PARAMETERS = {
  Id: {
    name: 'id',
    in: 'path',
    required: true,
    description: 'Prefix, underscore and UUIDv7; any other text is the id of nothing.',
    schema: { type: 'string' },
  },
  Subject: {
    name: 'subject',
    in: 'path',
    required: true,
    description: 'The id that the tenant knows the person by: letters, digits, and . _ ~ @ : -',
    schema: { type: 'string' },
  },
  Revision: {
    name: 'revision',
    in: 'path',
    required: true,
    description: 'Counted from 1.',
    schema: { type: 'integer', minimum: 1 },
  },
  Limit: {
    name: 'limit',
    in: 'query',
    description:
      'Items of a page at most. A page may be short or empty: only `next_cursor: null` ends the list.',
    schema: { type: 'integer', minimum: 1, maximum: LIMITS.pageItems, default: LIMITS.pageItemsDefault },
  },
  Fields: {
    name: 'fields',
    in: 'query',
    description: 'Members of a summary to show, separated by commas; `id` is always shown. All without it.',
    schema: { type: 'string' },
    example: 'status,created_at',
  },
  Cursor: {
    name: 'cursor',
    in: 'query',
    description: '`next_cursor` of the page before, with the same filters.',
    schema: { type: 'string', maxLength: LIMITS.cursorChars },
  },
  From: {
    name: 'from',
    in: 'query',
    description: 'Inclusive; on the time the list is ordered by.',
    schema: TIME,
  },
  To: {
    name: 'to',
    in: 'query',
    description: 'Exclusive; on the time the list is ordered by.',
    schema: TIME,
  },
  AsOf: {
    name: 'as_of',
    in: 'query',
    description: 'The latest revision stored at or before this time.',
    schema: TIME,
  },
  Resolution: {
    name: 'resolution',
    in: 'query',
    description: 'Values as they are, or what those of an hour or a day (UTC) come to.',
    schema: { type: 'string', enum: ['raw', 'hour', 'day'], default: 'raw' },
  },
  Direction: {
    name: 'direction',
    in: 'query',
    description: '`up`: what the record is derived from; `down`: what is derived from it.',
    schema: { type: 'string', enum: ['up', 'down'], default: 'up' },
  },
  Depth: {
    name: 'depth',
    in: 'query',
    description: 'Steps from the record at most.',
    schema: { type: 'integer', minimum: 1, maximum: LIMITS.lineageDepth, default: LIMITS.lineageDepth },
  },
  OfRevision: {
    name: 'revision',
    in: 'query',
    description: 'Counted from 1; the current one without it.',
    schema: { type: 'integer', minimum: 1 },
  },
  Disclose: {
    name: 'disclose',
    in: 'query',
    description:
      'JSON pointer (RFC 6901) of a sensitive value to be revealed with its salt; may be repeated.',
    schema: { type: 'array', items: { type: 'string' }, maxItems: LIMITS.disclosures },
    explode: true,
  },
  DryRun: {
    name: 'dry_run',
    in: 'query',
    description: 'Says what the job would do, and does nothing; of the jobs that can.',
    schema: { type: 'boolean', default: false },
  },
  Sample: {
    name: 'sample',
    in: 'query',
    description: 'Records of each type to try it on; of the jobs that can.',
    schema: { type: 'integer', minimum: 1, maximum: LIMITS.sampleRecords },
  },
  IdempotencyKey: {
    name: 'Idempotency-Key',
    in: 'header',
    description:
      'Scoped to tenant, caller and route. The same key with the same body: the first answer again.',
    schema: {
      type: 'string',
      minLength: 1,
      maxLength: LIMITS.idempotencyKeyChars,
      pattern: '^[\\x21-\\x7e]+$',
    },
  },
  Prefer: {
    name: 'Prefer',
    in: 'header',
    description: `RFC 7240: \`wait=n\` lets the answer wait up to n seconds, 1 to ${LIMITS.receiptWaitS}, until what was written is in the log; who asks for more waits that long. Without effect on what is written, and on its status. Other preferences are ignored.`,
    schema: { type: 'string' },
    example: 'wait=5',
  },
  IfMatch: {
    name: 'If-Match',
    in: 'header',
    description: 'Only if this is the current `ETag`; without it concurrent calls all land.',
    schema: { type: 'string' },
  },
  IfMatchRequired: {
    name: 'If-Match',
    in: 'header',
    required: true,
    description: 'The `ETag` of the revision that is changed.',
    schema: { type: 'string' },
  },
  IfNoneMatch: {
    name: 'If-None-Match',
    in: 'header',
    description: 'An `ETag` that is known already.',
    schema: { type: 'string' },
  },
  IfNoneMatchAny: {
    name: 'If-None-Match',
    in: 'header',
    description: '`*`: only if there is none yet.',
    schema: { type: 'string', const: '*' },
  },
  SessionId: {
    name: 'x-session-id',
    in: 'header',
    description: "The caller's session; audit events carry a commitment to it.",
    schema: SHORT,
  },
  CorrelationId: {
    name: 'x-correlation-id',
    in: 'header',
    description: 'Carried into audit events; the invocation without it.',
    schema: SHORT,
  },
} satisfies Record<string, oas31.ParameterObject>;

export type ParameterName = keyof typeof PARAMETERS;

const NAMES = Object.keys(PARAMETERS) as ParameterName[];

export function parameter(name: ParameterName): { $ref: string } {
  return { $ref: `#/components/parameters/${name}` };
}

/** The component for a query parameter that is the same wherever it is known; undefined for a filter. */
export function queryParameter(name: string): { $ref: string } | undefined {
  const found = NAMES.find((known) => PARAMETERS[known].in === 'query' && PARAMETERS[known].name === name);
  return found === undefined ? undefined : parameter(found);
}

/** Both that tell whose call it is and what it belongs to. */
export const CALL_HEADERS: readonly ParameterName[] = ['SessionId', 'CorrelationId'];

/** The segments of a named record's address. */
export function nameParameters(type: RecordType): oas31.ParameterObject[] {
  const partition = type.partition.kind === 'member' ? type.partition.member : 'partition';
  return [partition, type.named?.member ?? 'name'].map((name) => ({
    name,
    in: 'path',
    required: true,
    description: `The member \`${name}\` of the record.`,
    schema: { type: 'string' },
  }));
}
