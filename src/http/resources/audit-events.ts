import { cursorOf, limitOf, periodOf } from '../query.js';
import type { Resource } from '../resource.js';
import { idOf } from './shared.js';

/** `/audit-events`: sealed events, newest first. */
export const auditEventsResource: Resource = {
  GET: {
    permission: 'audit.read',
    query: ['from', 'to', 'resource_id', 'event_type', 'limit', 'cursor'],
    run: async ({ services, query, call }) => {
      const page = await services.auditReader.list(call.tenant, {
        resourceId: query.get('resource_id') ?? undefined,
        eventType: query.get('event_type') ?? undefined,
        ...periodOf(query),
        limit: limitOf(query),
        cursor: cursorOf(query),
      });
      return { status: 200, body: { items: page.items, next_cursor: page.nextCursor } };
    },
  },
};

/** `/audit-events/{id}`: one event, with its place in the log once it is sealed. */
export const auditEventResource: Resource = {
  GET: {
    permission: 'audit.read',
    run: async (input) => ({
      status: 200,
      body: await input.services.auditReader.get(input.call.tenant, idOf(input)),
    }),
  },
};
