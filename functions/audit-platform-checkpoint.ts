import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { platformCheckpointResource } from '../src/http/resources/anchors.js';

app.http('audit-platform-checkpoint', {
  route: 'audit/platform/checkpoint',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(platformCheckpointResource, httpServices),
});
