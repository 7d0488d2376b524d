import { QUEUES } from '../../src/storage/keys.js';
import { isAppError } from '../../src/domain/errors.js';
import type { StoragePorts } from '../../src/storage/ports.js';
import { servedFaults } from '../support/log-watch.js';
import { wrapPorts } from '../support/wrap-ports.js';
import { listViolations } from './invariants-lists.js';
import { openedSurvey } from './invariants-opened.js';
import { tenantOf } from './invariants-survey.js';
import { halfDoneViolations, violationsOf } from './invariants.js';
import { readAll } from './simulation-reads.js';
import { verdictOf } from './simulation-verdict.js';
import { jobsOf, SWEEP } from './simulation-jobs.js';
import { SimulatedHost } from './simulation-host.js';
import { Random } from './simulation-random.js';
import { readAllOfTypes } from './simulation-types.js';
import type { World } from './simulation-world.js';

/** The job that begins anew every hour, and costs more than all others. */
const VERIFY = 'verify-logs';
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

export interface RecoveryOptions {
  readonly expiresKeys: boolean;
  /** Whether it is also looked at before recovery, and read through the platform after it. */
  readonly thorough: boolean;
}

/**
 * After all trouble: one new process on the storage as it was left, to which nothing happens any more. It takes the
 * messages, runs the jobs, and lets the time pass that they wait for; then everything must hold.
 */
export async function recover(world: World, options: RecoveryOptions): Promise<string[]> {
  const host = calmHost(world);
  const failed = options.thorough ? halfDoneViolations(world.storage.contents()) : [];
  const step = async (name: string, work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      const said = isAppError(error) ? `${error.code} ${JSON.stringify(error.evidence)}` : String(error);
      failed.push(`in recovery, ${name} failed with ${said}`);
    }
  };
  const jobs = async (hours: number, needed: (name: string) => boolean): Promise<void> => {
    world.timeline.skip(hours * HOUR);
    for (const job of jobsOf(host.platform).filter(({ name }) => needed(name)))
      await step(job.name, async () => {
        for (let runs = 0; !(await job.run(host)); runs += 1) if (runs > 20) throw new Error('it never ends');
      });
  };
  // What held a lease or a message is dead: both are free after a while.
  world.timeline.skip(11 * MINUTE);
  for (let round = 0; messagesLeft(world) && round < 60; round += 1) {
    for (const queue of [QUEUES.inbox, QUEUES.seal]) while ((await world.pump(host, queue, 30)) > 0);
    world.timeline.skip(MINUTE);
  }
  if (messagesLeft(world)) failed.push('in recovery, messages are left');
  await step('sweep', () => SWEEP.run(host));
  if (pendingRows(world) > 0) world.counters.add('branch: only the daily check found pending events');
  // The daily check announces what it finds, the next sweep seals it, and one an hour later finds nothing more to do.
  const mayRun = (name: string): boolean => name !== 'expire-keys' || options.expiresKeys;
  await jobs(30, (name) => mayRun(name) && name !== VERIFY);
  // A round that was under way was only finished: now there is one from the beginning.
  await jobs(1, (name) => mayRun(name) && name !== VERIFY);
  await jobs(2, (name) => name === SWEEP.name || name === VERIFY);
  const { survey, violations } = violationsOf(world.storage.contents(), { collected: true });
  const leavesOf = (tenant: string): readonly string[] =>
    (survey.log.get(tenant) ?? []).map(({ text }) => text);
  failed.push(...servedFaults(world.logs, leavesOf));
  const opened = await openedSurvey(host.platform, survey);
  failed.push(...violations, ...opened.violations);
  failed.push(...verdictOf(world.facts, opened.survey), ...world.facts.types.violations(opened.survey));
  if (options.thorough) {
    await step('reads', () => readAll(world, host));
    await step('reads of other types', () => readAllOfTypes(world, host));
    await step('lists', async () => failed.push(...(await listViolations(host.platform, survey))));
  }
  if (!options.expiresKeys) return failed;
  for (const hours of [8 * 24, 24]) await jobs(hours, (name) => name === 'expire-keys');
  if (keysLeft(world) > 0) failed.push(`${keysLeft(world)} keys never expire`);
  return failed;
}

/** A process that nothing happens to. */
export function calmHost(world: World): SimulatedHost {
  return new SimulatedHost({
    timeline: world.timeline,
    random: new Random(7, 7),
    skewMs: 0,
    losesFrozenTime: false,
    schedulesSealing: false,
    portsOf: () => bounded(world.logs.ports),
  });
}

/** Recovery ends: more calls than that are a loop. */
function bounded(ports: StoragePorts): StoragePorts {
  let left = 50_000;
  return wrapPorts(ports, (call, run) => {
    if ((left -= 1) < 0)
      throw new Error(`it goes on for ever with ${call.method} ${JSON.stringify(call.args)}`);
    return run();
  });
}

function messagesLeft(world: World): boolean {
  const queues: readonly string[] = [QUEUES.inbox, QUEUES.seal];
  return world.storage.messages().some(({ queue }) => queues.includes(queue));
}

/** Those of a tenant that never committed anything stay: nobody knows the tenant. */
function keysLeft(world: World): number {
  const { rows } = world.storage.contents();
  const tenants = new Set(
    rows
      .filter(({ table, row }) => table === 'system' && row.partitionKey === '_system:tenants')
      .map(({ row }) => row.rowKey),
  );
  // Rows of table `keys` are keys of another kind.
  return rows.filter(
    ({ table, row }) =>
      table !== 'keys' && row.rowKey.startsWith('k:') && tenants.has(tenantOf(row.partitionKey)),
  ).length;
}

function pendingRows(world: World): number {
  return world.storage.contents().rows.filter(({ row }) => row.rowKey.startsWith('o:')).length;
}
