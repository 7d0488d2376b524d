import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { recordActionResource } from '../src/http/resources/record-action.js';

app.http('record-action', {
  route: '{collection}/{id}/{action}',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(recordActionResource, httpServices),
});
