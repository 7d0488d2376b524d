import { setImmediate as settled } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { LIFECYCLE, prepare, type LifecycleWork } from '../../bench/lifecycle-work.js';
import { benchPlatform } from '../../bench/platform.js';
import { faultsOf, slopesOf, type ScaleResult } from '../../bench/scale-report.js';
import { countedPorts, noCalls, totalOf } from '../../bench/storage-calls.js';
import type { Clock } from '../../src/domain/clock.js';
import { storageNames, type Platform } from '../../src/platform.js';
import type { RangePage, Row, StoragePorts } from '../../src/storage/ports.js';
import { systemClock } from '../../src/system.js';
import { collectGarbage } from '../support/at-length.js';
import { memoryPorts } from '../support/memory-ports.js';
import { STORAGES } from '../support/storages.js';
import { wrapPorts } from '../support/wrap-ports.js';

/** What 100,000 records take, and 5,000 on Azurite, is measured by `npm run scale`; this is the same in small. */
const TENANT = 'acme';
/** The time of a run is never up, however busy the machine is: how often it goes on is not what is counted here. */
const clock: Clock = { ...systemClock, monotonic: () => 0 };
const host = (ports: StoragePorts): Platform => benchPlatform(ports, clock);

/** Rows that were handed over and are still held by somebody, once everything that can go has gone. */
class HeldRows {
  #rows: WeakRef<Row>[] = [];
  most = 0;

  /** The same ports; now and then it is looked what is held of what they gave. */
  watch(real: StoragePorts, every: number): StoragePorts {
    let calls = 0;
    return wrapPorts(real, async (call, run) => {
      calls += 1;
      if (calls % every === 0) await this.#look();
      const answer = await run();
      if (call.method === 'range') for (const row of (answer as RangePage).rows) this.#rows.push(new WeakRef(row)); // prettier-ignore
      return answer;
    });
  }

  async #look(): Promise<void> {
    // What was handed over in this very turn is kept until its end, whoever holds it.
    await settled();
    collectGarbage();
    this.#rows = this.#rows.filter((row) => row.deref() !== undefined);
    this.most = Math.max(this.most, this.#rows.length);
  }
}

interface Took extends Pick<ScaleResult, 'stage' | 'records' | 'calls' | 'rowsRead'> {
  /** Rows that were held at most. */
  readonly held: number;
}

/** What every stage of a piece of work takes at a size. */
async function tookOf(work: LifecycleWork, records: number, ports: StoragePorts, every: number): Promise<Took[]> {
  await prepare(work, ports, TENANT, { records }, host(ports));
  const took: Took[] = [];
  for (const { name, run } of work.stages) {
    const held = new HeldRows();
    const counted = countedPorts(every === 0 ? ports : held.watch(ports, every));
    counted.begin();
    await run(host(counted.ports), TENANT);
    took.push({ stage: name, records, held: held.most, ...counted.end() });
  }
  return took;
} // prettier-ignore

const inMemory = (): StoragePorts => memoryPorts({ clock, names: storageNames() });

/** By stage, calls and rows read for a record, and rows held at most: those of a page or two, however many records. */
const COSTS: Readonly<Record<string, { calls: number; rows: number; held: number }>> = {
  'archive, hot to cool': { calls: 3.1, rows: 2.2, held: 1100 },
  'archive, cool to archive': { calls: 1.05, rows: 3.05, held: 1600 },
  dispose: { calls: 10.15, rows: 7.6, held: 520 },
  'dispose, the day after': { calls: 0.04, rows: 1.05, held: 110 },
  'erase, who is named': { calls: 0.014, rows: 3.05, held: 1010 },
  'erase, conversations': { calls: 9, rows: 14, held: 1100 },
  'clear them': { calls: 15.2, rows: 13.5, held: 200 },
  'clear them, the day after': { calls: 10.2, rows: 5.3, held: 200 },
};
/** After how many calls it is looked what is held: some ten times in each stage. */
const LOOK_EVERY: Readonly<Record<string, number>> = {
  archive: 307,
  dispose: 1009,
  erase: 7,
  'erase-whole': 307,
};
/** Calls of a run, however little there is to do. */
const FIXED = 100;

describe('lifecycle work over many records', () => {
  it.each(LIFECYCLE)(
    '$name: calls go with the records, and no more rows are held',
    async (work) => {
      const few = await tookOf(work, 500 / work.per, inMemory(), 0);
      const many = await tookOf(work, 2000 / work.per, inMemory(), LOOK_EVERY[work.name] ?? 0);
      for (const [at, { stage, records, calls, rowsRead, held }] of many.entries()) {
        const cost = COSTS[stage] ?? { calls: 0, rows: 0, held: 0 };
        const first = few[at] as Took;
        const [slope = 0] = slopesOf([first, { records, calls }]);
        const said = { stage, first: totalOf(first.calls), slope, rows: rowsRead / records, held };
        expect(slope, JSON.stringify(said)).toBeLessThanOrEqual(cost.calls);
        expect(totalOf(first.calls), JSON.stringify(said)).toBeLessThanOrEqual(cost.calls * first.records + FIXED); // prettier-ignore
        expect(rowsRead / records, JSON.stringify(said)).toBeLessThanOrEqual(cost.rows);
        expect(held, JSON.stringify(said)).toBeLessThanOrEqual(cost.held);
      }
    },
    120_000,
  );

  describe.each(STORAGES.filter(({ realTime }) => realTime))('$name', (kind) => {
    it.each(LIFECYCLE)(
      '$name takes the calls that it takes in memory',
      async (work) => {
        const records = work.per === 1 ? 60 : 10;
        const storage = await kind.open(storageNames());
        try {
          const there = await tookOf(work, records, storage.ports, 0);
          const here = await tookOf(work, records, inMemory(), 0);
          for (const [at, { stage, calls }] of there.entries()) {
            const expected = totalOf((here[at] as Took).calls);
            // What a busy emulator did not answer in time is asked again.
            expect(Math.abs(totalOf(calls) - expected), stage).toBeLessThanOrEqual(3 + 0.03 * expected);
          }
        } finally {
          storage.close();
        }
      },
      120_000,
    );
  });
});

describe('npm run scale', () => {
  const result = (records: number, calls: number, peakBytes: number): ScaleResult => ({
    where: 'memory',
    stage: 'work',
    records,
    calls: { ...noCalls(), points: calls },
    own: 0,
    rowsRead: 0,
    rowsWritten: 0,
    peakBytes,
    seconds: 1,
  });

  it('says what does not grow as records do, and which memory grows with them', () => {
    const fixed = [result(1000, 3040, 1e6), result(10_000, 30_100, 1e6), result(100_000, 300_040, 2e6)];
    expect(faultsOf(fixed)).toEqual([]);
    const steeper = [...fixed.slice(0, 2), result(100_000, 330_000, 1e6)];
    expect(faultsOf(steeper)).toEqual([expect.stringContaining('not linear')]);
    const larger = [...fixed.slice(0, 2), result(100_000, 300_040, 2e7)];
    expect(faultsOf(larger)).toEqual([expect.stringContaining('not flat')]);
  });
});
