import { expect } from 'vitest';
import type { Clock } from '../../src/domain/clock.js';
import type { RecordType } from '../../src/domain/record-type.js';
import { CollectOrphans } from '../../src/lifecycle/collect-orphans.js';
import { addCounts, type Counts, type Job, type StepContext } from '../../src/lifecycle/job.js';
import type { JobReport } from '../../src/lifecycle/job-runner.js';
import { storageNames } from '../../src/platform.js';
import { decisionType } from '../../src/records/decision.js';
import { Budget } from '../../src/storage/backoff.js';
import { StorageFault, type RowOperation, type StoragePorts } from '../../src/storage/ports.js';
import { createLog } from '../../src/telemetry/log.js';
import { workAll } from '../support/courier.js';
import { seededEntropy } from '../support/entropy.js';
import { memoryStorage, type MemoryStorage } from '../support/memory-ports.js';
import { caller, testPlatform } from '../support/platform.js';
import { wrapPorts, type Intercept, type PortCall } from '../support/wrap-ports.js';

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
export const BODY = { decision_type: 'strategic', title: 'Open a second warehouse' } as const;
export const VOTE = { agent: 'cfo', vote: 'approve', confidence: 1 } as const;

/** A clock that moves when told to, and by as much as anybody sleeps: nothing ever waits. */
export class QuickClock implements Clock {
  #wall = Date.UTC(2026, 10, 21, 8);
  #monotonic = 0;
  now = (): number => this.#wall;
  monotonic = (): number => this.#monotonic;
  sleep = async (ms: number): Promise<void> => this.pass(ms);
  /** Time passes. */
  pass(ms: number): void {
    this.#wall += ms;
    this.#monotonic += ms;
  }
  /** The machine was suspended: the wall clock moved, and nothing that counts its running time did. */
  suspend(ms: number): void {
    this.#wall += ms;
  }
}

/** Runs a job's whole round, whatever its timer and its row say; counts as the round's would be. */
export async function round(
  job: Job,
  nowMs: number,
  timeIsUp: StepContext['timeIsUp'] = () => false,
): Promise<Counts> {
  let counts: Counts = {};
  let cursor: string | undefined = '';
  for (let steps = 0; cursor !== undefined; steps += 1) {
    if (steps > 10_000) throw new Error('the round does not end');
    const step: Awaited<ReturnType<Job['step']>> = await job.step(cursor, { nowMs, timeIsUp });
    counts = addCounts(counts, step.counts);
    cursor = step.next;
  }
  return counts;
}

export function collector(
  ports: StoragePorts,
  clock: Clock,
  types: readonly RecordType[] = [decisionType],
): CollectOrphans {
  const entropy = seededEntropy('collector');
  const budget = (): Budget => new Budget(clock, entropy);
  return new CollectOrphans({ ports, types, budget, log: createLog('silent') });
}

/** A storage in memory and hosts on it. */
export class World {
  readonly clock = new QuickClock();
  readonly storage: MemoryStorage;

  constructor(listPage?: number) {
    const more = listPage === undefined ? {} : { listPage };
    this.storage = memoryStorage({ clock: this.clock, names: storageNames(), ...more });
  }

  get ports(): StoragePorts {
    return this.storage.ports;
  }

  /** Another storage with the same rows and whole blobs in it, all from the beginning of time, and a clock that shows the same time. */
  async copy(): Promise<World> {
    const world = new World();
    const { rows, blobs } = this.storage.contents();
    for (const { table, row } of rows) {
      const { partitionKey, rowKey, properties } = row;
      await world.ports.tables.commit(table, partitionKey, [{ kind: 'insert', rowKey, properties }]);
    }
    for (const { container, name, bytes } of blobs)
      await world.ports.blobs.putOnce(container, name, bytes, 'application/octet-stream');
    world.clock.pass(this.clock.monotonic());
    return world;
  }

  host(intercept?: Intercept, seed?: string): ReturnType<typeof testPlatform> {
    const ports = intercept === undefined ? this.ports : wrapPorts(this.ports, intercept);
    return testPlatform(ports, { clock: this.clock, ...(seed === undefined ? {} : { seed }) });
  }

