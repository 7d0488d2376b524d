import { createHash } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { additionsOf } from '../support/subjects.js';
import { Counters } from './simulation-counters.js';
import { BRANCHES, FAULTS } from './simulation-names.js';
import { simulate } from './simulation.js';
import { SIMULATED_TYPES } from './simulation-types.js';

vi.mock('lru-cache', () => import('../support/small-caches.js'));

const SCHEDULES = 2000;

const again = (seed: number): string => `npm run simulate -- --schedules 1 --seed ${seed}`;

describe('clients on several hosts, whatever goes wrong', () => {
  const counters = new Counters();

  it(`are not lied to in any of ${SCHEDULES} schedules`, { timeout: 1_800_000 }, async () => {
    const failed: string[] = [];
    for (let seed = 1; seed <= SCHEDULES; seed += 1) {
      const report = await simulate(seed);
      counters.addAll(report.counters);
      if (report.violations.length > 0)
        failed.push(`seed ${seed}, again with "${again(seed)}": ${report.violations.join('; ')}`);
    }
    expect(failed).toEqual([]);
  });

  it.each(FAULTS)('had this go wrong: %s', (name) => {
    expect(counters.of(`fault: ${name}`)).toBeGreaterThan(0);
  });

  it.each(BRANCHES)('saw the platform come through this: %s', (name) => {
    expect(counters.of(`branch: ${name}`)).toBeGreaterThan(0);
  });

  const ways = SIMULATED_TYPES.flatMap((type) => [
    ...['create', 'batch', 'inbox', 'patch', ...(type.named === undefined ? [] : ['put'])],
    ...additionsOf(type).map(({ path }) => path),
  ].map((way) => `${type.recordType} ${way}`)); // prettier-ignore
  it.each(ways)('had this done: %s', (way) => {
    expect(counters.of(`act: ${way}`)).toBeGreaterThan(0);
  });

  it.each(['sweep', 'collect-orphans', 'expire-keys', 'check-partitions', 'dispose', 'archive'])(
    'had the job %s run',
    (name) => {
      expect(counters.of(`job: ${name}`)).toBeGreaterThan(0);
    },
  );
});

describe('a seed', () => {
  const traceOf = async (seed: number): Promise<string> => {
    const hash = createHash('sha256');
    let lines = 0;
    await simulate(seed, {
      tell: (line) => {
        lines += 1;
        hash.update(`${line}\n`);
      },
    });
    return `${lines} lines, ${hash.digest('hex')}`;
  };

  it('is the same schedule every time, call by call', { timeout: 240_000 }, async () => {
    const seeds = Array.from({ length: 20 }, (_, at) => 1 + at);
    const first: string[] = [];
    for (const seed of seeds) first.push(await traceOf(seed));
    // In another order, so that nothing that one schedule leaves behind hides in all that follow it.
    for (const seed of seeds.toReversed()) expect(await traceOf(seed)).toBe(first[seed - 1]);
    expect(new Set(first).size).toBe(seeds.length);
  });
});
