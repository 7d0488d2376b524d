import type { QueueMessage, WorkQueue } from '../storage/ports.js';
import { errorFields, type HostLog } from './host-log.js';
import type { QueueSettings } from './host-json.js';

/**
 * What a message is hidden for while it is handled, renewed halfway. Azure hides for ten minutes; on one machine, where
 * the host is killed and started again at will, its messages should be back sooner.
 */
export const HIDDEN_S = 30;

export interface QueueSource {
  readonly queue: string;
  readonly queues: WorkQueue;
  readonly settings: QueueSettings;
  readonly hiddenS: number;
  readonly log: HostLog;
  /** Handles one message; rejects when it has to be tried again. */
  readonly handle: (message: QueueMessage) => Promise<void>;
}

/** Keeps a message hidden, renewing halfway to its reappearance, until stopped; then its current receipt. */
function keepHidden(source: QueueSource, message: QueueMessage): { stop(): Promise<string> } {
  let receipt = message.receipt;
  let pending: Promise<void> = Promise.resolve();
  const renew = async (): Promise<void> => {
    try {
      receipt =
        (await source.queues.renew(source.queue, { id: message.id, receipt }, source.hiddenS)) ?? receipt;
    } catch (error) {
      // It may still succeed next time; if not, the message is delivered once more, which handlers expect.
      source.log.warn('a message could not be kept hidden', { queue: source.queue, ...errorFields(error) });
    }
  };
  const timer = setInterval(() => {
    pending = pending.then(renew);
  }, source.hiddenS * 500);
  return {
    stop: async () => {
      clearInterval(timer);
      await pending;
      return receipt;
    },
  };
}

async function toPoison(source: QueueSource, message: QueueMessage): Promise<void> {
  const { queue, queues, log } = source;
  log.warn(`a message failed ${source.settings.maxDequeueCount} times and is moved to ${queue}-poison`, {
    queue,
    id: message.id,
  });
  // Copy before delete: a crash in between leaves two, never none.
  await queues.send(`${queue}-poison`, message.text);
  await queues.remove(queue, message);
}

/**
 * Handles one received message to its end: removed when the handler resolves, hidden for the retry delay when it
 * rejects, moved to the poison queue at the last attempt. Never rejects; a storage fault leaves the message to be
 * delivered again.
 */
export async function processMessage(source: QueueSource, received: QueueMessage): Promise<void> {
  const { queue, queues, settings, log } = source;
  try {
    // A host that died, or could not reach the poison queue, leaves a message beyond its last attempt.
    if (received.dequeueCount > settings.maxDequeueCount) {
      await toPoison(source, received);
      return;
    }
    const hidden = keepHidden(source, received);
    let failure: unknown;
    let failed = false;
    try {
      await source.handle(received);
    } catch (error) {
      failed = true;
      failure = error;
    }
    const message = { ...received, receipt: await hidden.stop() };
    if (!failed) {
      // False is a message that was delivered again meanwhile; whoever has it now will remove it.
      await queues.remove(queue, message);
      return;
    }
    const fields = { queue, id: message.id, dequeueCount: message.dequeueCount };
    log.error('a message failed', { ...fields, ...errorFields(failure) });
    if (message.dequeueCount >= settings.maxDequeueCount) await toPoison(source, message);
    else await queues.defer(queue, message, settings.retryDelayS);
  } catch (error) {
    log.error('a message could not be settled and will come again', { queue, ...errorFields(error) });
  }
}
