import { AUDIT_FILTERS } from '../../audit/audit-reader.js';
import { cursorOf, periodOf } from '../query.js';
import { API_BASE, type Resource } from '../resource.js';
import { eventProofPath, idOf, JSON_BODY, pageItemsOf, replayed } from './shared.js';

/** `/audit-events`: sealed events, newest first; and those of other systems, which are posted. */
export const auditEventsResource: Resource = {
  POST: {
    permission: 'audit.post',
    accepts: JSON_BODY,
    run: async ({ services, body, call }) => {
      const { event, replayed: again } = await services.externalEvents.store(body, call);
      const location = `${API_BASE}/audit-events/${event.event_id}`;
      const receipt = { eventIds: [event.event_id], proof: eventProofPath(event.event_id) };
      return { status: 201, headers: { location, ...replayed({ replayed: again }) }, body: event, receipt };
    },
  },
  GET: {
    permission: 'audit.list',
    query: [...AUDIT_FILTERS, 'from', 'to', 'limit', 'cursor'],
    run: async (input) => {
      const { services, query, call } = input;
      const filters = AUDIT_FILTERS.flatMap((name) => {
        const value = query.get(name);
        return value === null ? [] : [[name, value] as const];
      });
      const { actor, ...others } = Object.fromEntries(filters);
      const { auditReader, actorNames } = services;
      const asked = { ...periodOf(query), cursor: cursorOf(query), limit: await pageItemsOf(input) };
      const by = actor === undefined ? others : { ...others, actor: await actorNames.filterOf(actor, call) };
      const page = await auditReader.list({ filters: by, ...asked }, call);
      return {
        status: 200,
        body: { items: await actorNames.named(page.items, call), next_cursor: page.nextCursor },
      };
    },
  },
};

/** `/audit-events/{id}`: one event, with its place in the log once it is sealed. */
export const auditEventResource: Resource = {
  GET: {
    permission: 'audit.read',
    run: async (input) => {
      const { services, call } = input;
      const event = await services.auditReader.get(idOf(input), call);
      const [body] = await services.actorNames.named([event], call);
      return { status: 200, body };
    },
  },
};
