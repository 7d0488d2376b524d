import { QUEUES } from '../../src/storage/keys.js';
import { Chance, profileOf, type Profile } from './simulation-chance.js';
import { ActMaker, perform, repeat } from './simulation-clients.js';
import { Counters } from './simulation-counters.js';
import type { SimulatedHost } from './simulation-host.js';
import { jobsOf, SWEEP } from './simulation-jobs.js';
import { longLog } from './simulation-past.js';
import { Random } from './simulation-random.js';
import { readSomething } from './simulation-reads.js';
import { recover } from './simulation-recovery.js';
import { Trace } from './simulation-trace.js';
import { typeClient } from './simulation-types.js';
import { World, type Plant } from './simulation-world.js';

export interface ScheduleReport {
  readonly seed: number;
  /** What did not hold; empty when all did. */
  readonly violations: readonly string[];
  readonly counters: Counters;
  readonly profile: Profile;
}

const TENANTS = ['acme', 'zeta'];
const HOUR = 3_600_000;
/** The stream of random numbers of the client that acts on other types than decisions. */
const OF_TYPES = 7_000_003;
/** That of what was there before. */
const OF_THE_PAST = 7_000_009;
/** That of which jobs run. */
const OF_JOBS = 7_000_011;

export interface ScheduleOptions {
  readonly plant?: Plant | undefined;
  /** Hears of every call of a port; see Trace. */
  readonly tell?: ((line: string) => void) | undefined;
}

/** Runs one schedule: everything that happens in it follows from its seed. */
export async function simulate(seed: number, options: ScheduleOptions = {}): Promise<ScheduleReport> {
  const random = new Random(seed);
  const counters = new Counters();
  const profile = profileOf(random);
  const chance = new Chance(profile, random.fork(), counters);
  const { tell, plant } = options;
  const world: World = new World({
    random,
    counters,
    plant,
    fateOf: (host, call) => {
      const fate = chance.fateOf(host, call);
      trace?.asked(host, call, fate);
      return fate;
    },
    watch: (host, call, told) => trace?.told(host, call, told),
  });
  const trace = tell === undefined ? undefined : new Trace(world.timeline, tell);
  const past = new Random(seed, OF_THE_PAST);
  if (past.chance(0.1)) await world.timeline.run(longLog(world, past, TENANTS[0] as string));
  const hosts = new Hosts(world, chance);
  const clients = Array.from({ length: profile.clients }, (_, at) =>
    client(world, profile, hosts, 'abcd'[at] ?? 'e'),
  );
  // Drawn from numbers of its own: the other schedules are what they were before there were other types.
  const own = new Random(seed, OF_TYPES);
  const others = own.chance(0.3) ? [typeClient(world, own, TENANTS, hosts.choose)] : [];
  const jobs = new Random(seed, OF_JOBS);
  const work = Promise.all([...clients, ...others, ...backgroundWork(world, profile, hosts, jobs)]);
  const violations: string[] = [];
  try {
    await world.timeline.run(work);
    hosts.stop();
    violations.push(...(await world.timeline.run(recover(world, profile))));
  } catch (error) {
    violations.push(
      `the schedule broke off: ${error instanceof Error ? String(error.stack) : String(error)}`,
    );
  }
  trace?.ended(world.storage.contents());
  return { seed, violations: [...new Set([...world.facts.violations, ...violations])], counters, profile };
}

/** The processes, each replaced by a new one when it is asked for after its death. */
class Hosts {
  readonly #hosts: (SimulatedHost | undefined)[];

  constructor(
    private readonly world: World,
    private readonly chance: Chance,
  ) {
    this.#hosts = Array.from({ length: chance.profile.hosts }, () => undefined);
  }

  readonly choose = (): SimulatedHost => {
    const at = this.world.random.below(this.#hosts.length);
    const host = this.#hosts[at];
    if (host?.alive === true) return host;
    if (host !== undefined) this.world.counters.add('branch: a process was replaced');
    const { schedulesSealing } = this.chance.profile;
    return (this.#hosts[at] = this.world.start({
      skewMs: this.chance.skewMs(),
      losesFrozenTime: this.world.random.chance(0.5),
      schedulesSealing,
    }));
  };

  stop(): void {
    for (const host of this.#hosts) host?.die();
  }
}

async function client(world: World, profile: Profile, hosts: Hosts, prefix: string): Promise<void> {
  const { random, timeline } = world;
  const maker = new ActMaker(world, TENANTS, prefix, profile);
  const later: Promise<void>[] = [];
  for (let left = profile.actsPerClient; left > 0; left -= 1) {
    await timeline.sleep(pauseMs(random, profile));
    if (random.chance(0.3)) await readSomething(world, hosts.choose());
    const act = maker.next(hosts.choose());
    const tries = random.pick(profile.sleepyWriters ? [1, 1, 3] : [1, 3, 6, 12]);
    const doing = perform(world, act, hosts.choose, tries);
    // An impatient client, or something between it and us, sends the same request twice at once.
    if (act.key !== undefined && random.chance(0.15)) {
      world.counters.add('fault: request sent twice at once');
      const state = world.facts.acts.get(act.name);
      if (state !== undefined) later.push(repeat(world, state, hosts.choose, tries));
    }
    const state = await doing;
    // One that comes back when its first request may be taken for dead.
    if (act.key !== undefined && random.chance(profile.sleepyWriters ? 0.7 : 0.2)) {
      await timeline.sleep(
        random.pick(profile.sleepyWriters ? [30 * HOUR, 60 * HOUR, 90 * HOUR] : [0, 90_000, 30 * HOUR]),
      );
      await repeat(world, state, hosts.choose, 4);
    }
  }
  await Promise.all(later);
  if (random.chance(0.5)) await readSomething(world, hosts.choose());
}

function pauseMs(random: Random, profile: Profile): number {
  const short = random.below(profile.hot ? 1000 : random.pick([5, 500, 5000]));
  return profile.longPauses && random.chance(0.3)
    ? short + random.pick([65_000, HOUR, 2 * HOUR, 26 * HOUR, 75 * HOUR])
    : short;
}

/**
 * Timers and queue functions, at times of their own, in whichever process it hits. A job is a part of every third schedule,
 * so that a schedule stays the size it is whatever jobs there are; recovery runs all of them.
 */
function backgroundWork(world: World, profile: Profile, hosts: Hosts, jobs: Random): Promise<unknown>[] {
  const { random, timeline } = world;
  const withinMs = profile.hot
    ? [3_000]
    : profile.sleepyWriters
      ? [2 * HOUR, 60 * HOUR, 80 * HOUR, 240 * HOUR]
      : [3_000, 60_000, 2 * HOUR, ...(profile.longPauses ? [80 * HOUR, 240 * HOUR] : [])];
  const at = (): number => random.below(random.pick(withinMs));
  const times = (count: number, work: () => Promise<unknown>): Promise<unknown>[] =>
    Array.from({ length: count }, () => timeline.sleep(at()).then(work));
  return [
    ...jobsOf(hosts.choose().platform)
      .filter(({ name }) =>
        name === 'expire-keys' ? profile.expiresKeys : name === SWEEP.name || jobs.chance(1 / 3),
      )
      .flatMap((job) => times(profile.sweeps, () => world.job(hosts.choose(), job))),
    ...times(random.between(0, 4), () => world.pump(hosts.choose(), QUEUES.inbox, random.pick([1, 30, 600]))),
    ...times(random.between(0, 2), () => world.pump(hosts.choose(), QUEUES.seal, 30)),
  ];
}
