import { defineConfig } from 'vitest/config';

const SUITES = 'test/{audit,domain,http,lifecycle,queue,records,security,storage}/**/*.test.ts';

/**
 * The suites that judge mutants: those that need nothing but memory, so that a mutant costs little. Left out is what
 * starts processes, speaks to an emulator, or looks at the sources themselves (which Stryker has rewritten).
 * `MUTATION_TESTS` names fewer, with commas between them: a file judged by its own suite takes seconds.
 */
export default defineConfig({
  test: {
    include: process.env['MUTATION_TESTS']?.split(',') ?? [SUITES],
    exclude: ['test/audit/azurite.test.ts'],
    env: { TEST_STORAGE: 'in memory' },
    testTimeout: 20_000,
  },
});
