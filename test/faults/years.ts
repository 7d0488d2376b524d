import { Chance, profileOf, type Profile } from './simulation-chance.js';
import { Counters } from './simulation-counters.js';
import type { SimulatedHost } from './simulation-host.js';
import { START_MS } from './simulation-host.js';
import { jobsOf } from './simulation-jobs.js';
import { Random } from './simulation-random.js';
import { calmHost } from './simulation-recovery.js';
import { Trace } from './simulation-trace.js';
import { World } from './simulation-world.js';
import type { ScheduleOptions, ScheduleReport } from './simulation.js';
import { client, read, release, type Scene } from './years-clients.js';
import { callOf, DAY, HOUR, YEAR } from './years-facts.js';
import { pastOf, PEOPLE, TENANTS } from './years-past.js';
import { leftOf, verdictOf, type Proof } from './years-verdict.js';
import { asOneRun, YearsWatch } from './years-watch.js';

/** The stream of random numbers of schedules of years. */
const OF_YEARS = 7_000_027;
/** What passes before each phase of a schedule: weeks until something is cool, months until it is archived, years until it goes. */
const LEAPS: readonly (readonly [from: number, to: number])[] = [
  [31 * DAY, 50 * DAY],
  [61 * DAY, 90 * DAY],
  [5 * DAY, 500 * DAY],
  [1.5 * YEAR, 3 * YEAR],
  [3 * YEAR, 5 * YEAR],
];
/** How long a phase is. */
const PHASE_MS = 3 * HOUR;
/** Jobs of a record's life, and how often each is started in a phase. */
const JOBS = ['index-subjects', 'archive', 'rehydrate', 'dispose', 'erase', 'move-parts'];
/** In the end, all is over and all has been cleared: months, so that what is looked at once a month is. */
const END_MS = 9 * YEAR;
const QUIET = [...JOBS, 'roll-up-series', 'sweep'];
/** What is done once more when all else is. */
const LAST = [...QUIET, 'check-partitions', 'collect-orphans'];
/** Keys are forgotten within minutes, in whichever process. */
const FORGOTTEN_MS = 10 * 60_000;

/**
 * A schedule in which years pass: records of every type are archived, brought back, erased and disposed of by jobs in several
 * hosts that storage fails and that die, while clients read, vote, place and release holds and ask for erasures. Everything
 * follows from the seed.
 */
export async function simulateYears(seed: number, { plant, tell }: ScheduleOptions = {}): Promise<ScheduleReport> {
  const random = new Random(seed, OF_YEARS);
  const counters = new Counters();
  const profile = yearly(profileOf(random));
  const chance = new Chance(profile, random.fork(), counters);
  const watch: YearsWatch = new YearsWatch(counters, () => world.timeline.nowMs);
  const world: World = new World({
    random,
    counters,
    plant: (ports, own, host) => watch.asking(plant === undefined ? ports : plant(ports, own, host)),
    happens: watch.happens,
    fateOf: (host, call) => {
      const fate = chance.fateOf(host, call);
      trace?.asked(host, call, fate);
      return fate;
    },
    watch: (host, call, told) => trace?.told(host, call, told),
  });
  const trace = tell === undefined ? undefined : new Trace(world.timeline, tell);
  watch.leftOf = (erasing) => leftOf(world.storage.contents(), erasing);
  const hosts: SimulatedHost[] = [];
  const choose = (): SimulatedHost => {
    const at = world.random.below(profile.hosts);
    const host = hosts[at];
    if (host?.alive === true) return host;
    return (hosts[at] = world.start({ skewMs: chance.skewMs(), losesFrozenTime: false, schedulesSealing: profile.schedulesSealing })); // prettier-ignore
  };
  const scene: Scene = { world, watch, random, choose, holds: new Map(), erasures: new Map() };
  const violations: string[] = [];
  const { timeline } = world;
  try {
    const proofs = await timeline.run(begin(scene));
    for (const [phase, [from, to]] of LEAPS.entries()) {
      timeline.skip(random.between(from, to));
      await timeline.run(pass(scene, profile, `${String(phase)}.`));
      await timeline.run(privacy(scene));
    }
    for (const host of hosts) host.die();
    const last = await timeline.run(end(scene));
    // Keys of proofs are at work in threads of their own, which no virtual time waits for.
    violations.push(...(await verdictOf(scene, last.platform, proofs)));
  } catch (error) {
    violations.push(`the years broke off: ${error instanceof Error ? String(error.stack) : String(error)}`);
  }
  trace?.ended(world.storage.contents());
  const all = [...world.facts.violations, ...watch.violations, ...violations];
  return { seed, violations: [...new Set(all)].map((one) => `years: ${one}`), counters, profile };
} // prettier-ignore

