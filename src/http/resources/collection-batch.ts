import { AppError, invalid } from '../../domain/errors.js';
import { pointerOf } from '../../domain/json-input.js';
import { LIMITS } from '../../domain/limits.js';
import { isObject } from '../../domain/merge-patch.js';
import type { Resource } from '../resource.js';
import { JSON_BODY, replayed, typeOf } from './shared.js';

/** `/{collection}/batch`: create up to 100 records. */
export const collectionBatchResource: Resource = {
  POST: {
    permission: 'record.batch',
    accepts: JSON_BODY,
    bodyLimit: LIMITS.batchBodyBytes,
    creates: (body) => (isObject(body) && Array.isArray(body['items']) ? (body['items'] as unknown[]) : []),
    run: async (input) => {
      assertItemSizes(input.body);
      const type = typeOf(input);
      const batch = await input.services.manager.createBatch(type, itemsOf(input.body), input.call);
      const shows = batch.items.map((item) => item.schema_version);
      // Where each proof is follows from its item, and a hundred of them would be more than proxies take.
      const receipt = { eventIds: batch.eventIds };
      return { status: 201, headers: replayed(batch), body: { items: batch.items }, shows, receipt };
    },
  },
};

/** Throws `payload-too-large`, before anything is said about what the items hold. */
function assertItemSizes(body: unknown): void {
  const items: unknown = isObject(body) ? body['items'] : undefined;
  if (!Array.isArray(items)) return;
  const large = items.findIndex((item) => sizeOf(item) > LIMITS.batchItemBytes);
  if (large >= 0) throw new AppError('payload-too-large', `Item ${String(large)} is larger than 1 MiB.`);
}

function sizeOf(item: unknown): number {
  try {
    return Buffer.byteLength(JSON.stringify(item));
  } catch {
    // Nested too deep to be written down: that is what it will be refused for.
    return 0;
  }
}

/** The items of `{ "items": [ ] }`. */
function itemsOf(body: unknown): readonly unknown[] {
  if (!isObject(body) || !Array.isArray(body['items'])) {
    throw invalid([{ pointer: '/items', detail: 'must be a list of records' }]);
  }
  const unknown = Object.keys(body).filter((member) => member !== 'items');
  if (unknown.length > 0) {
    throw invalid(
      unknown.map((member) => ({ pointer: pointerOf([member]), detail: 'is not a known member' })),
    );
  }
  return body['items'] as unknown[];
}
