import { AppError } from '../../domain/errors.js';
import type { OperationView } from '../../storage/inbox.js';
import { problemOf } from '../problem.js';
import { API_BASE, type Resource } from '../resource.js';
import { idOf, JSON_BODY, replayed, theBody, typeOf } from './shared.js';

/** `/inbox/{collection}`: validated now, stored later by a queue function. */
export const inboxResource: Resource = {
  POST: {
    permission: 'inbox.post',
    accepts: JSON_BODY,
    creates: theBody,
    run: async (input) => {
      const { inbox, externalEvents } = input.services;
      const accepted =
        input.params['collection'] === externalEvents.collection
          ? await inbox.promise(externalEvents, input.body, input.call)
          : await inbox.accept(typeOf(input), input.body, input.call);
      const headers = {
        location: `${API_BASE}/operations/${accepted.operation.operation_id}`,
        ...replayed(accepted),
      };
      return { status: 202, headers, body: operationBody(accepted.operation) };
    },
  },
};

/** `/operations/{id}`: how far a promised write has come. */
export const operationResource: Resource = {
  GET: {
    permission: 'operation.read',
    run: async (input) => {
      const operation = await input.services.inbox.getOperation(idOf(input), input.call);
      const headers = {
        'cache-control': 'no-store',
        ...(operation.status === 'pending' ? { 'retry-after': '1' } : {}),
      };
      return { status: 200, headers, body: operationBody(operation) };
    },
  },
};

/** An operation as the API shows it: why it failed is a problem document, as a POST would have answered it. */
export function operationBody({ problem, ...operation }: OperationView): unknown {
  if (problem === null) return { ...operation, problem };
  const error = new AppError(problem.code, problem.detail, { issues: problem.errors ?? [] });
  return { ...operation, problem: problemOf(error, operation.operation_id) };
}
