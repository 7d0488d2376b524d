import type { Clock } from '../../src/domain/clock.js';
import { AppError } from '../../src/domain/errors.js';
import type { Counts, Job, Step, StepContext } from '../../src/lifecycle/job.js';
import { JobRunner } from '../../src/lifecycle/job-runner.js';
import { JobSwitches } from '../../src/lifecycle/job-switches.js';
import { JOBS_TABLE } from '../../src/lifecycle/jobs-table.js';
import { overPartitions } from '../../src/lifecycle/over-partitions.js';
import { overQueue } from '../../src/lifecycle/over-queue.js';
import type { PartitionJob } from '../../src/lifecycle/partition-job.js';
import { PartitionWorker, type Worked } from '../../src/lifecycle/partition-worker.js';
import { reportOf, type DisposalReport } from '../../src/lifecycle/report.js';
import { WorkBook } from '../../src/lifecycle/work-book.js';
import { LifecycleWorkHandler } from '../../src/queue/lifecycle-work-handler.js';
import { decisionType } from '../../src/records/decision.js';
import { Budget } from '../../src/storage/backoff.js';
import { Directory, type PartitionRef } from '../../src/storage/directory.js';
import { QUEUES } from '../../src/storage/keys.js';
import type { StoragePorts } from '../../src/storage/ports.js';
import { createLog } from '../../src/telemetry/log.js';
import { seededEntropy } from '../support/entropy.js';
import { wrapPorts, type Intercept } from '../support/wrap-ports.js';
import { DAY, World } from './support.js';

export const MINUTE = 60_000;
let hosts = 0;

/** What the job in the tests is asked, and what it does. */
interface Tally {
  /** `<tenant>/<partition> <item>` of each step. */
  readonly steps: string[];
  /** What was certified, by tenant and round. */
  readonly certified: Map<string, string[]>;
}

/** A host of the functions: the timer's part, and the queue's. */
export interface QueueHost {
  readonly ports: StoragePorts;
  readonly runner: JobRunner;
  readonly handler: LifecycleWorkHandler;
}

/** A storage in memory with partitions in it, a job that takes items of them one by one, and hosts. */
export class QueueWorld extends World {
  readonly did: Tally = { steps: [], certified: new Map() };
  /** Items of a partition, each of which takes so long. */
  items = 1;
  itemMs = 0;
  /** The cursor of an item. */
  next: (item: number) => string = String;
  mayWork: () => boolean = () => true;
  /** Stands before every step. */
  before: (ref: PartitionRef, item: number, context: StepContext) => Promise<void> = () => Promise.resolve();

  readonly job: PartitionJob = {
    name: 'count',
    everyMs: DAY,
    mayWork: () => this.mayWork(),
    typeOf: (table) => (table === 'decisions' ? decisionType : undefined),
    stepIn: (_, ref, cursor, context) => this.#step(ref, cursor, context),
    tenantDone: (tenant, report, context, givenUp) => this.#done(tenant, report, context, givenUp),
  };

  /** Puts partitions into the directory, and one that is no work of the job. */
  async partitions(tenant: string, count: number): Promise<void> {
    const directory = new Directory(this.ports.tables, this.clock);
    for (let at = 0; at < count; at += 1)
      await directory.register({ tenant, table: 'decisions', partition: `p${String(at).padStart(3, '0')}` });
    await directory.register({ tenant, table: 'agents', partition: 'none' });
  }

  queueHost(intercept?: Intercept, clock: Clock = this.clock): QueueHost {
    const log = createLog('silent');
    const ports = intercept === undefined ? this.ports : wrapPorts(this.ports, intercept);
    const { tables, queues } = ports;
    const entropy = seededEntropy(`queue ${String((hosts += 1))}`);
    const budget = (): Budget => new Budget(clock, entropy);
    const book = new WorkBook(tables, entropy, budget);
    const switches = new JobSwitches(tables, budget);
    const worker = new PartitionWorker({ queues, book, switches, clock, log, budget }, [this.job]);
    const job: Job = overQueue(this.job, { queues, directory: new Directory(tables, clock), book, worker, budget });
    return { ports, runner: new JobRunner({ tables, clock, entropy, log }, [job]), handler: new LifecycleWorkHandler(worker) };
  } // prettier-ignore

  /** That of a build before there was a queue. */
  olderRunner(): JobRunner {
    const { tables } = this.ports;
    const entropy = seededEntropy('older');
    const budget = (): Budget => new Budget(this.clock, entropy);
    const job = overPartitions(this.job, { directory: new Directory(tables, this.clock), budget });
    return new JobRunner({ tables, clock: this.clock, entropy, log: createLog('silent') }, [job]);
  }

  /** Takes messages as the host of the functions does, until none is visible, or so many; what failed stays. */
  async take(host: QueueHost = this.queueHost(), atMost = Infinity): Promise<readonly Worked[]> {
    const worked: Worked[] = [];
    while (worked.length < atMost) {
      const [message] = await host.ports.queues.receive(QUEUES.lifecycle, { limit: 1, hiddenS: 30 });
      if (message === undefined) break;
      worked.push(await host.handler.handle(JSON.parse(message.text), message));
      await host.ports.queues.remove(QUEUES.lifecycle, message);
    }
    return worked;
  }

  /** Runs and messages until the round is through, with the time in between in which messages are missed. */
  async toTheEnd(host: QueueHost = this.queueHost()): Promise<Counts> {
    for (let runs = 0; runs < 50; runs += 1) {
      const { outcome, counts } = await host.runner.run('count');
      if (outcome === 'done' || outcome === 'resting') return counts;
      if ((await this.take(host)).length === 0) this.clock.pass(20 * MINUTE);
    }
    throw new Error('the round does not end');
  }

  /** The texts of the messages that wait. */
  messages(queue: string = QUEUES.lifecycle): readonly string[] {
    return this.storage.messages().filter((one) => one.queue === queue).map(({ text }) => text);
  } // prettier-ignore

  /** The rows of work. */
  work() {
    return this.rows('', JOBS_TABLE).filter(({ partitionKey }) => partitionKey === '_system:work.count');
  }

  async #step(ref: PartitionRef, cursor: string, context: StepContext): Promise<Step> {
    const item = Number(cursor);
    await this.before(ref, item, context);
    this.did.steps.push(`${ref.tenant}/${ref.partition} ${String(item)}`);
    this.clock.pass(this.itemMs);
    const next = item + 1 < this.items ? this.next(item + 1) : undefined;
    const tallies = { taken: { count: 1 } };
    return { counts: { items: 1 }, next, report: reportOf({ collection: 'c', rule: {}, tallies }) };
  }

  async #done(tenant: string, report: DisposalReport, context: StepContext, givenUp = 0): Promise<Counts> {
    const key = `${tenant} ${String(context.roundMs)}`;
    const [line] = Object.values(report);
    const told = `${String(line?.tallies['taken']?.count ?? 0)} taken, ${String(givenUp)} given up`;
    this.did.certified.set(key, [...(this.did.certified.get(key) ?? []), told]);
    return { certificates: 1 };
  }
}

export const trouble = (): Promise<never> =>
  Promise.reject(new AppError('integrity-failure', 'A row is not what it was.'));
