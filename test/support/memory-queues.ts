import { randomUUID } from 'node:crypto';
import type { Clock } from '../../src/domain/clock.js';
import { LIMITS } from '../../src/domain/limits.js';
import { StorageFault, type QueueMessage, type WorkQueue } from '../../src/storage/ports.js';

interface Message {
  readonly id: string;
  readonly text: string;
  readonly insertedMs: number;
  receipt: string;
  dequeueCount: number;
  visibleMs: number;
}

/** `WorkQueue` in memory, to the letter of its contract. With `names`, any other queue is missing. */
export class MemoryQueues implements WorkQueue {
  readonly #queues = new Map<string, Map<string, Message>>();

  constructor(
    private readonly clock: Clock,
    private readonly names?: readonly string[],
    private readonly newId: () => string = randomUUID,
  ) {}

  /** Every message, visible or not. */
  *all(): Generator<{ readonly queue: string; readonly id: string; readonly text: string }> {
    for (const [queue, messages] of this.#queues)
      for (const { id, text } of messages.values()) yield { queue, id, text };
  }

  async send(queue: string, text: string, options: { readonly delayS?: number } = {}): Promise<void> {
    if (Buffer.from(text, 'utf8').toString('base64').length > LIMITS.messageBytes)
      throw new StorageFault('too-large', `a message is at most ${LIMITS.messageBytes} bytes once encoded`);
    const id = this.newId();
    this.#queue(queue).set(id, {
      id,
      text,
      insertedMs: this.clock.now(),
      receipt: '',
      dequeueCount: 0,
      visibleMs: this.#in(options.delayS ?? 0),
    });
  }

  async receive(
    queue: string,
    options: { readonly limit: number; readonly hiddenS: number },
  ): Promise<readonly QueueMessage[]> {
    const { limit, hiddenS } = options;
    if (limit < 1 || limit > 32 || hiddenS < 1)
      throw new StorageFault('refused', '1 to 32 messages are received, for at least a second');
    const visible = [...this.#queue(queue).values()].filter(
      (message) => message.visibleMs <= this.clock.monotonic(),
    );
    return visible.slice(0, limit).map((message) => {
      message.receipt = this.newId();
      message.dequeueCount += 1;
      message.visibleMs = this.#in(hiddenS);
      const { id, receipt, text, dequeueCount, insertedMs } = message;
      return { id, receipt, text, dequeueCount, insertedMs };
    });
  }

  async remove(queue: string, message: Pick<QueueMessage, 'id' | 'receipt'>): Promise<boolean> {
    const found = this.#held(queue, message);
    return found !== undefined && this.#queue(queue).delete(found.id);
  }

  async defer(
    queue: string,
    message: Pick<QueueMessage, 'id' | 'receipt'>,
    delayS: number,
  ): Promise<boolean> {
    return (await this.renew(queue, message, delayS)) !== undefined;
  }

  async renew(
    queue: string,
    message: Pick<QueueMessage, 'id' | 'receipt'>,
    hiddenS: number,
  ): Promise<string | undefined> {
    const found = this.#held(queue, message);
    if (found === undefined) return undefined;
    found.receipt = this.newId();
    found.visibleMs = this.#in(hiddenS);
    return found.receipt;
  }

  /** The message, if `receipt` is of its last delivery. */
  #held(queue: string, message: Pick<QueueMessage, 'id' | 'receipt'>): Message | undefined {
    const found = this.#queue(queue).get(message.id);
    return found !== undefined && found.receipt === message.receipt ? found : undefined;
  }

  #in(seconds: number): number {
    return this.clock.monotonic() + seconds * 1000;
  }

  #queue(queue: string): Map<string, Message> {
    if (this.names !== undefined && !this.names.includes(queue))
      throw new StorageFault('refused', `the queue ${queue} does not exist`);
    const messages = this.#queues.get(queue) ?? new Map<string, Message>();
    this.#queues.set(queue, messages);
    return messages;
  }
}
