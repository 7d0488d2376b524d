import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { jobPauseResource } from '../src/http/resources/jobs.js';

app.http('job-pause', {
  route: 'jobs/{name}/pause',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(jobPauseResource, httpServices),
});
