import { AppError } from '../../domain/errors.js';
import { SYSTEM_TENANT } from '../../storage/keys.js';
import type { Resource } from '../resource.js';
import { plainText } from './audit-log.js';

/**
 * `/audit/log/anchor`: the latest checkpoint of the caller's tenant in the platform log, with its proof under the
 * published checkpoint of that log. Of other tenants it has hashes alone.
 */
export const anchorResource: Resource = {
  GET: {
    permission: 'log.read',
    run: async ({ services, call }) => {
      const anchor = await services.auditLog.anchors.find(call.tenant);
      if (anchor === undefined) throw new AppError('record-not-found', 'The log is not anchored yet.');
      return { status: 200, body: anchor };
    },
  },
};

/** `/audit/platform/checkpoint`: the published checkpoint of the platform log, with its cosignatures. */
export const platformCheckpointResource: Resource = {
  GET: {
    permission: 'log.read',
    run: async ({ services }) => {
      const published = await services.auditLog.anchors.published();
      if (published === undefined) throw new AppError('record-not-found', 'Nothing is anchored yet.');
      return plainText(published.note);
    },
  },
};

/** `/audit/platform/vkey`: what the platform log is verified with; the key that signs now is the first. */
export const platformVkeyResource: Resource = {
  GET: {
    permission: 'log.read',
    run: ({ services }) =>
      Promise.resolve(
        plainText(
          services.auditLog
            .vkeys(SYSTEM_TENANT)
            .map((vkey) => `${vkey}\n`)
            .join(''),
        ),
      ),
  },
};
