import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ROOT } from './support.js';

interface Finding {
  readonly rule: string;
  readonly from: string;
}

/** Runs the import rules on a tree laid out like this repository. */
function violations(root: string): readonly Finding[] {
  const bin = join(ROOT, 'node_modules', 'dependency-cruiser', 'bin', 'dependency-cruise.mjs');
  const config = join(root, '.dependency-cruiser.cjs');
  const run = spawnSync(
    process.execPath,
    [bin, '--config', config, '--preserve-symlinks', '--output-type', 'json', 'src', 'functions'],
    { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
  );
  if (run.stdout === '') throw new Error(run.stderr);
  const { summary } = JSON.parse(run.stdout) as {
    summary: { totalCruised: number; violations: { rule: { name: string }; from: string }[] };
  };
  expect(summary.totalCruised).toBeGreaterThan(0);
  return summary.violations.map(({ rule, from }) => ({ rule: rule.name, from }));
}

/** The names of all rules there are. */
function ruleNames(): readonly string[] {
  const require = createRequire(import.meta.url);
  const { forbidden } = require(join(ROOT, '.dependency-cruiser.cjs')) as { forbidden: { name: string }[] };
  return forbidden.map(({ name }) => name);
}

/** One file that breaks each rule, and what it says. */
const PLANTED: Readonly<Record<string, readonly [path: string, code: string]>> = {
  'no-cycles': ['src/domain/a.ts', "import { b } from './b.js';\nexport const a = (): unknown => b;"],
  resolvable: ['src/domain/lost.ts', "import './nowhere.js';"],
  'no-dev-dependency': ['src/storage/checked.ts', "import { expect } from 'vitest';\nexport { expect };"],
  'declared-dependency': ['src/storage/borrowed.ts', "import { parse } from 'acorn';\nexport { parse };"],
  'nobody-imports-tests': ['src/telemetry/tested.ts', "export * from '../../test/double.js';"],
  'domain-stands-alone': ['src/domain/outward.ts', "export * from '../storage/ports.js';"],
  'domain-does-no-io': ['src/domain/reads.ts', "export { readFileSync } from 'node:fs';"],
  'domain-knows-no-cloud': ['src/records/cloud.ts', "export type { TableClient } from '@azure/data-tables';"],
  'records-declare': ['src/records/stores.ts', "export * from '../storage/ports.js';"],
  'storage-looks-inwards': ['src/storage/outward.ts', "export * from '../audit/sealer.js';"],
  'business-manager-knows-records': [
    'src/storage/business-storage-manager.ts',
    "export * from '../audit/sealer.js';",
  ],
  'audit-uses-storage': ['src/audit/serves.ts', "export * from '../http/handle.js';"],
  'verifier-stands-alone': ['src/audit/verifier/keeps.ts', "export * from '../sealer.js';"],
  'verifier-runs-in-browsers': ['src/audit/verifier/hashes.ts', "export { createHash } from 'node:crypto';"],
  'lifecycle-uses-storage': ['src/lifecycle/asks.ts', "export * from '../audit/sealer.js';"],
  'security-uses-storage': ['src/security/stores.ts', "export * from '../audit/sealer.js';"],
  'telemetry-looks-inwards': ['src/telemetry/asks.ts', "export * from '../audit/sealer.js';"],
  'http-delegates': ['src/http/queues.ts', "export * from '../queue/handler.js';"],
  'queue-delegates': ['src/queue/serves.ts', "export * from '../http/handle.js';"],
  'cli-delegates': ['src/cli/serves.ts', "export * from '../http/handle.js';"],
  'cli-is-handed-the-machine': ['src/cli/bin.ts', "export * from '../audit/sealer.js';"],
  'azure-implements-ports': ['src/azure/knows.ts', "export * from '../storage/keys.js';"],
  'azure-sdk-in-azure-only': ['src/audit/sdk.ts', "export { BlobServiceClient } from '@azure/storage-blob';"],
  'azure-folder-is-wired-once': ['src/queue/direct.ts', "export * from '../azure/adapter.js';"],
  'functions-sdk-at-the-edge': ['src/audit/edge.ts', "export type { HttpRequest } from '@azure/functions';"],
  'functions-bind-and-delegate': ['functions/stores.ts', "export * from '../src/storage/ports.js';"],
  'local-stays-local': ['src/local/stores.ts', "export * from '../audit/sealer.js';"],
  'nobody-imports-local': ['src/http/local.ts', "export * from '../local/host.js';"],
  'platform-knows-no-cloud': ['src/platform.ts', "export * from './azure/adapter.js';"],
  'composition-is-the-top': ['src/http/wired.ts', "export * from '../composition.js';"],
  'platform-is-wired-above': ['src/http/whole.ts', "export * from '../platform.js';"],
  'machine-is-handed-in': ['src/audit/clock.ts', "export * from '../system.js';"],
};

/** What the planted files import. */
const BYSTANDERS: Readonly<Record<string, string>> = {
  'src/domain/b.ts': "import { a } from './a.js';\nexport const b = (): unknown => a;",
  'src/storage/ports.ts': 'export const ports = 1;',
  'src/storage/keys.ts': 'export const keys = 1;',
  'src/audit/sealer.ts': 'export const sealer = 1;',
  'src/http/handle.ts': 'export const handle = 1;',
  'src/queue/handler.ts': 'export const handler = 1;',
  'src/azure/adapter.ts': 'export const adapter = 1;',
  'src/local/host.ts': 'export const host = 1;',
  'src/system.ts': 'export const system = 1;',
  'src/composition.ts': 'export const composition = 1;',
  'test/double.ts': 'export const double = 1;',
};

describe('import rules', () => {
  const planted = mkdtempSync(join(tmpdir(), 'business-records-imports-'));
  afterAll(() => rmSync(planted, { recursive: true, force: true }));

  it('hold in this repository', () => {
    expect(violations(ROOT)).toEqual([]);
  });

  it('are each found broken where a violation is planted', () => {
    const files = { ...BYSTANDERS, ...Object.fromEntries(Object.values(PLANTED)) };
    for (const [path, code] of Object.entries(files)) {
      mkdirSync(dirname(join(planted, path)), { recursive: true });
      writeFileSync(join(planted, path), code);
    }
    for (const name of ['.dependency-cruiser.cjs', 'package.json', 'tsconfig.json']) {
      copyFileSync(join(ROOT, name), join(planted, name));
    }
    symlinkSync(join(ROOT, 'node_modules'), join(planted, 'node_modules'));
    const found = violations(planted).map(({ rule, from }) => `${rule}: ${from}`);
    const expected = Object.entries(PLANTED).map(([rule, [path]]) => `${rule}: ${path}`);
    expect(Object.keys(PLANTED).sort()).toEqual([...ruleNames()].sort());
    expect(expected.filter((finding) => !found.includes(finding))).toEqual([]);
  });
});
