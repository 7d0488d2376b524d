import type { Platform } from '../../src/platform.js';
import { isAppError } from '../../src/domain/errors.js';
import { QUEUES } from '../../src/storage/keys.js';
import { isFault } from '../../src/storage/ports.js';
import type { SimulatedHost } from './simulation-host.js';

/** Background work that a timer or a message starts in any process, any number of times. */
export interface Job {
  readonly name: string;
  /** One run; false when there is more to do at once. */
  readonly run: (host: SimulatedHost) => Promise<boolean>;
}

export const SWEEP: Job = {
  name: 'sweep',
  run: async ({ platform }) => {
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
      run: async (host: SimulatedHost) => {
        const { jobs } = host.platform;
        if ((await jobs.run(name)).outcome !== 'paused') return true;
        await takeWork(host);
        return (await jobs.run(name)).outcome !== 'paused';
      },
    })),
  ];
}

/** Messages of the queue that the job may have sent for what it waits for, as the host of the functions takes them. */
async function takeWork({ platform, ports }: SimulatedHost): Promise<void> {
  for (;;) {
    const messages = await ports.queues.receive(QUEUES.lifecycle, { limit: 4, hiddenS: 30 });
    if (messages.length === 0) return;
    for (const message of messages) {
      await platform.lifecycleWorkHandler.handle(JSON.parse(message.text), message);
      await ports.queues.remove(QUEUES.lifecycle, message);
    }
  }
}

/** What a job may end with when storage fails it: it is simply run again. */
export function excusable(error: unknown): boolean {
  return isAppError(error, 'storage-unavailable') || isFault(error, 'unavailable');
}
