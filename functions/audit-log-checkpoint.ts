import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { checkpointResource } from '../src/http/resources/audit-log.js';

app.http('audit-log-checkpoint', {
  route: 'audit/log/checkpoint',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(checkpointResource, httpServices),
});
