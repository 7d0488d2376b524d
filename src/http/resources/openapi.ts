import type { RecordType } from '../../domain/record-type.js';
import { served, unchanging, type Served } from '../openapi/served.js';
import type { Resource } from '../resource.js';

/** By the types that are described. */
const documents = new WeakMap<readonly RecordType[], Promise<Served>>();

/** `/openapi.json`: the description of the API. It holds no data and anybody may ask. */
export const openapiResource: Resource = {
  GET: {
    permission: 'openapi',
    run: async (input) => unchanging(input, await documentOf(input.services.types.types)),
  },
};

function documentOf(types: readonly RecordType[]): Promise<Served> {
  const known = documents.get(types) ?? write(types);
  documents.set(types, known);
  known.catch(() => documents.delete(types));
  return known;
}

/** Loads what writes the document: no other request should wait for it, and a cold start least of all. */
async function write(types: readonly RecordType[]): Promise<Served> {
  const { buildDocument } = await import('../openapi/document.js');
  const text = JSON.stringify(buildDocument(types));
  return served('application/json; charset=utf-8', Buffer.from(text));
}
