import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { operationResource } from '../src/http/resources/inbox.js';

app.http('operation', {
  route: 'operations/{id}',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(operationResource, httpServices),
});
