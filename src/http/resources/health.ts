import type { Resource } from '../resource.js';

/** `/health`: the process lives and storage answers; anybody may ask. */
export const healthResource: Resource = {
  GET: {
    permission: 'health',
    query: '*',
    run: async ({ services }) => {
      await services.checkStorage();
      return {
        status: 200,
        headers: { 'cache-control': 'no-store' },
        body: { status: 'ok', storage: 'reachable' },
      };
    },
  },
};
