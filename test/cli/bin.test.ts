import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { read, ROOT } from '../architecture/support.js';
import { documentOf, sample } from '../audit/log/proof-documents.js';
import { bundled } from './bundle.js';

/** The source of what package.json names in the build. */
function sourceOf(built: string): string {
  return built.replace(/^(\.\/)?dist\//, '').replace(/(\.d\.ts|\.js)$/, '.ts');
}

describe('the command as a process', () => {
  const folder = mkdtempSync(join(tmpdir(), 'business-records-cli-'));
  const made = sample();
  const { bin, exports } = JSON.parse(read('package.json')) as {
    bin: Record<string, string>;
    exports: Record<string, string | Record<string, string>>;
  };
  const command = (...args: string[]): ReturnType<typeof spawnSync> =>
    spawnSync(process.execPath, [join(folder, 'bin.mjs'), ...args], { cwd: folder, encoding: 'utf8' });

  beforeAll(async () => {
    await bundled(sourceOf(bin['business-records'] as string), folder);
    writeFileSync(join(folder, 'proof.json'), await documentOf(made));
    writeFileSync(join(folder, 'changed.json'), (await documentOf(made)).replace('second', 'third'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('is named in the package, and so is the verifier', () => {
    const named = [...Object.values(bin), ...Object.values(exports).flatMap((entry) => typeof entry === 'string' ? [] : Object.values(entry))]; // prettier-ignore
    expect(named).toContain('./dist/src/audit/verifier/index.js');
    expect(named.map(sourceOf).filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
    expect(read(sourceOf(bin['business-records'] as string))).toMatch(/^#!\/usr\/bin\/env node\n/);
  });

  it('ends with what it found, and prints no warning', () => {
    const key = ['--vkey', made.signer.vkey];
    const yes = command('verify', 'proof.json', ...key);
    expect([yes.status, yes.stderr]).toEqual([0, '']);
    expect(yes.stdout).toContain('yes: everything holds');
    const no = command('verify', 'changed.json', ...key, '--json');
    expect([no.status, no.stderr]).toEqual([1, '']);
    expect(JSON.parse(String(no.stdout))).toMatchObject({ verdict: 'no' });
    const unknown = command('verify', 'nowhere.json', ...key);
    expect([unknown.status, unknown.stdout]).toEqual([2, '']);
    expect(unknown.stderr).toContain('business-records: cannot read nowhere.json');
  });
});
