import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { healthResource } from '../src/http/resources/health.js';

app.http('health', {
  route: 'health',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(healthResource, httpServices),
});
