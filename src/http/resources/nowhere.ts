import { AppError } from '../../domain/errors.js';
import type { Operation, Resource } from '../resource.js';

const nowhere: Operation = {
  permission: 'nowhere',
  query: '*',
  run: () => Promise.reject(new AppError('record-not-found', 'There is nothing at this address.')),
};

/** Every address that no other route serves: a problem document, not the host's bare 404. */
export const nowhereResource: Resource = { GET: nowhere, POST: nowhere, PATCH: nowhere };
