import { z } from 'zod';
import type { AuditEventType, AuditOutcome, AuditSeverity } from '../../domain/audit-event.js';
import { ERROR_CODES, type ErrorCode } from '../../domain/errors.js';
import type { Tier } from '../../domain/envelope.js';
import { LIMITS } from '../../domain/limits.js';
import { sha256, time } from '../../domain/schema-parts.js';
import { PROBLEMS, problemType } from '../problem.js';

/** Schemas of what is the same for every record type, as answers show it. */

/** The names of a union, all of them: one that is missing here does not compile. */
function names<Name extends string>(all: Readonly<Record<Name, true>>): [Name, ...Name[]] {
  return Object.keys(all) as [Name, ...Name[]];
}

const TIERS = names<Tier>({ hot: true, cool: true, archive: true });
const SEVERITIES = names<AuditSeverity>({ info: true, warning: true, error: true, critical: true });
const OUTCOMES = names<AuditOutcome>({ success: true, failure: true });
const EVENT_TYPES = names<AuditEventType>({
  'record.created': true,
  'record.updated': true,
  'record.action': true,
  'record.archived': true,
  'record.rehydrated': true,
  'record.disposed': true,
  'record.read': true,
  'subject.erased': true,
  'erasure.requested': true,
  'hold.placed': true,
  'hold.released': true,
  'access.refused': true,
  'integrity.failed': true,
  'job.completed': true,
  'message.poisoned': true,
  'configuration.changed': true,
  'checkpoint.logged': true,
  external: true,
});

/**
 * A copy of a schema that is written once, under a name, and referred to elsewhere. A copy, because a declaration's own
 * schema may be a part of another, which would then refer to it too.
 */
export function component(id: string, schema: z.ZodType, description?: string): z.ZodType {
  return schema.meta({ ...schema.meta(), id, ...(description === undefined ? {} : { description }) });
}

const UUID_V7 = '[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}';

/** An id with this prefix. */
export function idOf(prefix: string) {
  return z.string().regex(new RegExp(`^${prefix}_${UUID_V7}$`));
}

/** What every envelope has besides its data; `identity` is of the type, where it is known. */
export function headShape(identity?: { readonly recordType: string; readonly idPrefix: string }) {
  return {
    record_type: identity === undefined ? z.string() : z.literal(identity.recordType),
    id: idOf(identity?.idPrefix ?? '[a-z]{2,8}'),
    tenant: z.string(),
    revision: z.int().min(1),
    schema_version: z.string(),
    stored_at: time(),
    tier: z.enum(TIERS),
    checksum_algorithm: z.literal('SHA-256'),
    checksum: sha256(),
  };
}

/** What every summary has besides the members its type declares. */
export function summaryShape(identity: { readonly recordType: string; readonly idPrefix: string }) {
  const { record_type, id, revision, schema_version, tier, checksum } = headShape(identity);
  return {
    record_type,
    id,
    revision,
    schema_version,
    tier,
    checksum,
    created_at: time(),
    updated_at: time(),
  };
}

/** A page of a list. */
export function pageOf<Item extends z.ZodType>(items: Item) {
  return z.strictObject({
    items: z.array(items).max(LIMITS.pageItems),
    next_cursor: z.string().max(LIMITS.cursorChars).nullable().meta({ description: 'Null at the end of the list, and only there.' }), // prettier-ignore
  });
}

/** An envelope without its data. */
export const envelopeHead = z
  .strictObject(headShape())
  .meta({ id: 'EnvelopeHead', description: 'The envelope of a revision without its data.' });

/** What proves a revision of a record. */
export const recordProof = z
  .strictObject({
    envelope: z.strictObject({
      ...headShape(),
      data: z.record(z.string(), z.unknown()).meta({
        description:
          'As it was stored, in the schema version that `schema_version` names; sensitive values that are not disclosed are commitments.',
      }),
      salts: z
        .record(z.string(), z.string())
        .optional()
        .meta({ description: 'Of what is disclosed: base64url by JSON pointer.' }),
    }),
    event: z.string().meta({ description: 'The exact bytes of the event, a leaf of the log.' }),
    proof: z.string().meta({ description: 'C2SP tlog-proof of that leaf.' }),
  })
  .meta({ id: 'RecordProof' });

export const commitment = z.strictObject({ $commitment: sha256() }).meta({
  id: 'Commitment',
  description: 'Stands for a sensitive value: hex SHA-256 of its salt and of its canonical JSON.',
});

const issue = z.strictObject({
  pointer: z.string().meta({ description: 'RFC 6901, into the body of the request.' }),
  detail: z.string(),
});

