import { AppError } from '../../domain/errors.js';
import { HOLD_TYPE } from '../../domain/hold.js';
import type { HoldQuery } from '../../storage/hold-reader.js';
import type { WrittenHold } from '../../storage/hold-store.js';
import { cursorOf } from '../query.js';
import { API_BASE, type Answer, type Resource } from '../resource.js';
import { eventProofPath, idOf, JSON_BODY, pageItemsOf, replayed } from './shared.js';

/** Privacy officers see holds in clear: names of subjects and reasons are what they decide by. */
const IN_CLEAR = { sensitive: true };

/** `/holds`: legal holds, newest first; those in force unless others are asked for. */
export const holdsResource: Resource = {
  POST: {
    permission: 'hold.place',
    accepts: JSON_BODY,
    run: async ({ services, body, call }) => {
      const placed = await services.holds.place(body, call);
      return writtenHold(201, placed, { location: `${API_BASE}/holds/${placed.hold.hold_id}` });
    },
  },
  GET: {
    permission: 'hold.list',
    query: ['state', 'limit', 'cursor'],
    run: async (input) => {
      const { services, query, call } = input;
      const asked = { state: stateOf(query), cursor: cursorOf(query), limit: await pageItemsOf(input) };
      const { items, nextCursor } = await services.holds.list(asked, call);
      const details = { count: items.length, ...IN_CLEAR };
      const read = { action: 'list', resourceType: HOLD_TYPE, resourceId: '-', details } as const;
      return {
        status: 200,
        body: { items, next_cursor: nextCursor },
        read: items.length === 0 ? undefined : read,
      };
    },
  },
};

/** `/holds/{id}`. */
export const holdResource: Resource = {
  GET: {
    permission: 'hold.read',
    run: async (input) => {
      const body = await input.services.holds.get(idOf(input), input.call);
      const { hold_id: resourceId } = body;
      const read = { action: 'read', resourceType: HOLD_TYPE, resourceId, details: IN_CLEAR } as const;
      return { status: 200, body, read };
    },
  },
};

/** `/holds/{id}/release`: ends a hold, for a reason; it stays in the list of those that were released. */
export const holdReleaseResource: Resource = {
  POST: {
    permission: 'hold.release',
    accepts: JSON_BODY,
    run: async (input) =>
      writtenHold(200, await input.services.holds.release(idOf(input), input.body, input.call)),
  },
};

function writtenHold(
  status: number,
  { hold, eventId, replayed: again }: WrittenHold,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  const receipt = { eventIds: [eventId], proof: eventProofPath(eventId) };
  return { status, headers: { ...headers, ...replayed({ replayed: again }) }, body: hold, receipt };
}

/** Throws `request-malformed`. */
function stateOf(query: URLSearchParams): HoldQuery['state'] {
  const state = query.get('state') ?? 'active';
  if (state !== 'active' && state !== 'released' && state !== 'all')
    throw new AppError('request-malformed', 'state must be active, released or all.');
  return state;
}
