import { isUtf8 } from 'node:buffer';
import type { QueueClient } from '@azure/storage-queue';
import { LIMITS } from '../domain/limits.js';
import { StorageFault, type QueueMessage, type WorkQueue } from '../storage/ports.js';
import type { AzureClients } from './clients.js';
import { answerOf, attempt } from './faults.js';

const NO_LONGER_OURS = new Set(['MessageNotFound', 'PopReceiptMismatch']);
const NEVER_EXPIRES = -1;

/** `WorkQueue` on Azure Queue Storage. */
export class AzureWorkQueue implements WorkQueue {
  constructor(private readonly clients: AzureClients) {}

  async send(queue: string, text: string, options: { readonly delayS?: number } = {}): Promise<void> {
    const encoded = Buffer.from(text, 'utf8').toString('base64');
    if (encoded.length > LIMITS.messageBytes)
      throw new StorageFault('too-large', `a message is at most ${LIMITS.messageBytes} bytes once encoded`);
    await this.#attempt(queue, (client, abortSignal) =>
      client.sendMessage(encoded, {
        messageTimeToLive: NEVER_EXPIRES,
        visibilityTimeout: options.delayS ?? 0,
        abortSignal,
      }),
    );
  }

  async receive(
    queue: string,
    options: { readonly limit: number; readonly hiddenS: number },
  ): Promise<readonly QueueMessage[]> {
    return this.#attempt(queue, async (client, abortSignal) => {
      const { receivedMessageItems } = await client.receiveMessages({
        numberOfMessages: options.limit,
        visibilityTimeout: options.hiddenS,
        abortSignal,
      });
      return receivedMessageItems.map((item) => ({
        id: item.messageId,
        receipt: item.popReceipt,
        text: decode(item.messageText),
        dequeueCount: item.dequeueCount,
        insertedMs: item.insertedOn.getTime(),
      }));
    });
  }

  async remove(queue: string, message: Pick<QueueMessage, 'id' | 'receipt'>): Promise<boolean> {
    return this.#held(queue, (client, abortSignal) =>
      client.deleteMessage(message.id, message.receipt, { abortSignal }),
    );
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
    let receipt: string | undefined;
    const held = await this.#held(queue, async (client, abortSignal) => {
      const answer = await client.updateMessage(message.id, message.receipt, undefined, hiddenS, {
        abortSignal,
      });
      receipt = answer.popReceipt;
    });
    return held ? receipt : undefined;
  }

  /** Runs a call that needs a valid receipt; false when it is not. */
  async #held(
    queue: string,
    call: (client: QueueClient, abortSignal: AbortSignal) => Promise<unknown>,
  ): Promise<boolean> {
    return this.#attempt(queue, async (client, abortSignal) => {
      try {
        await call(client, abortSignal);
        return true;
      } catch (error) {
        if (NO_LONGER_OURS.has(answerOf(error)?.code ?? '')) return false;
        throw error;
      }
    });
  }

  #attempt<T>(queue: string, call: (client: QueueClient, signal: AbortSignal) => Promise<T>): Promise<T> {
    const client = this.clients.queues.getQueueClient(queue);
    return attempt(`queue ${queue}`, this.clients.tryMs, (signal) => call(client, signal));
  }
}

/** Our messages are base64; one that is not was put there by somebody else and is handed on as it is. */
function decode(text: string): string {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text && isUtf8(bytes) ? bytes.toString('utf8') : text;
}
