import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { recordResource } from '../src/http/resources/record.js';

app.http('record', {
  route: '{collection}/{id}',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(recordResource, httpServices),
});
