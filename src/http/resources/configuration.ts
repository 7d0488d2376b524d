import { acceptConfiguration, DEFAULT_CONFIGURATION } from '../../domain/tenant-configuration.js';
import { assertRetention } from '../../domain/retention.js';
import type { Resource } from '../resource.js';
import { isUnchanged, JSON_BODY, putConditionOf } from './shared.js';

/** `/configuration`: what the caller's tenant has set; the defaults, without an ETag, where it has set nothing. */
export const configurationResource: Resource = {
  GET: {
    permission: 'configuration.read',
    run: async (input) => {
      const stored = await input.services.configurations.stored(input.call);
      if (stored === undefined) return { status: 200, body: DEFAULT_CONFIGURATION };
      const headers = { etag: stored.etag };
      if (isUnchanged(input, stored.etag)) return { status: 304, headers };
      return { status: 200, headers, body: stored.configuration };
    },
  },
  PUT: {
    permission: 'configuration.write',
    accepts: JSON_BODY,
    run: async (input) => {
      const configuration = acceptConfiguration(input.body);
      const { configurations, types } = input.services;
      assertRetention(configuration, types.types);
      const stored = await configurations.put(configuration, putConditionOf(input), input.call);
      return { status: 200, headers: { etag: stored.etag }, body: stored.configuration };
    },
  },
};