/** Of a profile what years can bear: jobs read much, nobody sleeps for days in every write, and there are two hosts at least. */
function yearly(profile: Profile): Profile {
  return { ...profile, hosts: Math.max(2, profile.hosts), sleepyWriters: false, hot: false, freezeRate: 0, piecesRate: profile.piecesRate / 4, latencyMs: Math.min(profile.latencyMs, 200) }; // prettier-ignore
}

async function begin({ world, watch }: Scene): Promise<readonly Proof[]> {
  const { platform } = calmHost(world);
  for (const tenant of TENANTS)
    for (const name of PEOPLE)
      watch.people.set(`${tenant} ${await platform.fsck.blindIndex.blind(tenant, 'subject', name)}`, name);
  for (const kept of await pastOf(platform, () => START_MS + world.timeline.nowMs)) watch.records.set(kept.id, kept); // prettier-ignore
  const proofs: Proof[] = [];
  for (const tenant of TENANTS) {
    const call = callOf(tenant, 'auditor', 'past');
    const { items } = await platform.auditReader.list({ filters: {}, limit: 50 }, call);
    const id = String(items.at(-1)?.event_id);
    proofs.push({ tenant, id, ...(await platform.auditLog.proofs.ofEvent(id, call)) });
  }
  return proofs;
}

/** Some hours in which jobs run in several processes at once, and clients do what they do. */
async function pass(scene: Scene, { actsPerClient, clients }: Profile, phase: string): Promise<void> {
  const { world, random, choose } = scene;
  const jobs = jobsOf(choose().platform).filter(({ name }) => JOBS.includes(name) || name === 'sweep');
  const started = jobs.flatMap((job) =>
    Array.from({ length: random.between(1, 2) }, async () => {
      await world.timeline.sleep(random.below(PHASE_MS));
      await asOneRun(() => world.job(choose(), job));
    }),
  );
  const people = Array.from({ length: Math.min(2, clients) }, (_, at) => client(scene, `${phase}${'ab'[at] ?? 'c'}`, actsPerClient, PHASE_MS)); // prettier-ignore
  await Promise.all([...started, ...people]);
}

/** Of who is said to be erased nothing can be read, by whoever asks now. */
async function privacy({ world, watch }: Scene): Promise<void> {
  if (watch.erased.size === 0) return;
  world.timeline.skip(FORGOTTEN_MS);
  const { platform } = calmHost(world);
  for (const subject of watch.erased.keys()) {
    const [tenant = ''] = subject.split(' ');
    const name = watch.people.get(subject) ?? '';
    for (const { id, type } of [...watch.records.values()].filter((kept) => kept.tenant === tenant && kept.people.includes(name))) {
      const call = callOf(tenant, 'reader', 'privacy');
      const shown: unknown[] = [];
      for (const work of [() => platform.manager.get(type, id, call), () => platform.manager.listParts(type, id, 'messages', { limit: 10 }, call)])
        shown.push(await work().catch(() => undefined));
      if (JSON.stringify(shown).includes(name)) watch.violate(`${id} names ${name}, who is said to be erased`);
    }
  }
} // prettier-ignore

/** After all trouble one process does all there is to do, for years; every hold but, sometimes, the last is released. */
async function end(scene: Scene): Promise<SimulatedHost> {
  const { world, watch, random } = scene;
  const host = calmHost(world);
  const kept = random.chance(0.5) ? 1 : 0;
  const active = await Promise.all(TENANTS.map(async (tenant) => ({ tenant, holds: await host.platform.holds.activeOf(tenant, { fresh: true }) }))); // prettier-ignore
  for (const { tenant, holds } of active)
    for (const { holdId } of holds.slice(kept)) {
      scene.holds.set(holdId, tenant);
      await release(scene, holdId, 'end', host);
    }
  await quiet(host, world);
  for (const one of watch.records.values()) await read(scene, one, host);
  world.timeline.skip(END_MS);
  for (const jobs of [QUIET, LAST]) {
    world.timeline.skip(35 * DAY);
    await quiet(host, world, jobs);
  }
  return host;
}

/** A few days in which every job gets through what there is. */
async function quiet(host: SimulatedHost, world: World, names = QUIET): Promise<void> {
  for (let days = 0; days < 2; days += 1) {
    world.timeline.skip(30 * HOUR);
    for (const job of jobsOf(host.platform).filter(({ name }) => names.includes(name)))
      for (let runs = 0; !(await asOneRun(() => job.run(host))); runs += 1)
        if (runs > 20) throw new Error(`${job.name} never ends`);
  }
}