/** The problem documents with these codes. */
export function problemOfCodes(codes: readonly ErrorCode[]) {
  const statuses = [...new Set(codes.map((code) => PROBLEMS[code].status))];
  return z.strictObject({
    type: z.enum(codes.map(problemType)),
    title: z.string(),
    status: z.literal(statuses),
    detail: z.string(),
    instance: z.string().meta({ description: 'The invocation, as logs name it.' }),
    ...(codes.includes('record-invalid') || codes.includes('request-malformed')
      ? { errors: z.array(issue).optional() }
      : {}),
    ...(codes.includes('record-archived')
      ? { rehydrate: z.string().optional().meta({ description: 'Where to ask for the record to be brought back.' }) } // prettier-ignore
      : {}),
  });
}

/** Any problem document: why an operation failed. */
const problem = problemOfCodes(ERROR_CODES).meta({ id: 'Problem', description: 'RFC 9457.' });

export const operation = z
  .strictObject({
    operation_id: idOf('op'),
    status: z.enum(['pending', 'succeeded', 'failed']),
    record_id: z.string().nullable(),
    problem: problem.nullable(),
  })
  .meta({ id: 'Operation', description: 'How far a promised write has come.' });

export const health = z.strictObject({ status: z.literal('ok'), storage: z.literal('reachable') });

export const auditEvent = z
  .strictObject({
    schema_version: z.string(),
    event_id: idOf('evt'),
    event_type: z.enum(EVENT_TYPES),
    severity: z.enum(SEVERITIES),
    timestamp: time(),
    tenant: z.string(),
    actor: z.string().meta({ description: 'A pseudonym.' }),
    action: z.string(),
    resource_type: z.string(),
    resource_id: z.string(),
    outcome: z.enum(OUTCOMES),
    details: z.record(z.string(), z.unknown()),
    correlation_id: z.string(),
    ip_address: commitment.optional(),
    session_id: commitment.optional(),
    record_type: z.string().optional(),
    revision: z.int().min(0).optional(),
    checksum: sha256().optional(),
    previous_checksum: sha256().optional(),
    actor_name: z
      .string()
      .optional()
      .meta({ description: 'Whose the pseudonym is; only for `records.sensitive-reader`.' }),
    leaf_index: z.int().min(0).optional().meta({ description: 'Its place in the log, once it is sealed.' }),
  })
  .meta({
    id: 'AuditEvent',
    description:
      'An event of the audit trail; `leaf_index` and `actor_name` are no part of its bytes, nor of what is proven.',
  });

/** A record that a lineage comes to: its summary, unless it is missing or damaged. */
const lineageNode = z.looseObject({
  id: z.string(),
  depth: z.int().min(0).max(LIMITS.lineageDepth),
  missing: z.boolean(),
  damaged: z.literal(true).optional(),
  record_type: z.string().optional(),
});

export const lineage = z
  .strictObject({
    root: z.string(),
    direction: z.enum(['up', 'down']),
    depth: z.int().min(1).max(LIMITS.lineageDepth),
    nodes: z.array(lineageNode).max(LIMITS.lineageNodes + 1),
    edges: z.array(z.strictObject({ from: z.string(), to: z.string() })).max(LIMITS.lineageEdges),
    truncated: z
      .boolean()
      .meta({ description: 'There is more than is shown, besides what is further away.' }),
  })
  .meta({ id: 'Lineage', description: '`from` of an edge is derived from `to`.' });

const counts = z.record(z.string(), z.int().min(0));

const job = z
  .strictObject({
    name: z.string(),
    state: z.enum(['never', 'running', 'paused', 'resting']),
    suspended: z.boolean().meta({ description: 'Switched off, alone or with all.' }),
    began_at: time().nullable(),
    ended_at: time().nullable(),
    counts,
    error: z.string().nullable(),
    takes: z.array(z.string()).meta({ description: 'Parameters of a run that it takes.' }),
  })
  .meta({ id: 'Job', description: 'What a job has done last.' });

export const jobList = z
  .strictObject({
    suspended: z.boolean().meta({ description: 'Whether all jobs are switched off at once.' }),
    items: z.array(job),
  })
  .meta({ id: 'JobList', description: 'Every job.' });

const tally = z.strictObject({ count: z.int().min(0), oldest: time().optional(), newest: time().optional() });

/** What became, or would become, of records of a collection that one rule is for. */
const reportLine = z.strictObject({
  collection: z.string(),
  rule: z.record(z.string(), z.union([z.string(), z.int()])),
  tallies: z.record(z.string(), tally),
});

export const jobRun = z
  .strictObject({
    name: z.string(),
    dry_run: z.boolean(),
    sample: z.int().min(1).nullable(),
    outcome: z.enum(['done', 'paused', 'resting', 'busy', 'lost']),
    counts,
    report: z.array(reportLine).optional(),
  })
  .meta({ id: 'JobRun', description: 'What a run has done, or would do.' });

/** What the values of an hour or a day come to. */
export const rollup = z.strictObject({
  timestamp: time(),
  count: z.int().min(1),
  sum: z.number(),
  min: z.number(),
  max: z.number(),
  last: z.number(),
});

/** A value of a series as it is stored. */
export const sample = z.strictObject({
  timestamp: time(),
  value: z.number(),
  context: z.record(z.string(), z.unknown()),
});
