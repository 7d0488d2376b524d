import { jobPauseResource, jobResumeResource, jobRunResource, jobsResource } from '../resources/jobs.js';
import { answer } from './answers.js';
import { describe, type Paths } from './operation.js';
import { jobList, jobRun } from './shared-schemas.js';

const NAME = { name: 'name', in: 'path' as const, required: true, description: 'Of the job.', schema: { type: 'string' as const } }; // prettier-ignore

/** Paths of jobs. */
export function jobPaths(): Paths {
  return {
    '/jobs': {
      get: describe(jobsResource.GET, {
        id: 'listJobs',
        tag: 'jobs',
        summary: 'See what every job has done last',
        answers: answer(200, 'All jobs.', jobList),
      }),
    },
    '/jobs/{name}/run': {
      post: describe(jobRunResource.POST, {
        id: 'runJob',
        tag: 'jobs',
        summary: 'Start a job, or go on with its round',
        description: 'Answers after 15 s at most. `dry_run` and `sample` make a run of its own.',
        parameters: [NAME],
        answers: {
          ...answer(200, 'It is through.', jobRun),
          ...answer(202, 'There is more: its timer goes on, or the next request.', jobRun),
        },
        problems: [404, 409],
      }),
    },
    '/jobs/{name}/pause': {
      post: describe(jobPauseResource.POST, {
        id: 'pauseJob',
        tag: 'jobs',
        summary: 'Switch a job off until it is resumed',
        description: 'One at work stops within two seconds and the step it is at. Repeating it is harmless.',
        parameters: [NAME],
        answers: answer(200, 'All jobs.', jobList),
        problems: [404],
      }),
    },
    '/jobs/{name}/resume': {
      post: describe(jobResumeResource.POST, {
        id: 'resumeJob',
        tag: 'jobs',
        summary: 'Let a job go on where it was',
        parameters: [NAME],
        answers: answer(200, 'All jobs.', jobList),
        problems: [404],
      }),
    },
    '/jobs/pause': {
      post: describe(jobPauseResource.POST, {
        id: 'pauseJobs',
        tag: 'jobs',
        summary: 'Switch all jobs off at once',
        description: 'Jobs that were paused alone stay so when all are resumed.',
        answers: answer(200, 'All jobs.', jobList),
      }),
    },
    '/jobs/resume': {
      post: describe(jobResumeResource.POST, {
        id: 'resumeJobs',
        tag: 'jobs',
        summary: 'Take the switch that is over all jobs back',
        answers: answer(200, 'All jobs.', jobList),
      }),
    },
  };
}
