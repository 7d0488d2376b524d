import { z } from 'zod';
import { LIMITS } from '../../domain/limits.js';
import { rehydrationRequest } from '../../domain/rehydration.js';
import type { RecordType } from '../../domain/record-type.js';
import { collectionBatchResource } from '../resources/collection-batch.js';
import { collectionResource } from '../resources/collection.js';
import { inboxResource } from '../resources/inbox.js';
import { recordActionResource } from '../resources/record-action.js';
import { recordResource } from '../resources/record.js';
import { recordProofResource } from '../resources/proofs.js';
import { lineageResource } from '../resources/lineage.js';
import { rehydrateResource } from '../resources/rehydrate.js';
import { revisionResource, revisionsResource } from '../resources/revisions.js';
import { actionPaths, partPaths, viewPaths } from './below-record.js';
import { answer, camelCase, notModified, RECEIPT, type Headers } from './answers.js';
import { CHANGE_PROBLEMS, describe, joined, type Paths } from './operation.js';
import { nameParameters } from './parameters.js';
import { filterOf, type RecordSchemas } from './record-schemas.js';
import { envelopeHead, lineage, operation, pageOf, recordProof } from './shared-schemas.js';

/** Every path of a record type. */
export function recordPaths(type: RecordType, schemas: RecordSchemas): Paths {
  const base = `/${type.collection}`;
  return joined(
    {
      [base]: { post: create(type, schemas), get: list(type, schemas) },
      [`${base}/batch`]: { post: createBatch(type, schemas) },
      [`${base}/{id}`]: { get: read(type, schemas), patch: patch(type, schemas) },
      [`${base}/{id}/lineage`]: { get: readLineage(type, schemas) },
      [`${base}/{id}/rehydrate`]: { post: rehydrate(type, schemas) },
      [`${base}/{id}/proof`]: { get: prove(type, schemas) },
      [`${base}/{id}/revisions`]: { get: listRevisions(type, schemas) },
      [`${base}/{id}/revisions/{revision}`]: { get: readRevision(type, schemas) },
    },
    actionPaths(type, schemas),
    type.parts === undefined ? {} : partPaths(type, type.parts, schemas),
    viewPaths(type, schemas),
    type.named === undefined ? {} : namedPaths(type, schemas),
    { [`/inbox${base}`]: { post: submit(type, schemas) } },
  );
}

function rehydrate(type: RecordType, { name }: RecordSchemas) {
  return describe(rehydrateResource.POST, {
    id: camelCase('rehydrate', name),
    tag: type.collection,
    summary: `Bring a ${type.recordType} back from the archive`,
    description:
      'What of it is in the archive is copied, which takes hours on Azure, and can be read for seven days then. A second request has the operation of the first.',
    parameters: ['Id'],
    body: { schema: rehydrationRequest, example: { priority: 'standard' } },
    answers: answer(202, 'The operation to poll.', operation, ['Location']),
    problems: [404, 409, 410],
  });
}

function prove(type: RecordType, { name }: RecordSchemas) {
  return describe(recordProofResource.GET, {
    id: camelCase('prove', name),
    tag: type.collection,
    summary: `Prove what was stored of a ${type.recordType}`,
    description:
      'A revision as it was stored, the event that says so, and the proof (C2SP tlog-proof) that the log has the event. To disclose values needs a role that may see them.',
    parameters: ['Id', 'OfRevision', 'Disclose'],
    answers: answer(200, 'It can be checked offline.', recordProof),
    problems: [404, 409, 410],
  });
}

/** Headers of answers that name or show a schema version which is deprecated. */
const versioned = (type: RecordType): Headers =>
  type.migrations.some(({ deprecated }) => deprecated !== undefined) ? ['Deprecation', 'Sunset'] : [];

/** Headers of reads that may be answered from memory. */
const cached = (type: RecordType): Headers => (type.cache === undefined ? [] : ['Cache-Status', 'Age']);

/** What the declaration gives as an example of a create. */
const exampleOf = (type: RecordType) => ({ example: type.example });

function create(type: RecordType, { name, create: schema, envelope }: RecordSchemas) {
  return describe(collectionResource.POST, {
    id: camelCase('create', name),
    tag: type.collection,
    summary: `Create a ${type.recordType}`,
    parameters: ['IdempotencyKey', 'Prefer'],
    body: { schema, ...exampleOf(type) },
    answers: answer(201, 'The record.', envelope, [
      ...RECEIPT,
      'ETag',
      'Location',
      'Idempotency-Replayed',
      ...versioned(type),
    ]),
    problems: [409],
  });
}

function list(type: RecordType, { summaryPage }: RecordSchemas) {
  return describe(collectionResource.GET, {
    id: camelCase('list', type.collection),
    tag: type.collection,
    summary: `List ${type.collection}, newest first`,
    description: 'Filters combine with AND.',
    parameters: ['From', 'To', 'Limit', 'Cursor', 'Fields'],
    filters: Object.fromEntries(type.filters.map((filter) => [filter, filterOf(type, filter)])),
    answers: answer(200, 'A page of summaries.', summaryPage, versioned(type)),
  });
}

