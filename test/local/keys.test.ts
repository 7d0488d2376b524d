import { execFile } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import ts from 'typescript';
import { afterAll, describe, expect, it } from 'vitest';
import { makeDataDir } from '../../src/local/data-dir.js';
import { loadKeys } from '../../src/local/keys.js';
import { ROOT, removeFolders, temporaryFolder } from './support.js';

afterAll(removeFolders);

const GIVEN = { CURSOR_KEY: 'c', WRAPPING_KEY: 'w', AUDIT_SIGNING_KEY: 's' };
const mode = (path: string): number => statSync(path).mode & 0o777;

describe('keys', () => {
  it('are made on first run, for their owner only, and are the same ever after', async () => {
    const dataDir = join(temporaryFolder(), 'new', 'data');
    const keys = await loadKeys(dataDir, {});
    expect(Buffer.from(keys.CURSOR_KEY ?? '', 'base64')).toHaveLength(32);
    expect(Buffer.from(keys.WRAPPING_KEY ?? '', 'base64')).toHaveLength(32);
    expect(keys.CURSOR_KEY).not.toBe(keys.WRAPPING_KEY);
    expect(createPrivateKey(keys.AUDIT_SIGNING_KEY ?? '').asymmetricKeyType).toBe('ed25519');
    expect([mode(dataDir), mode(join(dataDir, 'keys.json'))]).toEqual([0o700, 0o600]);
    expect(readdirSync(dataDir)).toEqual(['keys.json']);
    expect(await loadKeys(dataDir, {})).toEqual(keys);
  });

  it('of the environment win and are never written', async () => {
    const dataDir = temporaryFolder();
    const keys = await loadKeys(dataDir, { CURSOR_KEY: 'from the environment' });
    expect(Object.keys(keys).sort()).toEqual(['AUDIT_SIGNING_KEY', 'WRAPPING_KEY']);
    expect(readFileSync(join(dataDir, 'keys.json'), 'utf8')).not.toContain('from the environment');
    const all = await loadKeys(dataDir, { CURSOR_KEY: '' });
    expect(all).toMatchObject(keys);
    expect(Object.keys(all)).toHaveLength(3);
  });

  it('that are all given need no file and no folder', async () => {
    const dataDir = join(temporaryFolder(), 'data');
    expect(await loadKeys(dataDir, GIVEN)).toEqual({});
    expect(existsSync(dataDir)).toBe(false);
  });

  it.each([0o640, 0o604, 0o644])('in a file of mode %o are refused', async (wide) => {
    const dataDir = temporaryFolder();
    await loadKeys(dataDir, {});
    chmodSync(join(dataDir, 'keys.json'), wide);
    await expect(loadKeys(dataDir, {})).rejects.toMatchObject({
      name: 'StartError',
      message: expect.stringMatching(/keys\.json can be read by others: run chmod 600/),
    });
    expect(await loadKeys(dataDir, GIVEN)).toEqual({});
  });

  it.each([
    ['empty', ''],
    ['not JSON', '{"CURSOR_KEY": "topsecret'],
    ['not an object', 'null'],
    ['without a key', '{"CURSOR_KEY":"YQ=="}'],
    [
      'with a signing key of another kind',
      JSON.stringify({
        CURSOR_KEY: Buffer.alloc(32).toString('base64'),
        WRAPPING_KEY: Buffer.alloc(32).toString('base64'),
        AUDIT_SIGNING_KEY: 'topsecret',
      }),
    ],
  ])('in a file that is %s are refused in one line that quotes nothing', async (_what, text) => {
    const dataDir = temporaryFolder();
    writeFileSync(join(dataDir, 'keys.json'), text, { mode: 0o600 });
    const error = await loadKeys(dataDir, {}).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      name: 'StartError',
      message: expect.stringMatching(/keys\.json is damaged/),
    });
    expect((error as Error).message).not.toMatch(/topsecret|\n/);
    expect(readFileSync(join(dataDir, 'keys.json'), 'utf8')).toBe(text);
  });

  it('are the same in all of several processes that start at once', async () => {
    const build = temporaryFolder();
    writeFileSync(join(build, 'package.json'), '{"type":"module"}');
    for (const name of ['keys', 'data-dir', 'settings', 'start-error']) {
      const { outputText } = ts.transpileModule(readFileSync(join(ROOT, `src/local/${name}.ts`), 'utf8'), {
        compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
      });
      writeFileSync(join(build, `${name}.js`), outputText);
    }
    // Each waits for the same moment, so that they meet.
    const script = `
      import { loadKeys } from ${JSON.stringify(join(build, 'keys.js'))};
      const [dataDir, at] = process.argv.slice(-2);
      while (Date.now() < Number(at)) {}
      console.log(JSON.stringify(await loadKeys(dataDir, {})));`;
    for (let round = 0; round < 3; round += 1) {
      const dataDir = join(temporaryFolder(), 'data');
      const at = String(Date.now() + 500);
      const runs = await Promise.all(
        [1, 2, 3].map(() =>
          promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, '--', dataDir, at]),
        ),
      );
      const answers = new Set(runs.map(({ stdout }) => stdout));
      expect(answers.size).toBe(1);
      expect(JSON.parse([...answers][0] ?? '')).toEqual(
        JSON.parse(readFileSync(join(dataDir, 'keys.json'), 'utf8')) as unknown,
      );
      expect(readdirSync(dataDir)).toEqual(['keys.json']);
    }
  });
});

describe('the data folder', () => {
  it('that is there keeps its permissions', async () => {
    const folder = join(temporaryFolder(), 'mine');
    mkdirSync(folder, { mode: 0o755 });
    await makeDataDir(folder);
    expect(mode(folder)).toBe(0o755);
  });

  it('is refused when a file is in its place', async () => {
    const path = join(temporaryFolder(), 'file');
    writeFileSync(path, '');
    await expect(makeDataDir(path)).rejects.toThrow(`DATA_DIR ${path} is not a folder`);
    await expect(makeDataDir(join(path, 'below'))).rejects.toThrow(/DATA_DIR .* cannot be made: ENOTDIR/);
  });

  // Permissions do not bind root.
  it.skipIf(process.getuid?.() === 0)('is refused when it cannot be written', async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o500);
    await expect(makeDataDir(folder)).rejects.toThrow(`DATA_DIR ${folder} is not writable`);
    chmodSync(folder, 0o700);
  });
});
