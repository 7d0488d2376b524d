import { AppError } from '../../domain/errors.js';
import { LIMITS } from '../../domain/limits.js';
import type { Asked } from '../../lifecycle/job.js';
import { countsOf } from '../../lifecycle/job-view.js';
import type { Resource } from '../resource.js';

/** `/jobs`: what every job has done last. */
export const jobsResource: Resource = {
  GET: {
    permission: 'jobs.list',
    run: async ({ services }) => ({
      status: 200,
      headers: NOT_KEPT,
      body: { ...(await services.jobs.list()) },
    }),
  },
};

/** `/jobs/{name}/pause` and `/jobs/pause`: switches one off, or all. */
export const jobPauseResource: Resource = switching('suspend');
/** `/jobs/{name}/resume` and `/jobs/resume`: takes the same back. */
export const jobResumeResource: Resource = switching('resume');

/** Answers with what `GET /jobs` says after it. */
function switching(turn: 'suspend' | 'resume'): Resource {
  return {
    POST: {
      permission: 'jobs.switch',
      run: async ({ services: { jobs }, params }) => {
        const name = params['name'];
        if (name !== undefined && !jobs.knows(name)) throw noSuchJob();
        await jobs[turn](name);
        return { status: 200, headers: NOT_KEPT, body: { ...(await jobs.list()) } };
      },
    },
  };
}

/**
 * `/jobs/{name}/run`: starts a job, or goes on with its round, and answers after 15 s at most with what it has done: 200
 * when it is through, 202 when there is more, which its timer or the next request does. `dry_run` and `sample` make a run
 * of its own, from the beginning.
 */
export const jobRunResource: Resource = {
  POST: {
    permission: 'jobs.run',
    query: ['dry_run', 'sample'],
    run: async ({ services: { jobs }, params, query }) => {
      const asked = askedOf(query);
      const name = params['name'] ?? '';
      if (!jobs.knows(name)) throw noSuchJob();
      const alone = asked.dryRun === true || asked.sample !== undefined;
      const { outcome, counts, report } = await (alone ? jobs.tryOut(name, asked) : jobs.start(name));
      if (outcome === 'suspended')
        throw new AppError('transition-not-allowed', 'The job is suspended: resume it first.');
      const body = { name, dry_run: asked.dryRun === true, sample: asked.sample ?? null, outcome, counts: countsOf(counts), ...(report === undefined ? {} : { report: Object.values(report) }) }; // prettier-ignore
      return { status: outcome === 'done' ? 200 : 202, headers: NOT_KEPT, body };
    },
  },
};

const NOT_KEPT = { 'cache-control': 'no-store' };

function noSuchJob(): AppError {
  return new AppError('record-not-found', 'There is no such job.');
}

/** Throws `request-malformed`. */
function askedOf(query: URLSearchParams): Asked {
  const dryRun = query.get('dry_run');
  if (dryRun !== null && dryRun !== 'true' && dryRun !== 'false')
    throw new AppError('request-malformed', 'dry_run must be true or false.');
  const sample = query.get('sample');
  if (sample === null) return { dryRun: dryRun === 'true' };
  if (!/^[1-9]\d{0,6}$/.test(sample) || Number(sample) > LIMITS.sampleRecords)
    throw new AppError(
      'request-malformed',
      `sample must be an integer from 1 to ${String(LIMITS.sampleRecords)}.`,
    );
  return { dryRun: dryRun === 'true', sample: Number(sample) };
}
