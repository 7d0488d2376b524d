import { z } from 'zod';
import {
  ERASURE_PREFIX,
  ERASURE_SCHEMA_VERSION,
  erasureOfSubject,
  erasureRequest,
} from '../../domain/erasure.js';
import { time } from '../../domain/schema-parts.js';
import { erasureResource, erasuresResource, subjectErasureResource } from '../resources/erasures.js';
import { answer, RECEIPT } from './answers.js';
import { describe, type Paths } from './operation.js';
import { idOf, pageOf } from './shared-schemas.js';

const count = z.int().min(0);

const certificate = z
  .strictObject({
    records: z.record(z.string(), count).meta({ description: 'How many named the subject, by collection.' }),
    deleted: z.record(z.string(), count).optional().meta({ description: 'Of these, those that were the subject’s alone.' }), // prettier-ignore
    sealed_before_data_keys: count,
    key: z.enum(['destroyed', 'destroyed-before', 'none']),
    key_destroyed_at: time().optional(),
    actors: count.meta({ description: 'Pseudonyms that lead to nobody any more.' }),
    final_at: z
      .string()
      .meta({ description: 'When the last copy of the key is gone; empty before it has begun.' }),
  })
  .meta({ id: 'ErasureCertificate', description: 'What was found and done, without any personal value.' });

const erasure = z
  .strictObject({
    schema_version: z.literal(ERASURE_SCHEMA_VERSION),
    erasure_id: idOf(ERASURE_PREFIX),
    state: z.enum(['pending', 'erasing', 'incomplete', 'provisional', 'complete', 'unknown-subject']),
    subject_hash: z.string().meta({ description: 'A keyed hash of whom it is about.' }),
    reason: z.string(),
    reference: z.string().optional(),
    requested_at: time(),
    requested_by: z.string().meta({ description: 'A pseudonym.' }),
    waiting_for: z.enum(['hold', 'index', 'damage', 'sealed-before-data-keys']).optional(),
    certificate: certificate.optional(),
    certified_by: z.array(idOf('evt')).optional().meta({ description: 'The events that certify it.' }),
  })
  .meta({ id: 'Erasure', description: 'The erasure of a data subject, and how far it is.' });

const EXAMPLE = { reason: 'Request under article 17 GDPR of 12 March.', reference: '2026-E-0042' };
const ANSWERS = answer(202, 'It is taken on; a job does it.', erasure, ['Location', 'Idempotency-Replayed', ...RECEIPT]); // prettier-ignore

/** Paths of erasures. */
export function erasurePaths(): Paths {
  return {
    '/erasures': {
      post: describe(erasuresResource.POST, {
        id: 'requestErasure',
        tag: 'erasures',
        summary: 'Erase a data subject who is named in the body',
        parameters: ['IdempotencyKey', 'Prefer'],
        body: { schema: erasureRequest, example: { subject: 'p-4711', ...EXAMPLE } },
        answers: ANSWERS,
        problems: [409],
      }),
      get: describe(erasuresResource.GET, {
        id: 'listErasures',
        tag: 'erasures',
        summary: 'List erasures, newest first',
        answers: answer(200, 'A page of erasures.', pageOf(erasure)),
      }),
    },
    '/erasures/{id}': {
      get: describe(erasureResource.GET, {
        id: 'getErasure',
        tag: 'erasures',
        summary: 'Read how far an erasure is, and its certificate',
        parameters: ['Id'],
        answers: answer(200, 'The erasure.', erasure),
        problems: [404],
      }),
    },
    '/subjects/{subject}/erasure': {
      post: describe(subjectErasureResource.POST, {
        id: 'eraseSubject',
        tag: 'erasures',
        summary: 'Erase a data subject who is named in the address',
        description: 'Addresses are written to logs of the host: better name the subject in the body.',
        parameters: ['Subject', 'IdempotencyKey', 'Prefer'],
        body: { schema: erasureOfSubject, example: EXAMPLE },
        answers: ANSWERS,
        problems: [409],
      }),
    },
  };
}
