import { storageNames } from '../../src/platform.js';
import { isAppError } from '../../src/domain/errors.js';
import type { QueueMessage, StoragePorts } from '../../src/storage/ports.js';
import { memoryStorage, type MemoryStorage } from '../support/memory-ports.js';
import { watchLogs, type LogWatch } from '../support/log-watch.js';
import { wrapPorts, type Intercept, type PortCall } from '../support/wrap-ports.js';
import { BranchWatch } from './simulation-branches.js';
import type { Counters } from './simulation-counters.js';
import { Facts } from './simulation-facts.js';
import { SimulatedHost, START_MS, type HostOptions } from './simulation-host.js';
import { excusable, type Job } from './simulation-jobs.js';
import { Network, type Fate, type Outcome } from './simulation-network.js';
import type { Random } from './simulation-random.js';
import { Timeline } from './simulation-time.js';

/** Stands between a process and the network: where a planted bug lives. */
export type Plant = (ports: StoragePorts, world: World, host: SimulatedHost) => StoragePorts;

export interface WorldOptions {
  readonly random: Random;
  readonly counters: Counters;
  readonly fateOf: (host: SimulatedHost, call: PortCall) => Fate;
  readonly plant?: Plant | undefined;
  /** Stands around everything that happens in the storage, whoever asked for it. */
  readonly happens?: Intercept | undefined;
  /** Sees each call and what the process was told. */
  readonly watch?: ((host: SimulatedHost, call: PortCall, told: Outcome) => void) | undefined;
}

/** How long a client waits for an answer before it takes the connection for lost. */
const PATIENCE_MS = 40_000;
/** A job has no caller: the host of the functions gives it minutes. */
const JOB_PATIENCE_MS = 30 * 24 * 3_600_000;

/** One storage, the processes on it, and what is known of it. */
export class World {
  readonly timeline = new Timeline();
  readonly facts = new Facts();
  readonly counters: Counters;
  readonly random: Random;
  readonly storage: MemoryStorage;
  /** The way to the storage that everybody takes. */
  readonly logs: LogWatch;
  readonly #network: Network;

  constructor(private readonly options: WorldOptions) {
    this.counters = options.counters;
    this.random = options.random;
    const { timeline } = this;
    const ids = options.random.fork();
    this.storage = memoryStorage({
      clock: {
        now: () => START_MS + timeline.nowMs,
        monotonic: () => timeline.nowMs,
        sleep: (ms) => timeline.sleep(ms),
      },
      names: storageNames(),
      listPage: 3,
      newId: () => Buffer.from(ids.bytes(16)).toString('hex'),
    });
    const { ports } = this.storage;
    this.logs = watchLogs(options.happens === undefined ? ports : wrapPorts(ports, options.happens));
    const branches = new BranchWatch(this.counters);
    this.#network = new Network({
      timeline,
      counters: this.counters,
      storage: this.logs.ports,
      fateOf: options.fateOf,
      observe: (host, call, told) => {
        branches.observe(host, call, told);
        options.watch?.(host, call, told);
      },
    });
  }

  /** Starts a process, with nothing in its caches. */
  start(options: Pick<HostOptions, 'skewMs' | 'losesFrozenTime' | 'schedulesSealing'>): SimulatedHost {
    const { plant } = this.options;
    return new SimulatedHost({
      ...options,
      timeline: this.timeline,
      random: this.random.fork(),
      portsOf: (host) => {
        const ports = this.#network.portsOf(host);
        return plant === undefined ? ports : plant(ports, this, host);
      },
    });
  }

  /** A request of a client to a process. Rejects with Lost when the client cannot know. */
  ask<T>(host: SimulatedHost, work: () => Promise<T>): Promise<T> {
    return host.ask(work, PATIENCE_MS);
  }

  /** Runs a job in a process; what storage fails is left to the next run. */
  async job(host: SimulatedHost, job: Job): Promise<void> {
    try {
      const done = await host.ask(() => job.run(host), JOB_PATIENCE_MS);
      this.counters.add(`job: ${job.name}${done ? '' : ' goes on later'}`);
    } catch (error) {
      if (!excusable(error)) this.facts.judge(`the job ${job.name}`, error, []);
    }
  }

  /** Takes messages of a queue in a process and hands them to its function, as the host of the functions does. */
  async pump(host: SimulatedHost, queue: string, hiddenS: number): Promise<number> {
    try {
      return await host.ask(async () => {
        const messages = await host.ports.queues.receive(queue, { limit: 4, hiddenS });
        for (const message of messages) await this.#deliver(host, queue, message);
        return messages.length;
      }, JOB_PATIENCE_MS);
    } catch (error) {
      if (!excusable(error)) this.facts.judge(`the queue ${queue}`, error, []);
      return 0;
    }
  }

  async #deliver(host: SimulatedHost, queue: string, message: QueueMessage): Promise<void> {
    const { inboxHandler, sealWorkHandler } = host.platform;
    const payload: unknown = JSON.parse(message.text);
    try {
      if (queue === 'seal-work') await sealWorkHandler.handle(payload);
      else {
        const { id: messageId, dequeueCount, insertedMs } = message;
        await inboxHandler.handle(payload, { messageId, dequeueCount, insertedMs, invocationId: messageId });
      }
    } catch (error) {
      // It comes again by itself once it is no longer hidden.
      if (!excusable(error) && !isAppError(error, 'idempotency-in-progress'))
        this.facts.judge(`a message of ${queue}`, error, []);
      return;
    }
    await host.ports.queues.remove(queue, message);
  }
}
