import { acceptRehydration } from '../../domain/rehydration.js';
import { viewOf } from '../../storage/inbox.js';
import { API_BASE, type Resource } from '../resource.js';
import { operationBody } from './inbox.js';
import { idOf, JSON_BODY, typeOf } from './shared.js';

/** `/{collection}/{id}/rehydrate`: bring back from the archive what of a record is there. */
export const rehydrateResource: Resource = {
  POST: {
    permission: 'record.rehydrate',
    accepts: JSON_BODY,
    run: async (input) => {
      const { priority } = acceptRehydration(input.body);
      const { rehydrator } = input.services;
      const operation = await rehydrator.request(typeOf(input), idOf(input), priority, input.call);
      const headers = { location: `${API_BASE}/operations/${operation.id}` };
      return { status: 202, headers, body: operationBody(viewOf(operation)) };
    },
  },
};
