import type { SimulatedHost } from './simulation-host.js';
import { Counters } from './simulation-counters.js';
import { perform } from './simulation-clients.js';
import type { Act, ActKind } from './simulation-acts.js';
import type { ActState } from './simulation-facts.js';
import type { Fate, Outcome } from './simulation-network.js';
import { Random } from './simulation-random.js';
import { recover } from './simulation-recovery.js';
import { World } from './simulation-world.js';
import type { PortCall } from '../support/wrap-ports.js';

/** What becomes of the one call that is interfered with. */
export type Way = 'never happened' | 'happened but reported failure' | 'stopped right after';

const FATES: Readonly<Record<Way, Fate['kind']>> = {
  'never happened': 'lost',
  'happened but reported failure': 'lost-answer',
  'stopped right after': 'crash-after',
};
export const WAYS = Object.keys(FATES) as readonly Way[];

/** A call as it was recorded. */
export interface RecordedCall {
  /** Counted from 1, in the order they began. */
  readonly number: number;
  readonly name: string;
  /** A read that found nothing. */
  empty: boolean;
}

/** One thing the platform does, and how to tell that it was done. */
export interface Scenario {
  readonly name: string;
  /** What was there before; nothing goes wrong in it. */
  readonly prepare?: (stage: Stage) => Promise<unknown>;
  /** What is interfered with. */
  readonly act: (stage: Stage) => Promise<unknown>;
  /** After the act and before recovery. */
  readonly after?: (stage: Stage) => Promise<void>;
  /** Whether recovery runs the job that looks into 256 partitions of each tenant. */
  readonly expiresKeys?: boolean;
}

const BASE: Omit<Act, 'name' | 'kind' | 'body'> = {
  tenant: 'acme',
  actor: 'ada',
  key: undefined,
  target: undefined,
  ifMatch: undefined,
};

/** A storage, the process that is interfered with, and the one that takes over when it dies. */
export class Stage {
  readonly calls: RecordedCall[] = [];
  readonly counters = new Counters();
  readonly world: World;
  readonly subject: SimulatedHost;
  #standIn: SimulatedHost | undefined;
  #armed = false;
  readonly #doomed = new WeakSet<SimulatedHost>();
  readonly #recorded = new WeakMap<PortCall, RecordedCall>();

  constructor(private readonly fault: { readonly call: number; readonly way: Way } | undefined) {
    const random = new Random(11);
    this.world = new World({
      random,
      counters: this.counters,
      fateOf: (host, call) => this.#fateOf(host, call),
      watch: (_, call, told) => this.#told(call, told),
    });
    this.subject = this.start();
  }

  /** Runs a scenario to its end and through recovery; resolves to what does not hold. */
  async run(scenario: Scenario): Promise<string[]> {
    const { timeline, facts } = this.world;
    await timeline.run(scenario.prepare?.(this) ?? Promise.resolve());
    this.#armed = true;
    await timeline.run(scenario.act(this));
    this.#armed = false;
    await timeline.run(scenario.after?.(this) ?? Promise.resolve());
    this.subject.die();
    this.#standIn?.die();
    const found = await timeline.run(
      recover(this.world, { expiresKeys: scenario.expiresKeys === true, thorough: true }),
    );
    return [...facts.violations, ...found];
  }

  /** The process to ask: another one once the first is dead. */
  readonly choose = (): SimulatedHost =>
    this.subject.alive ? this.subject : (this.#standIn ??= this.start());

  /** A client does something and repeats it as the contract says. */
  async does(kind: ActKind, body: unknown, more: Partial<Act> = {}): Promise<ActState> {
    const name = more.name ?? `${kind}-${this.world.facts.acts.size}`;
    const state = await perform(this.world, { ...BASE, kind, body, name, ...more }, this.choose, 20);
    const certain = more.key !== undefined || this.fault?.way !== 'stopped right after';
    if (certain && state.state !== 'done') this.world.facts.violate(`${name} is never done`);
    return state;
  }

  /** Somebody tries to, once, in a process that dies between the blob and the commit. */
  async dies(kind: ActKind, body: unknown, more: Partial<Act>): Promise<void> {
    const host = this.start();
    this.#doomed.add(host);
    await perform(this.world, { ...BASE, kind, body, name: '', ...more }, () => host, 1);
  }

  #fateOf(host: SimulatedHost, call: PortCall): Fate {
    if (this.#doomed.has(host) && call.method === 'commit' && call.args[0] === 'decisions')
      return { kind: 'crash-before', delayMs: 1, answerMs: 1 };
    if (!this.#armed || host !== this.subject) return { kind: 'fine', delayMs: 1, answerMs: 1 };
    const number = this.calls.length + 1;
    const recorded = { number, name: `${call.port}.${call.method} ${String(call.args[0])}`, empty: false };
    this.calls.push(recorded);
    this.#recorded.set(call, recorded);
    const kind = this.fault?.call === number ? FATES[this.fault.way] : 'fine';
    return { kind, delayMs: 1, answerMs: 1 };
  }

  #told(call: PortCall, told: Outcome): void {
    const recorded = this.#recorded.get(call);
    if (recorded === undefined || told.kind === 'failed') return;
    const rows: unknown = Reflect.get(Object(told.value) as object, 'rows');
    const read = ['find', 'range'].includes(call.method);
    recorded.empty = read && (told.value === undefined || (Array.isArray(rows) && rows.length === 0));
  }

  /** Another process, which nothing happens to. */
  start(): SimulatedHost {
    return this.world.start({ skewMs: 0, losesFrozenTime: false, schedulesSealing: false });
  }
}
