import { createHash } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { Counters } from './simulation-counters.js';
import { LIVES, type LifeName } from './simulation-names.js';
import { simulateYears } from './years.js';

vi.mock('lru-cache', () => import('../support/small-caches.js'));

/** As many as a fiftieth of the schedules of simulation.test.ts. */
const SCHEDULES = 40;

const again = (seed: number): string => `npm run simulate -- --schedules 1 --seed ${seed} --years`;

describe('records of which years pass', () => {
  const counters = new Counters();

  it(
    `are kept and destroyed by the rules in each of ${SCHEDULES} schedules`,
    { timeout: 1_800_000 },
    async () => {
      const failed: string[] = [];
      for (let seed = 1; seed <= SCHEDULES; seed += 1) {
        const report = await simulateYears(seed);
        counters.addAll(report.counters);
        if (report.violations.length > 0)
          failed.push(`seed ${seed}, again with "${again(seed)}": ${report.violations.join('; ')}`);
      }
      expect(failed).toEqual([]);
    },
  );

  it.each(Object.entries(LIVES) as [LifeName, number][])(
    'had this done often enough: %s, %i',
    (name, least) => {
      expect(counters.of(`life: ${name}`)).toBeGreaterThanOrEqual(least);
    },
  );

  it.each(['archive', 'dispose', 'erase', 'rehydrate', 'index-subjects'])('had the job %s run', (name) => {
    expect(counters.of(`job: ${name}`)).toBeGreaterThan(SCHEDULES);
  });
});

describe('a seed of years', () => {
  const traceOf = async (seed: number): Promise<string> => {
    const hash = createHash('sha256');
    await simulateYears(seed, { tell: (line) => hash.update(`${line}\n`) });
    return hash.digest('hex');
  };

  it('is the same schedule every time, call by call', { timeout: 240_000 }, async () => {
    const [first, second] = [await traceOf(1), await traceOf(2)];
    expect(await traceOf(2)).toBe(second);
    expect(await traceOf(1)).toBe(first);
    expect(first).not.toBe(second);
  });
});
