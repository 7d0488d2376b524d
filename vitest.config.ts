import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that run for a minute or longer: begun last, one of them would run alone in the end. */
const LONG = [
  'faults/simulation',
  'faults/matrix',
  'faults/planted',
  'audit/tampering',
  'http/conversations',
  'faults/kill',
];

const files = readdirSync(join(import.meta.dirname, 'test'), { recursive: true, encoding: 'utf8' })
  .map((name) => `test/${name.replaceAll('\\', '/')}`)
  .filter((name) => name.endsWith('.test.ts'));
/** Files that put something else into the place of a module: they need modules that nobody has loaded before. */
const apart = files.filter((name) =>
  /\bvi\.(?:mock|stub|spyOn|useFakeTimers)/.test(readFileSync(join(import.meta.dirname, name), 'utf8')),
);

class LongestFirst extends BaseSequencer {
  override async sort(specifications: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = LONG.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
      return at < 0 ? LONG.length : at;
    };
    return [...(await super.sort(specifications))].sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    sequence: { sequencer: LongestFirst },
    maxWorkers: 3,
    // Most of what tests make is thrown away at once: with room for it, little of it is copied before it is.
    execArgv: ['--max-semi-space-size=32'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    projects: [
      { extends: true, test: { name: 'apart', include: apart } },
      // Loading the platform anew for each file takes a sixth of the whole run.
      { extends: true, test: { name: 'together', include: files, exclude: apart, isolate: false } },
    ],
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts', 'functions/**/*.ts'],
      reporter: ['text-summary', 'lcov'],
    },
  },
});
