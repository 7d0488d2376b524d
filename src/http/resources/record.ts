import { formatTime } from '../../domain/clock.js';
import { timeOf } from '../query.js';
import type { Resource } from '../resource.js';
import { idOf, PATCH_BODY, shown, typeOf, written } from './shared.js';

/** `/{collection}/{id}`: read a record, patch it. */
export const recordResource: Resource = {
  GET: {
    permission: 'record.read',
    query: ['as_of'],
    run: async (input) => {
      const asOfMs = timeOf(input.query, 'as_of');
      const type = typeOf(input);
      const { manager } = input.services;
      const record =
        asOfMs === undefined
          ? await manager.get(type, idOf(input), input.call)
          : await manager.getAsOf(type, idOf(input), formatTime(asOfMs), input.call);
      return shown(input, record, asOfMs === undefined ? 'read' : 'as_of');
    },
  },
  PATCH: {
    permission: 'record.patch',
    accepts: PATCH_BODY,
    run: async (input) => {
      const ifMatch = input.headers.get('if-match') ?? undefined;
      const record = await input.services.manager.patch(
        typeOf(input),
        idOf(input),
        input.body,
        ifMatch,
        input.call,
      );
      return written(input, 200, record);
    },
  },
};
