/**
 * `npm run mutate`: what the tests of the core would not notice. Give it files, for all of them take long:
 * `npm run mutate -- --mutate src/storage/keys.ts`. See docs/mutation.md.
 */
export default {
  mutate: ['src/{domain,storage,audit}/**/*.ts'],
  testRunner: 'vitest',
  plugins: ['@stryker-mutator/vitest-runner'],
  vitest: { configFile: 'vitest.mutation.config.ts' },
  coverageAnalysis: 'perTest',
  concurrency: 2,
  // A mutant that loops is found by its hits; one that waits, by the clock of a busy machine.
  timeoutMS: 20_000,
  ignorePatterns: ['/dist', '/dist-package', '/.data', '/coverage', '/bench', '/docs', '/infra'],
  cleanTempDir: 'always',
  reporters: ['clear-text', 'progress-append-only'],
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
  allowConsoleColors: false,
};
