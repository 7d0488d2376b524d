import type { RangeQuery } from '../../src/storage/ports.js';
import type { PortCall } from '../support/wrap-ports.js';
import type { Counters } from './simulation-counters.js';
import type { SimulatedHost } from './simulation-host.js';
import type { Fate } from './simulation-network.js';
import type { Random } from './simulation-random.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How long something may be asleep: within one try, past a lease, past a takeover, past a sweep, for days. */
const NAPS = [
  5 * SECOND,
  20 * SECOND,
  70 * SECOND,
  5 * MINUTE,
  70 * MINUTE,
  26 * HOUR,
  3 * DAY,
  9 * DAY,
] as const;
/** A key is kept for four days at least: what sleeps for longer before it reserves one is another request. */
const SHORT_NAPS = NAPS.filter((ms) => ms < 4 * DAY);
const SKEWS = [
  0,
  0,
  0,
  40,
  -40,
  2 * SECOND,
  -2 * SECOND,
  45 * SECOND,
  -45 * SECOND,
  4 * MINUTE,
  -4 * MINUTE,
  2 * HOUR,
  -2 * HOUR,
];

const SMALL_SKEWS = [0, 0, 5 * SECOND, 10 * SECOND];

/** What a schedule is made of. Each seed draws its own, so that some schedules have one kind of trouble and much of it. */
export interface Profile {
  readonly hosts: number;
  readonly clients: number;
  readonly actsPerClient: number;
  readonly latencyMs: number;
  readonly faults: readonly ('lost' | 'lost-answer' | 'late')[];
  readonly faultRate: number;
  readonly crashRate: number;
  readonly napRate: number;
  readonly freezeRate: number;
  readonly jumpRate: number;
  readonly piecesRate: number;
  readonly skewed: boolean;
  readonly schedulesSealing: boolean;
  /** Runs of each job. */
  readonly sweeps: number;
  /** The job that looks into 256 partitions of each tenant costs more than all the rest. */
  readonly expiresKeys: boolean;
  /** Whether it is also looked at before recovery, and read through the platform after it. */
  readonly thorough: boolean;
  /** Writers that sleep for days right before their commit, while jobs run. */
  readonly sleepyWriters: boolean;
  /** Everybody changes the same few records at once, while they are sealed. */
  readonly hot: boolean;
  /** Long waits between the acts of a client. */
  readonly longPauses: boolean;
}

export function profileOf(random: Random): Profile {
  const faults = (['lost', 'lost-answer', 'late'] as const).filter(() => random.chance(0.6));
  const sleepyWriters = random.chance(0.15);
  const hot = !sleepyWriters && random.chance(0.1);
  return {
    hosts: hot ? 3 : random.between(sleepyWriters ? 2 : 1, 3),
    clients: hot ? 4 : random.between(1, 4),
    actsPerClient: hot ? 8 : random.between(2, 5),
    latencyMs: random.pick(hot ? [10, 30] : [4, 30, 200, 3000]),
    hot,
    faults,
    faultRate: faults.length === 0 ? 0 : random.pick([0, 0.01, 0.04, 0.12]),
    crashRate: random.pick(hot ? [0, 0.003] : [0, 0, 0.003, 0.01, 0.03]),
    napRate: random.pick(hot ? [0, 0, 0.01] : [0, 0.01, 0.03]),
    freezeRate: random.pick(hot ? [0] : sleepyWriters ? [0, 0.004] : [0, 0, 0.004]),
    jumpRate: random.pick([0, 0, 0.01]),
    piecesRate: hot ? 1 : random.pick([0, 0.5, 1]),
    skewed: hot || random.chance(0.5),
    schedulesSealing: hot || random.chance(sleepyWriters ? 0.3 : 0.7),
    sweeps: sleepyWriters || hot ? 4 : random.between(0, 3),
    sleepyWriters,
    thorough: random.chance(0.1),
    expiresKeys: random.chance(0.1),
    longPauses: sleepyWriters || (!hot && random.chance(0.35)),
  };
}

const READS: readonly string[] = ['find', 'range', 'list', 'appendState'];

/** Draws what becomes of each call of a schedule. */
export class Chance {
  /** From then on nothing goes wrong any more. */
  calm = false;

  constructor(
    readonly profile: Profile,
    private readonly random: Random,
    private readonly counters: Counters,
  ) {}

  skewMs(): number {
    const skewMs = this.profile.skewed ? this.random.pick(this.profile.hot ? SMALL_SKEWS : SKEWS) : 0;
    if (skewMs !== 0) this.counters.add('fault: clock skew');
    return skewMs;
  }

