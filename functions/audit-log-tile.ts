import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { tileResource } from '../src/http/resources/audit-log.js';

app.http('audit-log-tile', {
  route: 'audit/log/tile/{*path}',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(tileResource, httpServices),
});
