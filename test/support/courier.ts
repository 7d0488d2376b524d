import { randomUUID } from 'node:crypto';
import type { JobReport } from '../../src/lifecycle/job-runner.js';
import { deliveryOf } from '../../src/queue/delivery.js';
import type { Platform } from '../../src/platform.js';
import { QUEUES } from '../../src/storage/keys.js';
import type { QueueMessage, StoragePorts } from '../../src/storage/ports.js';
import { invocation } from './http-harness.js';

/** A text as the Functions worker gives it to a queue function: parsed when it is JSON. */
function payloadOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** One delivery of a message of `records-inbox`, as functions/records-inbox.ts receives it. Rejects to have it again. */
export async function deliver(
  platform: Platform,
  message: Pick<QueueMessage, 'id' | 'text' | 'insertedMs' | 'dequeueCount'>,
): Promise<void> {
  const context = invocation({
    triggerMetadata: {
      id: message.id,
      dequeueCount: message.dequeueCount,
      insertionTime: new Date(message.insertedMs).toISOString().replace('Z', '+00:00'),
    },
  });
  await platform.inboxHandler.handle(payloadOf(message.text), deliveryOf(context));
}

/**
 * Takes the messages of `lifecycle-work` that are visible, and those that come of them, as the host of the functions does.
 * Resolves to how many there were; a message whose handler rejects stays where it is, and ends it.
 */
export async function workAll(platform: Platform, ports: StoragePorts): Promise<number> {
  const queue = QUEUES.lifecycle;
  for (let taken = 0; ; taken += 1) {
    const [message] = await ports.queues.receive(queue, { limit: 1, hiddenS: 30 });
    if (message === undefined) return taken;
    await platform.lifecycleWorkHandler.handle(payloadOf(message.text), message);
    await ports.queues.remove(queue, message);
  }
}

/** What runs of the timer make of a job's round, with its messages taken in between. */
export async function runRound(platform: Platform, ports: StoragePorts, job: string): Promise<JobReport> {
  for (let runs = 0; runs < 100; runs += 1) {
    const report = await platform.jobs.run(job);
    if (report.outcome !== 'paused') return report;
    await workAll(platform, ports);
  }
  throw new Error('the round does not end');
}

/** Takes everything out of a queue. */
export async function takeAll(ports: StoragePorts, queue: string): Promise<readonly QueueMessage[]> {
  const all: QueueMessage[] = [];
  for (;;) {
    const messages = await ports.queues.receive(queue, { limit: 32, hiddenS: 60 });
    if (messages.length === 0) return all;
    for (const message of messages) await ports.queues.remove(queue, message);
    all.push(...messages);
  }
}

/** What `takeAll` finds set aside, as JSON. */
export async function takePoison(ports: StoragePorts): Promise<readonly Record<string, unknown>[]> {
  const messages = await takeAll(ports, QUEUES.inboxPoison);
  return messages.map(({ text }) => JSON.parse(text) as Record<string, unknown>);
}

/** A message that somebody put into the queue by hand. */
export function messageOf(content: unknown, more: Partial<QueueMessage> = {}): QueueMessage {
  const text = typeof content === 'string' ? content : JSON.stringify(content);
  return { id: randomUUID(), receipt: '', dequeueCount: 1, insertedMs: Date.now(), text, ...more };
}
