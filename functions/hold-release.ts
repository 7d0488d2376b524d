import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { holdReleaseResource } from '../src/http/resources/holds.js';

app.http('hold-release', {
  route: 'holds/{id}/release',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(holdReleaseResource, httpServices),
});
