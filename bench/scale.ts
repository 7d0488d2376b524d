import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { openAzureStorage } from '../src/azure/index.js';
import type { StoragePorts } from '../src/storage/ports.js';
import { farPorts } from './far-ports.js';
import { LIFECYCLE, prepare, type LifecycleWork } from './lifecycle-work.js';
import { benchPlatform } from './platform.js';
import { faultsOf, printScale, type ScaleResult } from './scale-report.js';
import { countedPorts } from './storage-calls.js';
import { BenchStorage } from './storage.js';

const USAGE = `npm run scale -- [--memory 1000,10000,100000] [--azurite 1000,2000,5000] [--only ${LIFECYCLE.map(({ name }) => name).join(',')}]
Three sizes of each, or none: --memory ''. Multiples of 1,000, so that every page that is read is a whole one.`;
const TENANT = 'acme';
/** Decisions of a month on Azurite, which looks through a whole partition for each row that it is asked for. */
const IN_PARTITION = 250;
/** However busy the machine is: a call that is given up and made again would be counted twice. */
const TRY_MS = 120_000;
/** The heap is looked at once in so many calls. */
const LOOK_EVERY = { memory: 1000, azurite: 250 };

type Where = keyof typeof LOOK_EVERY;

interface Opened {
  readonly ports: StoragePorts;
  prepare(work: LifecycleWork, records: number): Promise<unknown>;
  close(): Promise<unknown>;
}

interface Options {
  readonly sizes: Readonly<Record<Where, readonly number[]>>;
  readonly works: readonly LifecycleWork[];
}

const say = (text: string): void => void process.stderr.write(`${text}\n`);

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes in use by this thread once everything that nobody can reach is gone. */
function bytesInUse(): number {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Every stage of a piece of work, on a storage of its own and by a host that has done nothing else. */
async function measure(
  where: Where,
  work: LifecycleWork,
  size: number,
  opened: Opened,
): Promise<readonly ScaleResult[]> {
  const records = size / work.per;
  await opened.prepare(work, records);
  const results: ScaleResult[] = [];
  for (const { name, run } of work.stages) {
    const counted = countedPorts(opened.ports);
    const platform = benchPlatform(counted.ports);
    const before = bytesInUse();
    let [peak, seen, looking] = [0, 0, 0];
    counted.begin(() => {
      seen += 1;
      if (seen % LOOK_EVERY[where] !== 0) return undefined;
      const start = performance.now();
      peak = Math.max(peak, bytesInUse() - before);
      looking += performance.now() - start;
      return undefined;
    });
    const start = performance.now();
    await run(platform, TENANT);
    const seconds = (performance.now() - start - looking) / 1000;
    results.push({ where, stage: name, records, ...counted.end(), peakBytes: peak, seconds });
    const { calls, rowsRead } = results.at(-1) as ScaleResult;
    say(`${where}: ${name}, ${String(records)} records: ${JSON.stringify(calls)}, ${String(rowsRead)} rows read, ${(peak / 2 ** 20).toFixed(1)} MiB, ${seconds.toFixed(1)} s`); // prettier-ignore
  }
  return results;
}

async function measureAll(
  where: Where,
  { sizes, works }: Options,
  open: () => Promise<Opened>,
): Promise<readonly ScaleResult[]> {
  const results: ScaleResult[] = [];
  for (const work of works)
    for (const size of sizes[where]) {
      const opened = await open();
      try {
        results.push(...(await measure(where, work, size, opened)));
      } finally {
        await opened.close();
      }
    }
  return results;
}

function read(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      memory: { type: 'string', default: '1000,10000,100000' },
      azurite: { type: 'string', default: '1000,2000,5000' },
      only: { type: 'string', default: LIFECYCLE.map(({ name }) => name).join(',') },
    },
  });
  const sizesOf = (text: string): readonly number[] => (text === '' ? [] : text.split(',').map(Number).sort((a, b) => a - b)); // prettier-ignore
  const sizes = { memory: sizesOf(values.memory), azurite: sizesOf(values.azurite) };
  const good = (all: readonly number[]): boolean => all.length === 0 || (all.length === 3 && all.every((size, at) => size > (all[at - 1] ?? 0) && size % 1000 === 0)); // prettier-ignore
  const names = values.only.split(',');
  const works = LIFECYCLE.filter(({ name }) => names.includes(name));
  return good(sizes.memory) && good(sizes.azurite) && works.length === names.length ? { sizes, works } : undefined; // prettier-ignore
}

/** Runs lifecycle work at growing sizes and prints what it took; the exit code says whether calls and memory are in order. */
export async function main(args: readonly string[], thread: URL): Promise<number> {
  const options = read(args);
  if (options === undefined) {
    say(USAGE);
    return 2;
  }
  const far = (): Promise<Opened> => {
    const opened = farPorts(thread);
    return Promise.resolve({
      ports: opened.ports,
      prepare: ({ name }, records) => opened.prepare(name, TENANT, records),
      close: () => opened.close(),
    });
  };
  const results = [...(await measureAll('memory', options, far))];
  if (options.sizes.azurite.length > 0) {
    const storage = await BenchStorage.start();
    try {
      const open = async (): Promise<Opened> => {
        const opened = openAzureStorage({ connectionString: await storage.account(), tryMs: TRY_MS });
        const { ports } = opened;
        return {
          ports,
          prepare: (work, records) => prepare(work, ports, TENANT, { records, inPartition: IN_PARTITION }),
          close: () => {
            opened.close();
            return Promise.resolve();
          },
        };
      };
      results.push(...(await measureAll('azurite', options, open)));
    } finally {
      await storage.stop();
    }
  }
  process.stdout.write(printScale(results));
  const faults = faultsOf(results);
  for (const fault of faults) say(fault);
  return faults.length === 0 ? 0 : 1;
}
