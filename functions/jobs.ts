import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { jobsResource } from '../src/http/resources/jobs.js';

app.http('jobs', {
  route: 'jobs',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(jobsResource, httpServices),
});
