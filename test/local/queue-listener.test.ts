import { afterEach, describe, expect, it } from 'vitest';
import { listenToQueue, type Stoppable } from '../../src/local/queue-listener.js';
import type { QueueSource } from '../../src/local/queue-message.js';
import { StorageFault, type QueueMessage, type WorkQueue } from '../../src/storage/ports.js';
import { recordingLog, until } from './support.js';

/** A queue without time: a message is visible or it is not, and every call is kept. */
class FakeQueue implements WorkQueue {
  readonly calls: string[] = [];
  readonly sent: [queue: string, text: string][] = [];
  readonly #visible: QueueMessage[] = [];
  readonly #hidden = new Map<string, QueueMessage>();
  #receipts = 0;
  /** Thrown by the next call of that name. */
  readonly faults = new Map<string, StorageFault>();
  readonly limits: number[] = [];

  put(text: string, dequeueCount = 0): void {
    this.#visible.push({ id: `m${text}`, receipt: '', text, dequeueCount, insertedMs: 0 });
  }

  get held(): number {
    return this.#hidden.size;
  }

  get left(): number {
    return this.#visible.length + this.#hidden.size;
  }

  #call(name: string, what: string): void {
    this.calls.push(`${name} ${what}`);
    const fault = this.faults.get(name);
    this.faults.delete(name);
    if (fault !== undefined) throw fault;
  }

  #take(message: Pick<QueueMessage, 'id' | 'receipt'>): QueueMessage | undefined {
    const found = this.#hidden.get(message.id);
    return found?.receipt === message.receipt ? found : undefined;
  }

  async send(queue: string, text: string): Promise<void> {
    this.#call('send', queue);
    this.sent.push([queue, text]);
  }

  async receive(queue: string, { limit }: { limit: number }): Promise<readonly QueueMessage[]> {
    this.limits.push(limit);
    this.#call('receive', queue);
    return this.#visible.splice(0, limit).map((message) => {
      const received = {
        ...message,
        receipt: `r${(this.#receipts += 1)}`,
        dequeueCount: message.dequeueCount + 1,
      };
      this.#hidden.set(message.id, received);
      return received;
    });
  }

  async remove(_queue: string, message: Pick<QueueMessage, 'id' | 'receipt'>): Promise<boolean> {
    this.#call('remove', message.id);
    return this.#take(message) !== undefined && this.#hidden.delete(message.id);
  }

  async defer(
    _queue: string,
    message: Pick<QueueMessage, 'id' | 'receipt'>,
    delayS: number,
  ): Promise<boolean> {
    this.#call('defer', `${message.id} ${delayS}`);
    const found = this.#take(message);
    if (found === undefined) return false;
    this.#hidden.delete(message.id);
    this.#visible.push(found);
    return true;
  }

  async renew(
    _queue: string,
    message: Pick<QueueMessage, 'id' | 'receipt'>,
    hiddenS: number,
  ): Promise<string | undefined> {
    this.#call('renew', `${message.id} ${hiddenS}`);
    const found = this.#take(message);
    if (found === undefined) return undefined;
    const receipt = `r${(this.#receipts += 1)}`;
    this.#hidden.set(message.id, { ...found, receipt });
    return receipt;
  }
}

const listening: Stoppable[] = [];
afterEach(async () => {
  await Promise.all(listening.splice(0).map((listener) => listener.stop(1_000)));
});

function listen(
  queues: FakeQueue,
  handle: QueueSource['handle'],
  settings: Partial<QueueSource['settings']> = {},
  log = recordingLog(),
): Stoppable {
  const listener = listenToQueue({
    queue: 'jobs',
    queues,
    settings: {
      batchSize: 16,
      newBatchThreshold: 8,
      maxPollingIntervalMs: 100,
      retryDelayS: 7,
      maxDequeueCount: 3,
      ...settings,
    },
    hiddenS: 0.04,
    log,
    handle,
  });
  listening.push(listener);
  return listener;
}

const unavailable = (): StorageFault => new StorageFault('unavailable', 'no answer');

