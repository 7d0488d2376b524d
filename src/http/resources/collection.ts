import { cursorOf, fieldsOf, limitOf, periodOf, assertKnown } from '../query.js';
import type { Resource } from '../resource.js';
import { JSON_BODY, recordPath, theBody, typeOf, written } from './shared.js';

/** `/{collection}`: create a record, list records. */
export const collectionResource: Resource = {
  POST: {
    permission: 'records.write',
    accepts: JSON_BODY,
    creates: theBody,
    run: async (input) => {
      const type = typeOf(input);
      const record = await input.services.manager.create(type, input.body, input.call);
      return written(201, record, { location: recordPath(type, record.envelope.id) });
    },
  },
  GET: {
    permission: 'records.read',
    query: '*',
    run: async (input) => {
      const paging = { ...periodOf(input.query), limit: limitOf(input.query), cursor: cursorOf(input.query) };
      const type = typeOf(input);
      assertKnown(input.query, [...type.filters, 'from', 'to', 'limit', 'cursor', 'fields']);
      const filters = type.filters.flatMap((name) => {
        const value = input.query.get(name);
        return value === null ? [] : [[name, value] as const];
      });
      const query = { filters: Object.fromEntries(filters), fields: fieldsOf(input.query), ...paging };
      const page = await input.services.manager.list(type, query, input.call);
      const shows = page.items.map((item) => item['schema_version']);
      return { status: 200, body: { items: page.items, next_cursor: page.nextCursor }, shows };
    },
  },
};
