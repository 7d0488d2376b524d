import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { revisionsResource } from '../src/http/resources/revisions.js';

app.http('revisions', {
  route: '{collection}/{id}/revisions',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(revisionsResource, httpServices),
});
