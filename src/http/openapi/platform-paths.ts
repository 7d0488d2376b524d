import { z } from 'zod';
import { submittedEvent } from '../../audit/external-events.js';
import { tenantConfiguration } from '../../domain/tenant-configuration.js';
import { auditEventResource, auditEventsResource } from '../resources/audit-events.js';
import { anchorResource, platformCheckpointResource, platformVkeyResource } from '../resources/anchors.js';
import { checkpointResource, tileResource, vkeyResource } from '../resources/audit-log.js';
import { configurationResource } from '../resources/configuration.js';
import { healthResource } from '../resources/health.js';
import { inboxResource, operationResource } from '../resources/inbox.js';
import { eventProofResource } from '../resources/proofs.js';
import type { Operation } from '../resource.js';
import { answer, notModified, RECEIPT } from './answers.js';
import { describe, type Paths } from './operation.js';
import { jobPaths } from './job-paths.js';
import { auditEvent, health, operation, pageOf } from './shared-schemas.js';

/** What describes the API itself (resources/openapi.ts, resources/docs.ts): no caller, no body, no query. */
const open = (permission: 'openapi' | 'docs'): Operation => ({
  permission,
  run: () => Promise.reject(new TypeError('described only')),
});

const configuration = tenantConfiguration.meta({
  id: 'Configuration',
  description: 'What a tenant sets for itself.',
});

/** Paths that no record type has. */
export function platformPaths(): Paths {
  return {
    '/operations/{id}': {
      get: describe(operationResource.GET, {
        id: 'getOperation',
        tag: 'operations',
        summary: 'Ask how far a promised write has come',
        parameters: ['Id'],
        answers: answer(200, 'The operation; `Retry-After` while it is pending.', operation, ['Retry-After']),
        problems: [404],
      }),
    },
    '/audit-events': {
      post: describe(auditEventsResource.POST, {
        id: 'createAuditEvent',
        tag: 'audit-events',
        summary: 'Record an event of another system',
        parameters: ['IdempotencyKey', 'Prefer'],
        body: { schema: submittedEvent, example: EXTERNAL_EVENT },
        answers: answer(201, 'The event; it is listed once it is sealed.', auditEvent, ['Location', 'Idempotency-Replayed', ...RECEIPT]), // prettier-ignore
        problems: [409],
      }),
      get: describe(auditEventsResource.GET, {
        id: 'listAuditEvents',
        tag: 'audit-events',
        summary: 'List sealed events, newest first',
        filters: {
          actor: z
            .string()
            .meta({ description: 'A pseudonym; from a `records.sensitive-reader` also a name.' }),
          event_type: auditEvent.shape.event_type,
          severity: auditEvent.shape.severity,
          outcome: auditEvent.shape.outcome,
        },
        answers: answer(200, 'A page of events.', pageOf(auditEvent)),
      }),
    },
    '/inbox/audit-events': {
      post: describe(inboxResource.POST, {
        id: 'submitAuditEvent',
        tag: 'audit-events',
        summary: 'Record an event of another system later',
        description: 'Validated now, stored by a queue function; `record_id` is the event.',
        parameters: ['IdempotencyKey'],
        body: { schema: submittedEvent, example: EXTERNAL_EVENT },
        answers: answer(202, 'The promise.', operation, ['Location', 'Idempotency-Replayed']),
        problems: [409],
      }),
    },
    '/audit-events/{id}': {
      get: describe(auditEventResource.GET, {
        id: 'getAuditEvent',
        tag: 'audit-events',
        summary: 'Read an event',
        parameters: ['Id'],
        answers: answer(200, 'The event.', auditEvent),
        problems: [404],
      }),
    },
    '/audit-events/{id}/proof': {
      get: describe(eventProofResource.GET, {
        id: 'getAuditEventProof',
        tag: 'audit-events',
        summary: 'Prove that the log has an event',
        description: 'C2SP tlog-proof, verified before it is handed out.',
        parameters: ['Id'],
        answers: textOf('The proof.'),
        problems: [404, 409],
      }),
    },
    ...logPaths(),
    ...anchorPaths(),
    '/configuration': {
      get: describe(configurationResource.GET, {
        id: 'getConfiguration',
        tag: 'configuration',
        summary: 'Read what the tenant has set for itself',
        parameters: ['IfNoneMatch'],
        answers: {
          ...answer(200, 'The settings; defaults have no `ETag`.', configuration),
          ...notModified(),
        },
      }),
      put: describe(configurationResource.PUT, {
        id: 'putConfiguration',
        tag: 'configuration',
        summary: 'Set it; whatever is left out has its default',
        parameters: ['IfMatch', 'IfNoneMatchAny'],
        body: { schema: configuration, example: { list_limit_default: 100 } },
        answers: answer(200, 'The settings.', configuration, ['ETag']),
        problems: [412],
      }),
    },
    ...jobPaths(),
    '/health': {
      get: describe(healthResource.GET, {
        id: 'getHealth',
        tag: 'platform',
        summary: 'Ask whether the process lives and storage answers',
        answers: answer(200, 'Both do.', health),
      }),
    },
    '/openapi.json': {
      get: describe(open('openapi'), {
        id: 'getOpenApi',
        tag: 'platform',
        summary: 'Read this description',
        parameters: ['IfNoneMatch'],
        answers: {
          ...answer(200, 'OpenAPI 3.1.', z.looseObject({ openapi: z.string() }), ['ETag']),
          ...notModified(),
        },
      }),
    },
    '/docs': {
      get: describe(open('docs'), {
        id: 'getDocs',
        tag: 'platform',
        summary: 'Browse this description',
        parameters: ['IfNoneMatch'],
        answers: { ...file('A page; it needs nothing from elsewhere.', ['text/html']), ...notModified() },
      }),
    },
    '/docs/{file}': {
      get: describe(open('docs'), {
        id: 'getDocsFile',
        tag: 'platform',
        summary: 'Read a file of that page',
        parameters: [{ name: 'file', in: 'path', required: true, description: 'Its name.', schema: { type: 'string' } }, 'IfNoneMatch'], // prettier-ignore
        answers: { ...file('The file.', ['text/css', 'text/javascript', 'image/png']), ...notModified() },
        problems: [404],
      }),
    },
  };
}