  /** A whole round of the orphan collector. */
  collect(intercept?: Intercept, timeIsUp?: () => boolean): Promise<Counts> {
    const ports = intercept === undefined ? this.ports : wrapPorts(this.ports, intercept);
    return round(collector(ports, this.clock), this.clock.now(), timeIsUp);
  }

  blobs(prefix = ''): string[] {
    const all = this.storage.contents().blobs.filter(({ container }) => container === 'records');
    return all.map(({ name }) => name).filter((name) => name.startsWith(prefix)).sort(); // prettier-ignore
  }

  rows(prefix: string, table = 'decisions') {
    const all = this.storage.contents().rows.filter((one) => one.table === table);
    return all.map(({ row }) => row).filter(({ rowKey }) => rowKey.startsWith(prefix));
  }

  /** The blobs that rows name. */
  named(): ReadonlySet<string> {
    const rows = [...this.rows('r:'), ...this.rows('v:')];
    return new Set(rows.flatMap(({ properties }) => properties['blob'] ?? []).map(String));
  }

  /** No row names a missing blob; with `tidy`, no blob of a record is without a row. */
  assertSound(tidy = false): void {
    const there = this.blobs();
    expect([...this.named()].filter((name) => !there.includes(name))).toEqual([]);
    if (!tidy) return;
    const named = this.named();
    expect(there.filter((name) => !named.has(name))).toEqual([]);
  }

  /** Reads every record, so that each is held against its blob and its checksum. */
  async assertReadable(): Promise<void> {
    const platform = this.host();
    for (const row of this.rows('r:')) {
      if (row.properties['void'] === true) continue;
      const tenant = row.partitionKey.slice(0, row.partitionKey.indexOf(':'));
      await platform.manager.get(decisionType, String(row.properties['id']), caller({ tenant }));
    }
  }
}

/** The round of a job that is under way, or due, to its end, however it was left: time passes until messages are missed. */
export async function endRound(world: World, job: string): Promise<JobReport> {
  const platform = world.host();
  for (let runs = 0; runs < 50; runs += 1) {
    const report = await platform.jobs.run(job);
    if (!['paused', 'busy'].includes(report.outcome)) return report;
    if ((await workAll(platform, world.ports)) === 0) world.clock.pass(HOUR / 3);
  }
  throw new Error('the round does not end');
}

/** True for the transaction that commits decisions. */
export const isCommit = (call: PortCall): boolean =>
  call.method === 'commit' && call.args[0] === 'decisions' && (call.args[2] as RowOperation[]).length > 1;

/** What a process meets that is no more. */
export class Died extends Error {
  override readonly name = 'Died';
}

/** What may become of a call. */
export const FATES: Readonly<Record<string, (run: () => Promise<unknown>) => Promise<unknown>>> = {
  'dies before it': () => Promise.reject(new Died()),
  'dies after it': async (run) => {
    await run();
    throw new Died();
  },
  'never hears of it, and it did not happen': () => Promise.reject(new StorageFault('unavailable', 'lost')),
  'never hears of it, and it happened': async (run) => {
    await run();
    throw new StorageFault('unavailable', 'lost');
  },
};

/** Lets the process die instead of the first call that `when` is true for; it makes no call after that. */
export function diesAt(when: (call: PortCall) => boolean): Intercept {
  let dead = false;
  return (call, run) => {
    dead ||= when(call);
    return dead ? Promise.reject(new Died('the process is no more')) : run();
  };
}

/** A process that sleeps in the middle of its work until it is woken. */
export class Sleeper {
  /** Resolves once it sleeps. */
  readonly asleep: Promise<void>;
  #sleeps: () => void = () => undefined;
  #wake: () => void = () => undefined;
  readonly #woken = new Promise<void>((resolve) => (this.#wake = resolve));
  #awake = false;

  constructor(private readonly when: (call: PortCall) => boolean) {
    this.asleep = new Promise((resolve) => (this.#sleeps = resolve));
  }

  wake(): void {
    this.#awake = true;
    this.#wake();
  }

  /** Sleeps before every call that it is for, until woken. */
  readonly intercept: Intercept = async (call, run) => {
    if (!this.#awake && this.when(call)) {
      this.#sleeps();
      await this.#woken;
    }
    return run();
  };
}
