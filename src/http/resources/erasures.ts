import { ERASURE_TYPE } from '../../domain/erasure.js';
import type { WrittenErasure } from '../../storage/erasure-store.js';
import { cursorOf } from '../query.js';
import { API_BASE, type Answer, type Resource } from '../resource.js';
import { eventProofPath, idOf, JSON_BODY, pageItemsOf, replayed } from './shared.js';

/** `/erasures`: of subjects that are named in the body, and those that were asked for, newest first. */
export const erasuresResource: Resource = {
  POST: {
    permission: 'erasure.request',
    accepts: JSON_BODY,
    run: async ({ services, body, call }) => accepted(await services.erasures.request(body, undefined, call)),
  },
  GET: {
    permission: 'erasure.list',
    query: ['limit', 'cursor'],
    run: async (input) => {
      const { services, query, call } = input;
      const asked = { cursor: cursorOf(query), limit: await pageItemsOf(input) };
      const { items, nextCursor } = await services.erasures.list(asked, call);
      const details = { count: items.length, sensitive: true };
      const read = { action: 'list', resourceType: ERASURE_TYPE, resourceId: '-', details } as const;
      return {
        status: 200,
        body: { items, next_cursor: nextCursor },
        read: items.length === 0 ? undefined : read,
      };
    },
  },
};

/** `/erasures/{id}`: how far it is, and its certificate. */
export const erasureResource: Resource = {
  GET: {
    permission: 'erasure.read',
    run: async (input) => {
      const body = await input.services.erasures.get(idOf(input), input.call);
      const { erasure_id: resourceId } = body;
      const details = { sensitive: true };
      return { status: 200, body, read: { action: 'read', resourceType: ERASURE_TYPE, resourceId, details } };
    },
  },
};

/** `/subjects/{subject}/erasure`: of the subject that the address names. */
export const subjectErasureResource: Resource = {
  POST: {
    permission: 'erasure.request',
    accepts: JSON_BODY,
    run: async ({ services, params, body, call }) =>
      accepted(await services.erasures.request(body, params['subject'] ?? '', call)),
  },
};

/** It is taken on; a job does it. */
function accepted({ erasure, eventId, replayed: again }: WrittenErasure): Answer {
  const location = `${API_BASE}/erasures/${erasure.erasure_id}`;
  const receipt = { eventIds: [eventId], proof: eventProofPath(eventId) };
  return { status: 202, headers: { location, ...replayed({ replayed: again }) }, body: erasure, receipt };
}
