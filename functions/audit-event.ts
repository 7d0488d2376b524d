import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { auditEventResource } from '../src/http/resources/audit-events.js';

app.http('audit-event', {
  route: 'audit-events/{id}',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(auditEventResource, httpServices),
});
