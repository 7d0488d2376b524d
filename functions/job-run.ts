import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { jobRunResource } from '../src/http/resources/jobs.js';

app.http('job-run', {
  route: 'jobs/{name}/run',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(jobRunResource, httpServices),
});
