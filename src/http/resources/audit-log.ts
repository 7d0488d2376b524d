import { parseTilePath } from '../../audit/log/tiles.js';
import { AppError } from '../../domain/errors.js';
import type { Answer, Resource } from '../resource.js';

/** The log as C2SP tlog-tiles has it: the tenant is the caller's, and `/audit/log` its prefix. */

/** Tiles never change; whose they are is told by the caller's credentials. */
const TILE_HEADERS = {
  'cache-control': 'private, max-age=31536000, immutable',
  vary: 'authorization, x-dev-tenant',
};

/** Text as the log's formats have it. */
export function plainText(text: string): Answer {
  return { status: 200, content: { type: 'text/plain; charset=utf-8', bytes: Buffer.from(text) } };
}

/** `/audit/log/checkpoint`: the signed size and root of the log. */
export const checkpointResource: Resource = {
  GET: {
    permission: 'log.read',
    run: async ({ services, call }) => {
      const checkpoint = await services.auditLog.reader.checkpoint(call.tenant);
      if (checkpoint === undefined) throw new AppError('record-not-found', 'Nothing is in the log yet.');
      return plainText(checkpoint.note);
    },
  },
};

/** `/audit/log/tile/<L>/<N>[.p/<W>]` and `/audit/log/tile/entries/<N>[.p/<W>]`: hashes and entries of the log. */
export const tileResource: Resource = {
  GET: {
    permission: 'log.read',
    run: async ({ services, params, call }) => {
      const tile = parseTilePath(`tile/${params['path'] ?? ''}`);
      const bytes = tile === undefined ? undefined : await services.auditLog.reader.tile(call.tenant, tile);
      if (bytes === undefined) throw new AppError('record-not-found', 'The log has no such tile.');
      return { status: 200, headers: TILE_HEADERS, content: { type: 'application/octet-stream', bytes } };
    },
  },
};

/** `/audit/log/vkey`: what signatures are verified with, a line each; the key that signs now is the first. */
export const vkeyResource: Resource = {
  GET: {
    permission: 'log.read',
    run: ({ services, call }) =>
      Promise.resolve(
        plainText(
          services.auditLog
            .vkeys(call.tenant)
            .map((vkey) => `${vkey}\n`)
            .join(''),
        ),
      ),
  },
};
