import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { collectionResource } from '../src/http/resources/collection.js';

app.http('collection', {
  route: '{collection}',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(collectionResource, httpServices),
});
