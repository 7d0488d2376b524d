import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { configurationResource } from '../src/http/resources/configuration.js';

app.http('configuration', {
  route: 'configuration',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(configurationResource, httpServices),
});