const segment = (name: string, description: string) =>
  ({ name, in: 'path', required: true, description, schema: { type: 'string' } }) as const;

/** The log of the caller's tenant as C2SP tlog-tiles has it; its prefix is `/audit/log`. */
function logPaths(): Paths {
  const level = segment('level', 'Level of the hashes, or `entries` for a bundle of entries.');
  const index = segment('index', 'Three digits; `x001/234` for 1234, with a segment for each three.');
  const width = segment('width', 'How many hashes or entries of it, 1 to 255.');
  const tile = {
    200: {
      description: 'Hashes of 32 bytes, or entries each after its length in two bytes.',
      headers: { 'Cache-Control': { schema: { type: 'string' as const } } },
      content: { 'application/octet-stream': { schema: { type: 'string' as const, format: 'binary' } } },
    },
  };
  return {
    '/audit/log/checkpoint': {
      get: describe(checkpointResource.GET, {
        id: 'getLogCheckpoint',
        tag: 'audit-log',
        summary: 'Read the signed size and root of the log',
        description: 'C2SP tlog-checkpoint. Every leaf under it is readable.',
        answers: textOf('The signed note.'),
        problems: [404],
      }),
    },
    '/audit/log/tile/{level}/{index}': {
      get: describe(tileResource.GET, {
        id: 'getLogTile',
        tag: 'audit-log',
        summary: 'Read a full tile or bundle of the log',
        parameters: [level, index],
        answers: tile,
        problems: [404],
      }),
    },
    '/audit/log/tile/{level}/{index}.p/{width}': {
      get: describe(tileResource.GET, {
        id: 'getLogPartialTile',
        tag: 'audit-log',
        summary: 'Read the beginning of a tile or bundle of the log',
        parameters: [level, index, width],
        answers: tile,
        problems: [404],
      }),
    },
    '/audit/log/vkey': {
      get: describe(vkeyResource.GET, {
        id: 'getLogVerifierKeys',
        tag: 'audit-log',
        summary: 'Read what checkpoints of the log are verified with',
        description: 'A line for each key, the one that signs now first.',
        answers: textOf('The verifier keys.'),
      }),
    },
  };
}

/** What shows outside that a log was cut or replaced. */
function anchorPaths(): Paths {
  return {
    '/audit/log/anchor': {
      get: describe(anchorResource.GET, {
        id: 'getLogAnchor',
        tag: 'audit-log',
        summary: 'Read the latest anchor of the log',
        description: 'A checkpoint of the log, the entry of the platform log with it, and the proof that it is there under the published checkpoint, with the cosignatures of the witness.', // prettier-ignore
        answers: {
          200: {
            description: 'What `verify-anchor` checks.',
            content: {
              'application/json': {
                schema: {
                  type: 'object' as const,
                  required: ['checkpoint', 'entry', 'proof'],
                  properties: {
                    checkpoint: { type: 'string' as const, description: 'The signed note.' },
                    entry: { type: 'string' as const, description: 'The exact bytes of the entry.' },
                    proof: { type: 'string' as const, description: 'C2SP tlog-proof of the entry.' },
                  },
                  additionalProperties: false,
                },
              },
            },
          },
        },
        problems: [404],
      }),
    },
    '/audit/platform/checkpoint': {
      get: describe(platformCheckpointResource.GET, {
        id: 'getPlatformCheckpoint',
        tag: 'audit-log',
        summary: 'Read the published checkpoint of the platform log',
        answers: textOf('The signed note, with cosignatures.'),
        problems: [404],
      }),
    },
    '/audit/platform/vkey': {
      get: describe(platformVkeyResource.GET, {
        id: 'getPlatformVerifierKeys',
        tag: 'audit-log',
        summary: 'Read what checkpoints of the platform log are verified with',
        description: 'A line for each key, the one that signs now first.',
        answers: textOf('The verifier keys.'),
      }),
    },
  };
}

function textOf(description: string) {
  return { 200: { description, content: { 'text/plain': { schema: { type: 'string' as const } } } } };
}

const EXTERNAL_EVENT = {
  event_type: 'user.signed_in',
  action: 'sign-in',
  resource_type: 'user',
  resource_id: 'u-17',
  outcome: 'success',
};

function file(description: string, types: readonly string[]) {
  return {
    200: {
      description,
      headers: { ETag: { $ref: '#/components/headers/ETag' } },
      content: Object.fromEntries(types.map((type) => [type, { schema: { type: 'string' as const } }])),
    },
  };
}
