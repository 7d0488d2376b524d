import { AppError } from '../../domain/errors.js';
import type { Resource } from '../resource.js';
import { idOf, JSON_BODY, typeOf, written } from './shared.js';

/** `/{collection}/{id}/{action}`: a typed action such as `votes`. */
export const recordActionResource: Resource = {
  POST: {
    permission: 'records.write',
    accepts: JSON_BODY,
    run: async (input) => {
      const type = typeOf(input);
      const action = input.params['action'] ?? '';
      if (!Object.hasOwn(type.actions, action)) {
        throw new AppError('record-not-found', 'There is no such action.');
      }
      const ifMatch = input.headers.get('if-match') ?? undefined;
      const record = await input.services.manager.act(
        type,
        idOf(input),
        action,
        input.body,
        ifMatch,
        input.call,
      );
      return written(200, record);
    },
  },
};
