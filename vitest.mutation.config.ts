import { defineConfig } from 'vitest/config';
import type { Reporter, RunnerTestCase, Vitest } from 'vitest/node';

const SUITES = 'test/{audit,domain,http,lifecycle,queue,records,security,storage}/**/*.test.ts';

/**
 * Stryker counts failed tests, and a file that cannot even be loaded has none: a mutant that broke a declaration would
 * pass for a survivor. Such a file gets a failed test.
 */
class UnloadedFiles implements Reporter {
  #vitest: Vitest | undefined;

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
  }

  onTestRunEnd(): void {
    for (const file of this.#vitest?.state.getFiles() ?? []) {
      if (file.result?.state !== 'fail' || file.tasks.length > 0) continue;
      const { result } = file;
      file.tasks.push({ type: 'test', id: `${file.id}_loads`, name: 'loads', mode: 'run', file, result } as RunnerTestCase); // prettier-ignore
    }
  }
}

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
    reporters: ['default', new UnloadedFiles()],
  },
});
