import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { collectionBatchResource } from '../src/http/resources/collection-batch.js';

app.http('collection-batch', {
  route: '{collection}/batch',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(collectionBatchResource, httpServices),
});