  fateOf(host: SimulatedHost, call: PortCall): Fate {
    const { profile, random } = this;
    const delayMs = random.below(profile.latencyMs + 1);
    const answerMs = random.below(profile.latencyMs + 1);
    if (this.calm) return { kind: 'fine', delayMs, answerMs };
    if (random.chance(profile.freezeRate)) this.#freeze(host);
    if (random.chance(profile.jumpRate)) this.#jump(host);
    const base = {
      ...this.#nap(host, call, delayMs, answerMs),
      ...this.#pieces(call),
      outlivesItsHost: random.chance(0.5),
    };
    if (random.chance(profile.crashRate))
      return { ...base, kind: random.pick(['crash-before', 'crash-after'] as const) };
    if (!random.chance(profile.faultRate)) return { ...base, kind: 'fine' };
    return {
      ...base,
      kind: random.pick(profile.faults),
      lateMs: random.below(random.pick([100, 20 * SECOND])),
    };
  }

  /** Somebody falls asleep before what it does happens, or before it learns that it did. */
  #nap(
    host: SimulatedHost,
    call: PortCall,
    delayMs: number,
    answerMs: number,
  ): Pick<Fate, 'delayMs' | 'answerMs'> {
    const { random, profile } = this;
    if (
      profile.sleepyWriters &&
      call.method === 'commit' &&
      call.args[0] === 'decisions' &&
      random.chance(0.15)
    ) {
      this.counters.add('fault: writer asleep for days');
      const napMs = random.pick([2 * HOUR, 30 * HOUR, 3 * DAY, 9 * DAY, 9 * DAY]);
      // With its whole process asleep, it may not have noticed: it has all its time to try again.
      if (random.chance(0.4)) host.freeze(napMs + 1);
      return { delayMs: delayMs + napMs, answerMs };
    }
    const actor = actorOf(call);
    // Between looking for the head and looking for its stage, somebody else may finish it and go on.
    if (profile.sweeps > 1 && call.method === 'find' && isStage(call) && random.chance(0.2)) {
      this.counters.add('fault: sealer asleep');
      return { delayMs: delayMs + random.pick([SECOND, 70 * SECOND, 2 * HOUR, 30 * HOUR]), answerMs };
    }
    if (profile.sleepyWriters && actor === 'collector' && random.chance(0.2)) {
      this.counters.add('fault: collector asleep');
      return { delayMs: delayMs + random.pick([MINUTE, 2 * HOUR, 30 * HOUR, 9 * DAY]), answerMs };
    }
    const rate = READS.includes(call.method) ? profile.napRate / 3 : profile.napRate;
    if (!random.chance(rate)) return { delayMs, answerMs };
    this.counters.add(`fault: ${actor} asleep`);
    const napMs = random.pick(call.args[0] === 'idempotency' ? SHORT_NAPS : NAPS);
    return random.chance(0.7)
      ? { delayMs: delayMs + napMs, answerMs }
      : { delayMs, answerMs: answerMs + napMs };
  }

  #pieces(call: PortCall): Pick<Fate, 'pieces' | 'limit'> {
    const { random, profile } = this;
    if (call.method !== 'range' || !random.chance(profile.piecesRate)) return {};
    const pieces = profile.hot
      ? { rows: random.between(1, 6), delayMs: random.below(isOfPending(call) ? 300 : 4 * profile.latencyMs) }
      : { rows: random.between(1, 3), delayMs: random.below(random.pick([10, 300, 3000])) };
    if (!random.chance(0.2)) return { pieces };
    this.counters.add('fault: short page');
    return { pieces, limit: random.between(1, 4) };
  }

  #freeze(host: SimulatedHost): void {
    this.counters.add('fault: host frozen');
    host.freeze(this.random.pick(SHORT_NAPS));
  }

  #jump(host: SimulatedHost): void {
    this.counters.add('fault: clock jump');
    host.skewMs += this.random.pick([-90 * SECOND, -SECOND, SECOND, 90 * SECOND]);
  }
}

function isOfPending({ args }: PortCall): boolean {
  return (args[2] as RangeQuery).from.startsWith('o:');
}

function isStage({ port, args }: PortCall): boolean {
  return port === 'blobs' && String(args[1]).includes('/stages/');
}

/** Who makes a call, as far as the call tells. */
function actorOf(call: PortCall): 'sealer' | 'writer' | 'collector' | 'reader' {
  const { method, args } = call;
  const [place, name, operations] = args as [string, unknown, unknown];
  if (READS.includes(method)) return 'reader';
  if (place === 'audit' || place === 'ledger') return 'sealer';
  if (place === 'records' && method === 'delete') return 'collector';
  // Rows of records are touched alone only by who fences off orphans.
  if (place === 'decisions' && Array.isArray(operations) && operations.length === 1) return 'collector';
  if (place === 'auditevents' && typeof name === 'string') return 'sealer';
  return 'writer';
}
