import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { QueueMessage, WorkQueue } from '../../src/storage/ports.js';
import { expectFault } from '../support/expect-fault.js';
import type { StorageKind, StorageUnderTest } from '../support/storages.js';

const QUEUES = Array.from({ length: 16 }, (_, index) => `seal-work-${index}`);

/** What every `WorkQueue` must do. */
export function workQueueContract(kind: StorageKind): void {
  describe(`a work queue ${kind.name}`, () => {
    let storage: StorageUnderTest;
    let queues: WorkQueue;
    let queue: string;
    let used = 0;
    const receive = (limit = 32, hiddenS = 30): Promise<readonly QueueMessage[]> =>
      queues.receive(queue, { limit, hiddenS });
    const only = async (hiddenS = 30): Promise<QueueMessage> => {
      const messages = await receive(32, hiddenS);
      expect(messages).toHaveLength(1);
      return messages[0] as QueueMessage;
    };

    beforeAll(async () => {
      storage = await kind.open({ tables: [], containers: [], queues: QUEUES });
      queues = storage.ports.queues;
    });
    beforeEach(() => {
      queue = QUEUES[used++] as string;
    });
    afterAll(() => storage.close());

    it('refuses a queue that does not exist', async () => {
      const message = { id: crypto.randomUUID(), receipt: 'AAAA' };
      await expectFault('refused', queues.send('no-such-queue', 'text'));
      await expectFault('refused', queues.receive('no-such-queue', { limit: 1, hiddenS: 1 }));
      await expectFault('refused', queues.remove('no-such-queue', message));
      await expectFault('refused', queues.defer('no-such-queue', message, 1));
    });

    it('receives nothing from an empty queue', async () => {
      expect(await receive()).toEqual([]);
    });

    it('delivers a text as it was sent, with its first count and its time', async () => {
      const text = JSON.stringify({ tenant: 'default', name: 'é <&> \u2028 😀' });
      await queues.send(queue, text);
      const message = await only();
      expect(message).toMatchObject({ text, dequeueCount: 1 });
      expect(message.insertedMs).toBeGreaterThan(Date.UTC(2020, 0, 1));
    });

    it('delivers an empty text', async () => {
      await queues.send(queue, '');
      expect((await only()).text).toBe('');
    });

    it('hides a received message from others, then delivers it again with a higher count', async () => {
      await queues.send(queue, 'again');
      const first = await only(1);
      expect(await receive()).toEqual([]);
      await storage.wait(1_200);
      const second = await only();
      expect(second).toMatchObject({ id: first.id, text: 'again', dequeueCount: 2 });
      expect(second.receipt).not.toBe(first.receipt);
    });

    it('removes a received message for good', async () => {
      await queues.send(queue, 'done');
      const message = await only(1);
      expect(await queues.remove(queue, message)).toBe(true);
      expect(await queues.remove(queue, message)).toBe(false);
      await storage.wait(1_200);
      expect(await receive()).toEqual([]);
    });

    it('takes neither removal nor deferral under a receipt that a later delivery replaced', async () => {
      await queues.send(queue, 'slow');
      const first = await only(1);
      await storage.wait(1_200);
      const second = await only();
      expect(await queues.remove(queue, first)).toBe(false);
      expect(await queues.defer(queue, first, 0)).toBe(false);
      expect(await queues.remove(queue, second)).toBe(true);
    });

    it('makes a deferred message visible when it is time, and its old receipt worthless', async () => {
      await queues.send(queue, 'later');
      const message = await only(30);
      expect(await queues.defer(queue, message, 1)).toBe(true);
      expect(await queues.remove(queue, message)).toBe(false);
      expect(await receive()).toEqual([]);
      await storage.wait(1_200);
      expect(await only()).toMatchObject({ id: message.id, text: 'later', dequeueCount: 2 });
    });

    it('keeps a message hidden under a new receipt when it is renewed, and the old receipt is worthless', async () => {
      await queues.send(queue, 'x');
      const message = await only(1);
      const receipt = await queues.renew(queue, message, 30);
      expect(receipt).toEqual(expect.any(String));
      expect(await queues.renew(queue, message, 30)).toBeUndefined();
      expect(await queues.remove(queue, message)).toBe(false);
      expect(await queues.remove(queue, { id: message.id, receipt: receipt ?? '' })).toBe(true);
    });

    it('gives a message back at once when it is deferred by nothing', async () => {
      await queues.send(queue, 'now');
      await queues.defer(queue, await only(30), 0);
      expect((await only()).dequeueCount).toBe(2);
    });

    it('keeps a delayed message until it is time', async () => {
      await queues.send(queue, 'delayed', { delayS: 1 });
      expect(await receive()).toEqual([]);
      await storage.wait(1_200);
      expect((await only()).text).toBe('delayed');
    });

    it('delivers up to as many as asked, each to one receiver', async () => {
      const texts = Array.from({ length: 10 }, (_, index) => `message ${index}`);
      for (const text of texts) await queues.send(queue, text);
      const first = await receive(3);
      expect(first).toHaveLength(3);
      const rest = await Promise.all([receive(5), receive(5)]);
      const all = [first, ...rest].flat().map((message) => message.text);
      expect(all.toSorted()).toEqual(texts.toSorted());
    });

    it('delivers the same text as often as it was sent: duplicates are normal', async () => {
      await queues.send(queue, 'twice');
      await queues.send(queue, 'twice');
      const messages = await receive();
      expect(messages.map((message) => message.text)).toEqual(['twice', 'twice']);
      expect(new Set(messages.map((message) => message.id)).size).toBe(2);
    });

    it('refuses to receive no message, or more than 32', async () => {
      await expectFault('refused', receive(0));
      await expectFault('refused', receive(33));
    });

    it('takes 48 KiB of text, and refuses a byte more with too-large', async () => {
      await expectFault('too-large', queues.send(queue, 'x'.repeat(49_153)));
      expect(await receive()).toEqual([]);
      await queues.send(queue, 'x'.repeat(49_152));
      expect((await only()).text).toHaveLength(49_152);
    });
  });
}
