import { AppError } from '../../domain/errors.js';
import { cursorOf } from '../query.js';
import type { Resource } from '../resource.js';
import { idOf, pageItemsOf, readOf, shown, typeOf } from './shared.js';

/** `/{collection}/{id}/revisions`: what a record was, oldest first. */
export const revisionsResource: Resource = {
  GET: {
    permission: 'revision.list',
    query: ['limit', 'cursor'],
    run: async (input) => {
      const page = { cursor: cursorOf(input.query), limit: await pageItemsOf(input) };
      const found = await input.services.manager.listRevisions(typeOf(input), idOf(input), page, input.call);
      const shows = found.items.map((item) => item.schema_version);
      const read = readOf(input, 'list_revisions', idOf(input), { count: shows.length, sensitive: false });
      return { status: 200, body: { items: found.items, next_cursor: found.nextCursor }, shows, read };
    },
  },
};

/** `/{collection}/{id}/revisions/{revision}`: one revision as it was stored. */
export const revisionResource: Resource = {
  GET: {
    permission: 'revision.read',
    run: async (input) => {
      const text = input.params['revision'] ?? '';
      if (!/^[1-9]\d{0,9}$/.test(text)) throw new AppError('record-not-found', 'There is no such revision.');
      const record = await input.services.manager.getRevision(
        typeOf(input),
        idOf(input),
        Number(text),
        input.call,
      );
      return shown(input, record, 'revision');
    },
  },
};
