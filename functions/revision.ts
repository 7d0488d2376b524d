import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { revisionResource } from '../src/http/resources/revisions.js';

app.http('revision', {
  route: '{collection}/{id}/revisions/{revision}',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(revisionResource, httpServices),
});
