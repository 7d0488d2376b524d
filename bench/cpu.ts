import type { Platform } from '../src/platform.js';
import { decisionType } from '../src/records/decision.js';
import type { StoragePorts } from '../src/storage/ports.js';
import { systemClock } from '../src/system.js';
import { memoryPorts } from '../test/support/memory-ports.js';
import type { PortCall } from '../test/support/wrap-ports.js';
import { here } from './payload.js';
import { benchCall, benchPlatform } from './platform.js';
import type { CpuResult } from './report.js';
import { BATCH, BODY, PAGE, tenantOf, VOTE } from './side.js';
import { median } from './statistics.js';

interface CpuScenario {
  readonly operation: string;
  readonly runs: number;
  /** Records there before. */
  readonly records: number;
  readonly run: (platform: Platform, id: string) => Promise<unknown>;
  /** Off the clock, before every run. */
  readonly before?: (platform: Platform) => Promise<unknown>;
}

const TENANT = tenantOf('ours', 0);
const call = benchCall(TENANT);
const bodies = Array<unknown>(BATCH).fill(BODY);
const fill = (platform: Platform) => platform.manager.createBatch(decisionType, bodies, call);

const SCENARIOS: readonly CpuScenario[] = [
  {
    operation: 'create',
    runs: 400,
    records: 1,
    run: ({ manager }) => manager.create(decisionType, BODY, call),
  },
  {
    operation: 'read',
    runs: 1000,
    records: 1,
    run: ({ manager }, id) => manager.get(decisionType, id, call),
  },
  {
    operation: 'vote',
    runs: 400,
    records: 1,
    run: ({ manager }, id) => manager.act(decisionType, id, 'votes', VOTE, undefined, call),
  },
  ...[100, 10_000].map((records) => ({
    operation: `list of ${String(PAGE)} of ${String(records)} records`,
    runs: 200,
    records,
    run: ({ manager }: Platform) => manager.list(decisionType, { filters: {}, limit: PAGE }, call),
  })),
  { operation: `batch of ${String(BATCH)}`, runs: 8, records: 1, run: fill },
  {
    operation: `seal of ${String(BATCH)}`,
    runs: 8,
    records: 1,
    before: fill,
    run: ({ sealer }) => sealer.sealTenant(TENANT, { partitions: [here(TENANT)] }),
  },
];

/** Microseconds of CPU that `work` takes. */
export async function cpuOf(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

/** Makes the same calls again on ports as they were: what is left is what the ports themselves take. */
async function replay(ports: StoragePorts, calls: readonly PortCall[]): Promise<void> {
  for (const { port, method, args } of calls) {
    const target = ports[port] as unknown as Record<
      string,
      (...args: readonly unknown[]) => Promise<unknown>
    >;
    await target[method]?.(...args).catch(() => undefined);
  }
}

interface Costs {
  readonly micros: number;
  readonly ports: number;
}

/** A platform with its records, and a way to measure some runs of the scenario on it. */
async function open(scenario: CpuScenario): Promise<(runs: number) => Promise<Costs>> {
  const calls: PortCall[] = [];
  const platform = benchPlatform(recording(memoryPorts({ clock: systemClock }), calls));
  // A second storage sees every call and makes it later.
  const mirror = memoryPorts({ clock: systemClock });
  const { envelope } = await platform.manager.create(decisionType, BODY, call);
  for (let stored = 1; stored < scenario.records; stored += BATCH) await fill(platform);
  await platform.sealer.sealTenant(TENANT, { partitions: [here(TENANT)] });
  return async (runs) => {
    let micros = 0;
    let ports = 0;
    for (let run = 0; run < runs; run += 1) {
      await scenario.before?.(platform);
      await replay(mirror, calls.splice(0));
      micros += await cpuOf(() => scenario.run(platform, envelope.id));
      ports += await cpuOf(() => replay(mirror, calls.splice(0)));
    }
    return { micros: micros / runs, ports: ports / runs };
  };
}

function recording(ports: StoragePorts, calls: PortCall[]): StoragePorts {
  const record = <P extends object>(port: keyof StoragePorts, target: P): P =>
    new Proxy(target, {
      get(object, name) {
        const member: unknown = Reflect.get(object, name);
        if (typeof member !== 'function') return member;
        return (...args: readonly unknown[]): unknown => {
          calls.push({ port, method: String(name), args });
          return Reflect.apply(member, object, args) as unknown;
        };
      },
    });
  return {
    tables: record('tables', ports.tables),
    blobs: record('blobs', ports.blobs),
    queues: record('queues', ports.queues),
  };
}

/** CPU of each operation on ports in memory, warm; the median of several repetitions. */
export async function measureCpu(quick: boolean): Promise<readonly CpuResult[]> {
  const results: CpuResult[] = [];
  for (const scenario of SCENARIOS.filter(({ records }) => !quick || records <= BATCH)) {
    const runs = Math.ceil(scenario.runs / (quick ? 20 : 1));
    const measure = await open(scenario);
    await measure(runs);
    const found: Costs[] = [];
    for (let repetition = 0; repetition < (quick ? 1 : 5); repetition += 1) found.push(await measure(runs));
    results.push({
      operation: scenario.operation,
      micros: median(found.map(({ micros }) => micros)),
      ports: median(found.map(({ ports }) => ports)),
    });
  }
  return results;
}
