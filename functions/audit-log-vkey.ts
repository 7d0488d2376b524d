import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { vkeyResource } from '../src/http/resources/audit-log.js';

app.http('audit-log-vkey', {
  route: 'audit/log/vkey',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(vkeyResource, httpServices),
});
