import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { anchorResource } from '../src/http/resources/anchors.js';

app.http('audit-log-anchor', {
  route: 'audit/log/anchor',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(anchorResource, httpServices),
});
