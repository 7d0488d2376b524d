/**
 * `npm run mutate`: what the tests of the core would not notice. Give it files, for all of them take long:
 * `npm run mutate -- --mutate src/storage/keys.ts`. See docs/mutation.md.
 */
export default {
  mutate: ['src/{domain,storage,audit}/**/*.ts'],
  testRunner: 'vitest',
  plugins: ['@stryker-mutator/vitest-runner', './stryker.config.mjs'],
  ignorers: ['messages'],
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

/** Where the text written for people is among the arguments of what takes it. */
const MESSAGE_AT = {
  AppError: 1,
  StorageFault: 1,
  Error: 0,
  TypeError: 0,
  ledgerBroken: 1,
  complain: 0,
  refine: 1,
  warn: 0,
};

/**
 * Leaves out mutants of the wording of messages: what a caller acts on is a code, a pointer or a status, and a test of
 * the wording would only say it twice. Every other text (keys, names, kinds, columns) is mutated.
 */
export const strykerPlugins = [{ kind: 'Ignore', name: 'messages', value: { shouldIgnore } }];

function shouldIgnore({ node, parent }) {
  if (node.type !== 'StringLiteral' && node.type !== 'TemplateLiteral') return undefined;
  const detail = parent?.type === 'ObjectProperty' && parent.key.name === 'detail';
  const callee = parent?.callee?.name ?? parent?.callee?.property?.name;
  const argument = callee !== undefined && parent.arguments.indexOf(node) === MESSAGE_AT[callee];
  return detail || argument ? 'the wording of a message' : undefined;
}
