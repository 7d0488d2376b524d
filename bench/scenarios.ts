import { FloorSide } from './floor-side.js';
import { openOverHttp } from './over-http.js';
import { OurSide } from './ours.js';
import type { PageResult, ScenarioResult } from './report.js';
import { compare, type Load, type Sides } from './rounds.js';
import { BATCH, OPERATIONS, PAGE, tenantOf, type OperationName } from './side.js';
import type { BenchTools } from './tools.js';

/** Of a decision: the record, its revision, five index rows, its pending event. */
const ROWS_OF_A_RECORD = 8;

type Loads = Readonly<Record<OperationName, Readonly<Record<1 | 16, Omit<Load, 'clients'>>>>>;

/**
 * Runs of each client and pairs of rounds: many short rounds rather than a few long ones, because what disturbs a
 * machine comes and goes in seconds, and the two rounds of a pair should meet the same of it.
 */
const LOADS: Loads = {
  create: { 1: { runs: 20, rounds: 24 }, 16: { runs: 3, rounds: 20 } },
  read: { 1: { runs: 50, rounds: 24 }, 16: { runs: 8, rounds: 24 } },
  list: { 1: { runs: 25, rounds: 24 }, 16: { runs: 4, rounds: 24 } },
  vote: { 1: { runs: 20, rounds: 24 }, 16: { runs: 3, rounds: 20 } },
  batch: { 1: { runs: 1, rounds: 12 }, 16: { runs: 1, rounds: 3, accountEach: true } },
  seal: { 1: { runs: 1, rounds: 12 }, 16: { runs: 1, rounds: 3, accountEach: true } },
};

/** Over HTTP every round of writes ends with waiting until the host has sealed them: fewer and longer ones. */
const LOADS_OVER_HTTP: Loads = {
  ...LOADS,
  create: { 1: { runs: 60, rounds: 8 }, 16: { runs: 6, rounds: 8 } },
  vote: { 1: { runs: 50, rounds: 8 }, 16: { runs: 6, rounds: 8 } },
  batch: { 1: { runs: 2, rounds: 5 }, 16: LOADS.batch[16] },
};

function loadOf(loads: Loads, operation: OperationName, clients: 1 | 16, quick: boolean): Load {
  const load = { clients, ...loads[operation][clients] };
  return quick ? { ...load, runs: Math.ceil(load.runs / 20), rounds: 1 } : load;
}

/** In quick runs, operations that are many do not come many at once. */
function clientsOf(operation: OperationName, quick: boolean): readonly (1 | 16)[] {
  return quick && (operation === 'batch' || operation === 'seal') ? [1] : [1, 16];
}

/** Records there before: a list needs something to show. */
const recordsFor = (operation: OperationName): number => (operation === 'list' ? BATCH : 0);

/** Both sides in this process, on an account of their own that holds some records. */
async function openInProcess({ storage, templates }: BenchTools, records: number): Promise<Sides> {
  const account = await storage.account();
  const ours = new OurSide(account);
  for (let left = records; left > 0; left -= BATCH) await ours.fill(Math.min(left, BATCH));
  const floor = new FloorSide(account, templates, tenantOf('ours', 0), (client) => ours.idOf(client));
  const close = (): Promise<void> => {
    ours.close();
    floor.close();
    return Promise.resolve();
  };
  return { ours, floor, close };
}

async function compareAll(
  tools: BenchTools,
  where: ScenarioResult['where'],
  operations: readonly OperationName[],
  open: (operation: OperationName) => Promise<Sides>,
): Promise<readonly ScenarioResult[]> {
  const results: ScenarioResult[] = [];
  for (const operation of operations) {
    for (const clients of clientsOf(operation, tools.quick)) {
      tools.progress(`${where}: ${operation}, ${String(clients)} at once`);
      const loads = where === 'http' ? LOADS_OVER_HTTP : LOADS;
      const load = loadOf(loads, operation, clients, tools.quick);
      const found = await compare(() => open(operation), operation, load);
      results.push({ where, operation, clients, rounds: load.rounds, operations: load.runs * clients, ...found }); // prettier-ignore
    }
  }
  return results;
}

/** Every operation in this process, at 1 and 16 clients, each on an account of its own. */
export function compareInProcess(tools: BenchTools): Promise<readonly ScenarioResult[]> {
  return compareAll(tools, 'process', OPERATIONS, (operation) => openInProcess(tools, recordsFor(operation)));
}

/**
 * Every request over HTTP, at 1 and 16 clients, each on an account and on hosts of its own; a quick run starts them
 * once. Sealing is no request.
 */
export async function compareOverHttp(tools: BenchTools): Promise<readonly ScenarioResult[]> {
  const operations = OPERATIONS.filter((operation) => operation !== 'seal');
  if (!tools.quick)
    return compareAll(tools, 'http', operations, (operation) => openOverHttp(tools, recordsFor(operation)));
  const shared = await openOverHttp(tools, BATCH);
  const kept = { ...shared, close: () => Promise.resolve() };
  try {
    return await compareAll(tools, 'http', operations, () => Promise.resolve(kept));
  } finally {
    await shared.close();
  }
}

/** A first page of lists of growing tables, beside the bare range read of the same rows. */
export async function comparePages(tools: BenchTools): Promise<readonly PageResult[]> {
  const results: PageResult[] = [];
  for (const rows of tools.quick ? [100, 1000] : [100, 1000, 10_000]) {
    tools.progress(`pages: ${String(rows)} rows`);
    // The record that a client reads is made besides.
    const records = Math.floor(rows / ROWS_OF_A_RECORD) - 1;
    const load = { clients: 1, runs: tools.quick ? 2 : 20, rounds: tools.quick ? 1 : 20 };
    const found = await compare(() => openInProcess(tools, records), 'list', load);
    results.push({ rows: (records + 1) * ROWS_OF_A_RECORD, items: Math.min(records + 1, PAGE), ...found });
  }
  return results;
}
