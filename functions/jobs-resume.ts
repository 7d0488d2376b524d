import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { jobResumeResource } from '../src/http/resources/jobs.js';

app.http('jobs-resume', {
  route: 'jobs/resume',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(jobResumeResource, httpServices),
});
