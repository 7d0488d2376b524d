import { openAzureStorage } from '../src/azure/index.js';
import { Floor } from './floor.js';
import { load, recordWork, replay, type RecordedWork } from './lifecycle-floor.js';
import type { LifecycleResult } from './lifecycle-report.js';
import { LIFECYCLE, prepare, type LifecycleWork } from './lifecycle-work.js';
import { benchPlatform } from './platform.js';
import { tenantOf } from './side.js';
import { median, spreadOf } from './statistics.js';
import { totalOf } from './storage-calls.js';
import type { BenchTools } from './tools.js';

const timed = async (work: () => Promise<void>): Promise<number> => {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
};

/** Seconds of each stage, by a host of its own on an account of its own. */
async function ours({ storage }: BenchTools, work: LifecycleWork, records: number): Promise<number[]> {
  const opened = openAzureStorage({ connectionString: await storage.account() });
  const tenant = tenantOf('ours', 0);
  try {
    await prepare(work, opened.ports, tenant, { records });
    const seconds: number[] = [];
    for (const { run } of work.stages)
      seconds.push(await timed(() => run(benchPlatform(opened.ports), tenant)));
    return seconds;
  } finally {
    opened.close();
  }
}

/** The same of the SDK alone. */
async function bare({ storage }: BenchTools, { atOnce }: LifecycleWork, recorded: RecordedWork): Promise<number[]> {
  const account = await storage.account();
  await load(account, recorded.before);
  const floor = new Floor(account);
  try {
    const seconds: number[] = [];
    for (const { calls } of recorded.stages) seconds.push(await timed(() => replay(floor, calls, atOnce)));
    return seconds;
  } finally {
    floor.close();
  }
} // prettier-ignore

/** Archiving, disposal and erasure beside bare calls that do the same; the two take turns, and who begins changes. */
export async function compareLifecycle(tools: BenchTools): Promise<readonly LifecycleResult[]> {
  const [size, rounds] = tools.quick ? [40, 1] : [1000, 6];
  const results: LifecycleResult[] = [];
  for (const work of LIFECYCLE) {
    tools.progress(`lifecycle: ${work.name}`);
    const records = size / work.per;
    const recorded = await recordWork(work, records);
    const pairs: { readonly ours: number[]; readonly floor: number[] }[] = [];
    for (let at = 0; at < rounds; at += 1) {
      const first = at % 2 === 0 ? await ours(tools, work, records) : undefined;
      const floor = await bare(tools, work, recorded);
      pairs.push({ ours: first ?? (await ours(tools, work, records)), floor });
    }
    for (const [stage, { name, counts }] of recorded.stages.entries()) {
      const rates = pairs.map((pair) => ({
        ours: records / (pair.ours[stage] as number),
        floor: records / (pair.floor[stage] as number),
      }));
      results.push({
        stage: name,
        records,
        rounds,
        calls: totalOf(counts) / records,
        transactions: counts.transactions / records,
        ours: median(rates.map((rate) => rate.ours)),
        floor: median(rates.map((rate) => rate.floor)),
        ratio: spreadOf(rates.map((rate) => rate.ours / rate.floor)),
      });
    }
  }
  return results;
}
