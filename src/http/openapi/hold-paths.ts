import { z } from 'zod';
import {
  HOLD_PREFIX,
  HOLD_SCHEMA_VERSION,
  holdRequest,
  holdScope,
  releaseRequest,
} from '../../domain/hold.js';
import { time } from '../../domain/schema-parts.js';
import { holdReleaseResource, holdResource, holdsResource } from '../resources/holds.js';
import { answer, RECEIPT } from './answers.js';
import { describe, type Paths } from './operation.js';
import { commitment, idOf, pageOf } from './shared-schemas.js';

/** A value that is gone once the subject it is about was erased: its commitment stays. */
const erasable = z.union([z.string(), commitment]);

const state = z.enum(['active', 'released']);
const query = holdScope.shape.query.unwrap();
const scope = z.strictObject({
  ...holdScope.shape,
  subject: erasable.optional(),
  query: query.extend({ field: z.record(z.string(), erasable).optional() }).optional(),
});

const hold = z
  .strictObject({
    schema_version: z.literal(HOLD_SCHEMA_VERSION),
    hold_id: idOf(HOLD_PREFIX),
    state,
    scope,
    reason: z.string(),
    reference: z.string().optional(),
    placed_at: time(),
    placed_by: z.string().meta({ description: 'A pseudonym.' }),
    released_at: time().optional(),
    released_by: z.string().optional().meta({ description: 'A pseudonym.' }),
    release_reason: z.string().optional(),
  })
  .meta({ id: 'Hold', description: 'What it covers is neither deleted nor erased while it is in force.' });

const EXAMPLE = {
  scope: { query: { collection: 'decisions', from: '2026-01-01T00:00:00Z', field: { status: 'completed' } } },
  reason: 'Preservation notice of 12 March.',
  reference: '2026-C-0117',
};

/** Paths of legal holds. */
export function holdPaths(): Paths {
  return {
    '/holds': {
      post: describe(holdsResource.POST, {
        id: 'placeHold',
        tag: 'holds',
        summary: 'Place a legal hold on a record, a subject or what a query finds',
        parameters: ['IdempotencyKey', 'Prefer'],
        body: { schema: holdRequest, example: EXAMPLE },
        answers: answer(201, 'The hold; it is in force.', hold, ['Location', 'Idempotency-Replayed', ...RECEIPT]), // prettier-ignore
        problems: [404, 409, 410],
      }),
      get: describe(holdsResource.GET, {
        id: 'listHolds',
        tag: 'holds',
        summary: 'List legal holds, newest first',
        filters: {
          state: z
            .enum(['active', 'released', 'all'])
            .default('active')
            .meta({ description: 'Those in force unless it says otherwise.' }),
        },
        answers: answer(200, 'A page of holds.', pageOf(hold)),
      }),
    },
    '/holds/{id}': {
      get: describe(holdResource.GET, {
        id: 'getHold',
        tag: 'holds',
        summary: 'Read a legal hold',
        parameters: ['Id'],
        answers: answer(200, 'The hold.', hold),
        problems: [404],
      }),
    },
    '/holds/{id}/release': {
      post: describe(holdReleaseResource.POST, {
        id: 'releaseHold',
        tag: 'holds',
        summary: 'Release a legal hold',
        description: 'What it alone covered may be deleted and erased from then on.',
        parameters: ['Id', 'IdempotencyKey', 'Prefer'],
        body: { schema: releaseRequest, example: { reason: 'The case was closed.' } },
        answers: answer(200, 'The hold, released.', hold, ['Idempotency-Replayed', ...RECEIPT]),
        problems: [404, 409],
      }),
    },
  };
}
