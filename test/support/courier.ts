import { randomUUID } from 'node:crypto';
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
