import { AppError } from '../../domain/errors.js';
import { LIMITS } from '../../domain/limits.js';
import type { Resource } from '../resource.js';
import { idOf, readOf, typeOf } from './shared.js';

/** `/{collection}/{id}/lineage`: what a record is derived from, or what is derived from it, across types. */
export const lineageResource: Resource = {
  GET: {
    permission: 'lineage.read',
    query: ['direction', 'depth'],
    run: async (input) => {
      const direction = input.query.get('direction') ?? 'up';
      if (direction !== 'up' && direction !== 'down')
        throw new AppError('request-malformed', 'direction must be up or down.');
      const query = { direction, depth: depthOf(input.query) } as const;
      const body = await input.services.manager.lineage(typeOf(input), idOf(input), query, input.call);
      // The root is of this type, what it comes to may be of any: their summaries hold nothing sensitive.
      const details = { direction, count: body.nodes.length, sensitive: false };
      return { status: 200, body, read: readOf(input, 'lineage', idOf(input), details) };
    },
  },
};

/** All digits, so that neither 1e1 nor a blank is a number; what it may be is for the manager to say. */
function depthOf(query: URLSearchParams): number {
  const text = query.get('depth') ?? String(LIMITS.lineageDepth);
  return /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
}
