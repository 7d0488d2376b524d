import { invalid } from '../../domain/errors.js';
import { LIMITS } from '../../domain/limits.js';
import { AppError } from '../../domain/errors.js';
import { isObject } from '../../domain/merge-patch.js';
import type { Resource } from '../resource.js';
import { JSON_BODY, replayed, typeOf } from './shared.js';

/** `/{collection}/batch`: create up to 100 records. */
export const collectionBatchResource: Resource = {
  POST: {
    permission: 'records.write',
    accepts: JSON_BODY,
    bodyLimit: LIMITS.batchBodyBytes,
    run: async (input) => {
      const type = typeOf(input);
      const batch = await input.services.manager.createBatch(type, itemsOf(input.body), input.call);
      return { status: 201, headers: replayed(batch), body: { items: batch.items } };
    },
  },
};

/** The items of `{ "items": [ ] }`; sizes first, so that no item is parsed that is too large to be stored. */
function itemsOf(body: unknown): readonly unknown[] {
  if (!isObject(body) || !Array.isArray(body['items'])) {
    throw invalid([{ pointer: '/items', detail: 'must be a list of records' }]);
  }
  const unknown = Object.keys(body).filter((member) => member !== 'items');
  if (unknown.length > 0) throw invalid(unknown.map((member) => ({ pointer: `/${member.replaceAll('~', '~0').replaceAll('/', '~1')}`, detail: 'is not a known member' }))); // prettier-ignore
  const items = body['items'] as unknown[];
  if (items.length > LIMITS.batchItems) return items;
  const large = items.findIndex((item) => Buffer.byteLength(JSON.stringify(item)) > LIMITS.batchItemBytes);
  if (large >= 0) throw new AppError('payload-too-large', `Item ${String(large)} is larger than 1 MiB.`);
  return items;
}
