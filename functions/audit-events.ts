import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { auditEventsResource } from '../src/http/resources/audit-events.js';

app.http('audit-events', {
  route: 'audit-events',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(auditEventsResource, httpServices),
});
