import { spreadOf, median, type Spread } from './statistics.js';
import type { OperationName, Side } from './side.js';

/** How often, and by how many at once. */
export interface Load {
  readonly clients: number;
  /** Runs of each client in a round. */
  readonly runs: number;
  /** Pairs of rounds that count. */
  readonly rounds: number;
  /**
   * A storage account for each pair: for operations so large that a few rounds would make a table the emulator is slow
   * with. Otherwise all pairs share one. Where there are several pairs, one comes first that does not count: of a
   * single run where every pair has an account of its own.
   */
  readonly accountEach?: boolean;
}

/** The two sides on one storage account. */
export interface Sides<Name extends string = OperationName> {
  readonly ours: Side<Name>;
  readonly floor: Side<Name>;
  close(): Promise<void>;
}

/** What a comparison found. Rates are operations a second; the ratio is ours to the floor's, of each pair of rounds. */
export interface Comparison {
  readonly ours: number;
  readonly floor: number;
  readonly ratio: Spread;
}

/** Operations a second of one round. */
async function rate<Name extends string>(
  side: Side<Name>,
  operation: Name,
  { clients, runs }: Load,
): Promise<number> {
  await side.ready(operation, clients, runs);
  const start = performance.now();
  const loops = Array.from({ length: clients }, async (_, client) => {
    for (let run = 0; run < runs; run += 1) await side.run(operation, client);
  });
  await Promise.all(loops);
  const seconds = (performance.now() - start) / 1000;
  await side.settle();
  return (clients * runs) / seconds;
}

interface Pair {
  readonly ours: number;
  readonly floor: number;
}

async function pairOf<Name extends string>(
  { ours, floor }: Sides<Name>,
  operation: Name,
  load: Load,
  at: number,
): Promise<Pair> {
  if (at % 2 === 0) {
    const first = await rate(ours, operation, load);
    return { ours: first, floor: await rate(floor, operation, load) };
  }
  const first = await rate(floor, operation, load);
  return { ours: await rate(ours, operation, load), floor: first };
}

/**
 * Ours and the floor in turn, on the same storage: whatever slows it down between the first round and the last (rows,
 * a noisy machine) meets both alike. Who begins a pair changes from pair to pair.
 */
export async function compare<Name extends string>(
  open: () => Promise<Sides<Name>>,
  operation: Name,
  load: Load,
): Promise<Comparison> {
  const pairs: Pair[] = [];
  const each = load.accountEach === true;
  const warmUp = each ? { ...load, clients: 1, runs: 1 } : load;
  for (let account = 0; account < (each ? load.rounds : 1); account += 1) {
    const sides = await open();
    try {
      if (load.rounds > 1) await pairOf(sides, operation, warmUp, account);
      for (let at = 0; at < (each ? 1 : load.rounds); at += 1)
        pairs.push(await pairOf(sides, operation, load, account + at));
    } finally {
      await sides.close();
    }
  }
  return {
    ours: median(pairs.map((pair) => pair.ours)),
    floor: median(pairs.map((pair) => pair.floor)),
    ratio: spreadOf(pairs.map((pair) => pair.ours / pair.floor)),
  };
}
