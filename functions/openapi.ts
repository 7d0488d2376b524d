import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { openapiResource } from '../src/http/resources/openapi.js';

app.http('openapi', {
  route: 'openapi.json',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(openapiResource, httpServices),
});
