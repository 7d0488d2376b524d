import type { Platform } from '../../src/platform.js';
import { isAppError } from '../../src/domain/errors.js';
import { isFault } from '../../src/storage/ports.js';

/** Background work that a timer or a message starts in any process, any number of times. */
export interface Job {
  readonly name: string;
  /** One run; false when there is more to do at once. */
  readonly run: (platform: Platform) => Promise<boolean>;
}

export const SWEEP: Job = {
  name: 'sweep',
  run: async (platform) => {
    await platform.sweeper.sweep();
    return true;
  },
};

/** Everything that runs by a timer: the sweep, and whatever jobs the platform was assembled with. */
export function jobsOf(platform: Platform): readonly Job[] {
  const jobs = Reflect.get(platform.jobs, 'jobs') as readonly { readonly name: string }[];
  return [
    SWEEP,
    ...jobs.map(({ name }) => ({
      name,
      run: async (on: Platform) => (await on.jobs.run(name)).outcome !== 'paused',
    })),
  ];
}

/** What a job may end with when storage fails it: it is simply run again. */
export function excusable(error: unknown): boolean {
  return isAppError(error, 'storage-unavailable') || isFault(error, 'unavailable');
}
