import { describe, expect, it, vi } from 'vitest';
import { Counters } from './simulation-counters.js';
import { LIVES } from './simulation-names.js';
import { simulateYears } from './years.js';

vi.mock('lru-cache', () => import('../support/small-caches.js'));

const SCHEDULES = Number(process.env['YEARS'] ?? 20);
const FROM = Number(process.env['FROM'] ?? 1);

describe('records of which years pass', () => {
  const counters = new Counters();
  it(`are dealt with by the rules in each of ${SCHEDULES} schedules`, { timeout: 600_000 }, async () => {
    const failed: string[] = [];
    const began = performance.now();
    for (let seed = FROM; seed < FROM + SCHEDULES; seed += 1) {
      const report = await simulateYears(seed);
      counters.addAll(report.counters);
      if (report.violations.length > 0) failed.push(`seed ${seed}: ${report.violations.join('; ')}`);
    }
    console.log((performance.now() - began) / SCHEDULES, JSON.stringify(Object.fromEntries(counters.counts)));
    expect(failed).toEqual([]);
  });
  it.each(LIVES)('%s', (name) => expect(counters.of(`life: ${name}`)).toBeGreaterThan(0));
});