describe('queue listener', () => {
  it('hands over each message and removes it when the handler is done', async () => {
    const queues = new FakeQueue();
    queues.put('a');
    queues.put('b');
    const seen: string[] = [];
    listen(queues, async (message) => void seen.push(message.text));
    await until(() => queues.left === 0, 'the queue is empty');
    expect(seen.sort()).toEqual(['a', 'b']);
    expect(queues.calls.filter((call) => call.startsWith('defer'))).toEqual([]);
  });

  it('retries a failed message after the delay of host.json, and moves it to the poison queue at last', async () => {
    const queues = new FakeQueue();
    queues.put('bad');
    const counts: number[] = [];
    const log = recordingLog();
    listen(
      queues,
      async (message) => {
        counts.push(message.dequeueCount);
        throw new Error('cannot');
      },
      {},
      log,
    );
    await until(() => queues.left === 0, 'the message is gone');
    expect(counts).toEqual([1, 2, 3]);
    expect(queues.calls.filter((call) => call.startsWith('defer'))).toEqual(['defer mbad 7', 'defer mbad 7']);
    expect(queues.sent).toEqual([['jobs-poison', 'bad']]);
    // Copied first, removed after.
    expect(queues.calls.indexOf('send jobs-poison')).toBeLessThan(queues.calls.indexOf('remove mbad'));
    expect(log.lines.filter((line) => line.level === 'error')).toHaveLength(3);
  });

  it('does not run the handler for a message beyond its last attempt', async () => {
    const queues = new FakeQueue();
    queues.put('old', 3);
    let ran = false;
    listen(queues, async () => void (ran = true));
    await until(() => queues.left === 0, 'the message is gone');
    expect(ran).toBe(false);
    expect(queues.sent).toEqual([['jobs-poison', 'old']]);
  });

  it('keeps a message that could not be copied to the poison queue', async () => {
    const queues = new FakeQueue();
    queues.put('old', 3);
    queues.faults.set('send', unavailable());
    const log = recordingLog();
    listen(queues, async () => undefined, {}, log);
    await until(() => log.lines.some((line) => line.message.includes('come again')), 'the failure is logged');
    expect([queues.left, queues.sent.length]).toEqual([1, 0]);
  });

  it('keeps a long-running message hidden and removes it with its latest receipt', async () => {
    const queues = new FakeQueue();
    queues.put('long');
    let release = (): void => undefined;
    listen(queues, () => new Promise((resolve) => (release = resolve)));
    await until(() => queues.calls.filter((call) => call === 'renew mlong 0.04').length >= 2, 'two renewals');
    release();
    await until(() => queues.left === 0, 'the message is removed');
  });

  it('goes on when a renewal fails', async () => {
    const queues = new FakeQueue();
    queues.put('long');
    queues.faults.set('renew', unavailable());
    let release = (): void => undefined;
    listen(queues, () => new Promise((resolve) => (release = resolve)));
    await until(
      () => queues.calls.filter((call) => call.startsWith('renew')).length >= 2,
      'a second renewal',
    );
    release();
    await until(() => queues.left === 0, 'the message is removed');
  });

  it('survives storage that cannot be reached, and logs the outage once', async () => {
    const queues = new FakeQueue();
    const log = recordingLog();
    queues.faults.set('receive', unavailable());
    listen(queues, async () => undefined, {}, log);
    await until(() => queues.calls.length >= 1, 'the first poll');
    queues.faults.set('receive', unavailable());
    await until(() => queues.calls.length >= 3, 'more polls');
    queues.put('a');
    await until(() => queues.left === 0, 'the message is handled after all');
    expect(log.lines.map((line) => line.message)).toEqual([
      'the queue cannot be reached',
      'the queue can be reached again',
    ]);
  });

  it('lets a message come again when it could not be removed', async () => {
    const queues = new FakeQueue();
    queues.put('a');
    queues.faults.set('remove', unavailable());
    const log = recordingLog();
    listen(queues, async () => undefined, {}, log);
    await until(() => log.lines.some((line) => line.message.includes('come again')), 'the failure is logged');
    expect(queues.held).toBe(1);
  });

  it('has no more in flight than a batch and the threshold', async () => {
    const queues = new FakeQueue();
    for (let n = 0; n < 40; n += 1) queues.put(String(n));
    let inFlight = 0;
    let most = 0;
    const releases: (() => void)[] = [];
    listen(
      queues,
      async () => {
        most = Math.max(most, (inFlight += 1));
        await new Promise<void>((resolve) => releases.push(resolve));
        inFlight -= 1;
      },
      { batchSize: 4, newBatchThreshold: 2 },
    );
    const all = setInterval(() => releases.shift()?.(), 1);
    await until(() => queues.left === 0, 'all are handled');
    clearInterval(all);
    expect(most).toBeLessThanOrEqual(6);
    expect(most).toBeGreaterThan(2);
    expect(new Set(queues.limits)).toEqual(new Set([4]));
  });

  it('polls an empty queue ever more slowly, but no more slowly than told', async () => {
    const queues = new FakeQueue();
    const times: number[] = [];
    const receive = queues.receive.bind(queues);
    queues.receive = async (queue, options) => {
      times.push(performance.now());
      return receive(queue, options);
    };
    listen(queues, async () => undefined, { maxPollingIntervalMs: 250 });
    await until(() => times.length >= 5, 'five polls');
    const gaps = times.slice(1).map((time, at) => time - (times[at] as number));
    expect(gaps[0]).toBeGreaterThan(95);
    expect(gaps[1]).toBeGreaterThan(gaps[0] as number);
    expect(gaps[3]).toBeGreaterThan(240);
  });
});

describe('stopping a queue listener', () => {
  it('finishes what is in flight and receives nothing more', async () => {
    const queues = new FakeQueue();
    queues.put('a');
    let release = (): void => undefined;
    const listener = listen(queues, () => new Promise((resolve) => (release = resolve)), {
      newBatchThreshold: 0,
    });
    await until(() => queues.held === 1, 'the message is received');
    const stopped = listener.stop(5_000);
    queues.put('b');
    release();
    await stopped;
    expect(queues.calls.filter((call) => !call.startsWith('renew'))).toEqual(['receive jobs', 'remove ma']);
    expect(queues.left).toBe(1);
  });

  it('gives back what it received too late', async () => {
    const queues = new FakeQueue();
    let answer = (): void => undefined;
    const receive = queues.receive.bind(queues);
    queues.receive = async (queue, options) => {
      await new Promise<void>((resolve) => (answer = resolve));
      return receive(queue, options);
    };
    let ran = false;
    const listener = listen(queues, async () => void (ran = true));
    queues.put('a');
    const stopped = listener.stop(5_000);
    answer();
    await stopped;
    expect(ran).toBe(false);
    expect(queues.calls).toEqual(['receive jobs', 'defer ma 0']);
  });

  it('does not wait for ever for a handler that hangs', async () => {
    const queues = new FakeQueue();
    queues.put('a');
    const log = recordingLog();
    const listener = listen(queues, () => new Promise(() => undefined), {}, log);
    await until(() => queues.held === 1, 'the message is received');
    await listener.stop(20);
    expect(log.lines.at(-1)?.message).toMatch(/still in flight/);
    listening.splice(0);
  });
});
