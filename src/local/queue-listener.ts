import { sleep, within } from './bounded.js';
import { errorFields } from './host-log.js';
import { processMessage, type QueueSource } from './queue-message.js';

/** The shortest pause between two polls of an empty queue, as in Azure. */
const MIN_POLLING_MS = 100;

export interface Stoppable {
  /** Begins nothing new, and lets what runs finish within `limitMs`. */
  stop(limitMs: number): Promise<void>;
}

/**
 * Polls a queue and handles what it receives, as the host in Azure does: a batch at a time, the next one as soon as
 * few enough messages are in flight, slower and slower while the queue is empty or cannot be reached.
 */
export function listenToQueue(source: QueueSource): Stoppable {
  const { queue, queues, settings, hiddenS, log } = source;
  const stopping = new AbortController();
  const inFlight = new Set<Promise<void>>();
  let pauseMs = MIN_POLLING_MS;
  let reachable = true;

  const pause = async (): Promise<void> => {
    await sleep(pauseMs, stopping.signal);
    // Some jitter, so that two hosts on one queue do not poll in step.
    pauseMs = Math.min(settings.maxPollingIntervalMs, pauseMs * (1.8 + Math.random() * 0.4));
  };

  const poll = async (): Promise<void> => {
    const messages = await queues.receive(queue, { limit: settings.batchSize, hiddenS });
    if (!reachable) log.info('the queue can be reached again', { queue });
    reachable = true;
    if (messages.length === 0) return pause();
    pauseMs = MIN_POLLING_MS;
    for (const message of messages) {
      if (stopping.signal.aborted) {
        // Received while stopping: give it back at once rather than let it stay hidden.
        await queues.defer(queue, message, 0);
        continue;
      }
      const task = processMessage(source, message).finally(() => inFlight.delete(task));
      inFlight.add(task);
    }
    while (inFlight.size > settings.newBatchThreshold) await Promise.race(inFlight);
  };

  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        await poll();
      } catch (error) {
        // Once per outage: a queue that is away for an hour is one event, not thousands.
        if (reachable) log.warn('the queue cannot be reached', { queue, ...errorFields(error) });
        reachable = false;
        await pause();
      }
    }
    await Promise.all(inFlight);
  };
  const running = run();

  return {
    stop: async (limitMs) => {
      stopping.abort();
      if (!(await within(limitMs, running))) log.warn('messages were still in flight at the end', { queue });
    },
  };
}