function createBatch(type: RecordType, { name, create: schema }: RecordSchemas) {
  const items = z.array(schema).min(1).max(LIMITS.batchItems);
  return describe(collectionBatchResource.POST, {
    id: `${camelCase('create', name)}Batch`,
    tag: type.collection,
    summary: `Create up to ${LIMITS.batchItems} records`,
    description:
      'Validated as a whole before anything is stored. Not atomic against a storage fault: interrupted is 503, and the same key completes it.', // prettier-ignore
    parameters: ['IdempotencyKey', 'Prefer'],
    body: { schema: z.strictObject({ items }), example: { items: [type.example] } },
    answers: answer(201, 'The envelopes in the order of the items.', z.strictObject({ items: z.array(envelopeHead) }), ['Idempotency-Replayed', 'Preference-Applied', ...versioned(type)]), // prettier-ignore
    problems: [409],
  });
}

function read(type: RecordType, { name, envelope }: RecordSchemas) {
  return describe(recordResource.GET, {
    id: camelCase('get', name),
    tag: type.collection,
    summary: `Read a ${type.recordType}`,
    parameters: ['Id', 'IfNoneMatch'],
    answers: {
      ...answer(200, 'The record.', envelope, ['ETag', ...cached(type), ...versioned(type)]),
      ...notModified(),
    },
    problems: [404, 409, 410],
  });
}

function patch(type: RecordType, { name, patch: schema, envelope }: RecordSchemas) {
  return describe(recordResource.PATCH, {
    id: camelCase('patch', name),
    tag: type.collection,
    summary: `Change a ${type.recordType}`,
    parameters: ['Id', 'IfMatchRequired', 'Prefer'],
    body: { schema },
    answers: answer(200, 'The new revision.', envelope, ['ETag', ...RECEIPT]),
    problems: [...CHANGE_PROBLEMS, 428],
  });
}

function readLineage(type: RecordType, { name }: RecordSchemas) {
  return describe(lineageResource.GET, {
    id: `${camelCase('get', name)}Lineage`,
    tag: type.collection,
    summary: `Follow what a ${type.recordType} is derived from, or what from it`,
    parameters: ['Id'],
    answers: answer(200, 'Records of all types, and the links among them.', lineage),
    problems: [404, 409, 410],
  });
}

function listRevisions(type: RecordType, { name }: RecordSchemas) {
  return describe(revisionsResource.GET, {
    id: `${camelCase('list', name)}Revisions`,
    tag: type.collection,
    summary: `List the revisions of a ${type.recordType}, oldest first`,
    parameters: ['Id'],
    answers: answer(200, 'A page of envelopes without data.', pageOf(envelopeHead), versioned(type)),
    problems: [404, 409, 410],
  });
}

function readRevision(type: RecordType, { name, envelope }: RecordSchemas) {
  return describe(revisionResource.GET, {
    id: `${camelCase('get', name)}Revision`,
    tag: type.collection,
    summary: `Read a revision of a ${type.recordType} as it was stored`,
    parameters: ['Id', 'Revision', 'IfNoneMatch'],
    answers: { ...answer(200, 'The revision.', envelope, ['ETag', ...versioned(type)]), ...notModified() },
    problems: [404, 409, 410],
  });
}

function namedPaths(type: RecordType, { name, put: schema, envelope }: RecordSchemas): Paths {
  const segments = nameParameters(type);
  const put = describe(recordActionResource.PUT, {
    id: camelCase('put', name),
    tag: type.collection,
    summary: `Create or replace the ${type.recordType} of a name`,
    parameters: [...segments, 'IfMatch', 'IfNoneMatchAny', 'Prefer'],
    body: { schema: schema ?? z.unknown() },
    answers: {
      ...answer(200, 'The record, replaced.', envelope, ['ETag', ...RECEIPT]),
      ...answer(201, 'The record, created.', envelope, ['ETag', 'Location', ...RECEIPT]),
    },
    problems: CHANGE_PROBLEMS,
  });
  const get = describe(recordActionResource.GET, {
    id: camelCase('getNamed', name),
    tag: type.collection,
    summary: `Read the ${type.recordType} of a name`,
    parameters: [...segments, 'AsOf', 'IfNoneMatch'],
    answers: {
      ...answer(200, 'The record.', envelope, ['ETag', ...cached(type), ...versioned(type)]),
      ...notModified(),
    },
    problems: [404, 409, 410],
  });
  return {
    [`/${type.collection}/${segments.map((segment) => `{${segment.name}}`).join('/')}`]: { put, get },
  };
}

function submit(type: RecordType, { name, create: schema }: RecordSchemas) {
  return describe(inboxResource.POST, {
    id: camelCase('submit', name),
    tag: type.collection,
    summary: `Create a ${type.recordType} later`,
    description: 'Validated now, stored by a queue function.',
    parameters: ['IdempotencyKey'],
    body: { schema, ...exampleOf(type) },
    answers: answer(202, 'The promise.', operation, ['Location', 'Idempotency-Replayed', ...versioned(type)]),
    problems: [409],
  });
}
