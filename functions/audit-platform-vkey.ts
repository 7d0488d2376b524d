import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { platformVkeyResource } from '../src/http/resources/anchors.js';

app.http('audit-platform-vkey', {
  route: 'audit/platform/vkey',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(platformVkeyResource, httpServices),
});
