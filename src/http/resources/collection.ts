import { cursorOf, fieldsOf, limitOf, periodOf, assertKnown } from '../query.js';
import type { Resource } from '../resource.js';
import { JSON_BODY, pageItemsOf, readOf, recordPath, theBody, typeOf, written } from './shared.js';

/** `/{collection}`: create a record, list records. */
export const collectionResource: Resource = {
  POST: {
    permission: 'record.create',
    accepts: JSON_BODY,
    creates: theBody,
    run: async (input) => {
      const type = typeOf(input);
      const record = await input.services.manager.create(type, input.body, input.call);
      return written(input, 201, record, { location: recordPath(type, record.envelope.id) });
    },
  },
  GET: {
    permission: 'record.list',
    query: '*',
    run: async (input) => {
      // What is wrong with the query is said before anything is read.
      limitOf(input.query);
      const paging = { ...periodOf(input.query), cursor: cursorOf(input.query) };
      const type = typeOf(input);
      assertKnown(input.query, [...type.filters, 'from', 'to', 'limit', 'cursor', 'fields']);
      const filters = type.filters.flatMap((name) => {
        const value = input.query.get(name);
        return value === null ? [] : [[name, value] as const];
      });
      const asked = { ...paging, limit: await pageItemsOf(input), fields: fieldsOf(input.query) };
      const query = { filters: Object.fromEntries(filters), ...asked };
      const page = await input.services.manager.list(type, query, input.call);
      const shows = page.items.map((item) => item['schema_version']);
      const details = { count: shows.length, filters: filters.map(([name]) => name), sensitive: false };
      const read = readOf(input, 'list', '-', details);
      return { status: 200, body: { items: page.items, next_cursor: page.nextCursor }, shows, read };
    },
  },
};
