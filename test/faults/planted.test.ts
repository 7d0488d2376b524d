import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { PLANTED } from './planted.js';
import { simulate } from './simulation.js';
import { simulateYears } from './years.js';

vi.mock('lru-cache', () => import('../support/small-caches.js'));

/** Where the simulation finds each bug first; simulation.test.ts runs the same schedules without any. */
const foundAt: string[] = [];

describe('a mistake in the wiring', () => {
  for (const { name, within, from = 1, plant, years } of PLANTED)
    it(`is found within ${within} schedules: ${name}`, { timeout: 300_000 }, async () => {
      const run = years === true ? simulateYears : simulate;
      let seed = from - 1;
      let violations: readonly string[] = [];
      while (violations.length === 0 && seed < from - 1 + within)
        ({ violations } = await run((seed += 1), { plant }));
      expect(violations, `${within} schedules from ${from} on all hold`).not.toEqual([]);
      foundAt.push(`${name} at ${seed}`);
      // What tells of the bug is the bug: the same schedule without it holds.
      expect((await run(seed)).violations).toEqual([]);
    });

  it('is listed in the documentation with its number', () => {
    const page = readFileSync(new URL('../../docs/testing.md', import.meta.url), 'utf8');
    const listed = [...page.matchAll(/^\| (.+?) +\| +(\d+) \|$/gm)].map(([, name, within]) => [
      name,
      Number(within),
    ]);
    expect(listed).toEqual(PLANTED.map(({ name, within }) => [name, within]));
  });

  afterAll(() => {
    // The numbers are part of what the run says.
    process.stdout.write(`planted bugs found: ${foundAt.join(', ')}\n`);
  });
});
