import { basename } from 'node:path';
import { describe, expect, it } from 'vitest';
import { codeLines, filesBelow, lineCount, read } from './support.js';

const SOURCES = filesBelow('src').filter((path) => path.endsWith('.ts'));
const FUNCTIONS = filesBelow('functions').filter((path) => path.endsWith('.ts'));
/** Not triggers: the list of triggers, and the hooks of the app itself. */
const NO_TRIGGER = ['functions/index.ts', 'functions/lifetime.ts'];

describe('the house', () => {
  it('keeps every source file under 350 lines', () => {
    expect(SOURCES.filter((path) => lineCount(path) >= 350)).toEqual([]);
  });

  it('names every file in kebab-case', () => {
    const kebab = /^[a-z0-9]+(-[a-z0-9]+)*(\.test)?\.(ts|mjs)$/;
    const files = [...SOURCES, ...FUNCTIONS, ...filesBelow('test'), ...filesBelow('scripts')];
    expect(files.filter((path) => !kebab.test(basename(path)))).toEqual([]);
  });

  it('keeps every function file under 30 lines', () => {
    const triggers = FUNCTIONS.filter((path) => !NO_TRIGGER.includes(path));
    expect(triggers.filter((path) => lineCount(path) >= 30)).toEqual([]);
  });

  it('registers one trigger in each function file, under the name of the file', () => {
    const registered = FUNCTIONS.map((path) => {
      const code = codeLines(path)
        .map((line) => line.code)
        .join('\n');
      const names = [...code.matchAll(/\bapp\.(?!hook\b)\w+\(\s*'([^']*)'/g)].map(([, name]) => name);
      return [path, names] as const;
    });
    const expected = FUNCTIONS.map((path) => [
      path,
      NO_TRIGGER.includes(path) ? [] : [basename(path, '.ts')],
    ]);
    expect(registered).toEqual(expected);
  });

  it('imports every function file from functions/index.ts', () => {
    const imported = [...read('functions/index.ts').matchAll(/^import '\.\/(.+)\.js';$/gm)];
    const names = imported.map(([, name]) => `functions/${name ?? ''}.ts`);
    expect(names.sort()).toEqual(FUNCTIONS.filter((path) => path !== 'functions/index.ts'));
  });

  it('has one file for each record type, named after it, and lists it in the registry', async () => {
    const { RECORD_TYPES } = await import('../../src/records/registry.js');
    const files = SOURCES.filter((path) => /^src\/records\/[^/]+\.ts$/.test(path)).map((path) =>
      basename(path, '.ts'),
    );
    const expected = RECORD_TYPES.map((type) => type.recordType.replaceAll('_', '-'));
    expect(files.filter((name) => name !== 'registry').sort()).toEqual([...expected].sort());
  });

  it('has one file for each schema version before the current one, named after type and version', async () => {
    const { RECORD_TYPES } = await import('../../src/records/registry.js');
    const files = SOURCES.filter((path) => path.startsWith('src/records/older/')).map((path) =>
      basename(path, '.ts'),
    );
    const expected = RECORD_TYPES.flatMap(({ recordType, migrations }) =>
      migrations.map(({ from }) => `${recordType.replaceAll('_', '-')}-${from.replaceAll('.', '-')}`),
    );
    expect(files.sort()).toEqual([...expected].sort());
  });

  it('tells the local host and Azure the same number of deliveries', async () => {
    const { MAX_DELIVERIES } = await import('../../src/queue/inbox-handler.js');
    const host = JSON.parse(read('host.json')) as { extensions: { queues: { maxDequeueCount: number } } };
    expect(host.extensions.queues.maxDequeueCount).toBe(MAX_DELIVERIES);
  });
});
