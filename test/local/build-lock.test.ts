import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { killAll, run, type Process } from './processes.js';
import { ROOT, removeFolders, temporaryFolder, until } from './support.js';

afterEach(killAll);
afterAll(removeFolders);

/** A compiler that writes down that it ran, takes its time, and "compiles" an app that says so. */
const COMPILER = `
  const { appendFileSync, existsSync, mkdirSync, writeFileSync } = require('node:fs');
  appendFileSync('compiled.log', 'x');
  const until = Date.now() + 300;
  const wait = () => {
    if (existsSync('hang') || Date.now() < until) return setTimeout(wait, 10);
    if (existsSync('broken')) { console.log('src/a.ts(1,1): error TS1: broken'); process.exit(2); }
    mkdirSync('dist/src/local', { recursive: true });
    writeFileSync('dist/src/local/main.js', 'export async function main() { console.log("started"); }');
  };
  wait();`;

function makePackage(): string {
  const root = temporaryFolder();
  for (const folder of ['scripts', 'src', 'functions', 'node_modules/typescript/bin'])
    mkdirSync(join(root, folder), { recursive: true });
  copyFileSync(join(ROOT, 'scripts/start.mjs'), join(root, 'scripts/start.mjs'));
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  writeFileSync(join(root, 'tsconfig.build.json'), '{}');
  writeFileSync(join(root, 'src/a.ts'), 'a');
  writeFileSync(join(root, 'src/b.ts'), 'b');
  writeFileSync(join(root, 'node_modules/typescript/bin/tsc'), COMPILER);
  return root;
}

const start = (root: string): Process => run(root, process.execPath, ['scripts/start.mjs']);
const builds = (root: string): number => readFileSync(join(root, 'compiled.log'), 'utf8').length;
const lockOf = (root: string): string => join(root, '.build-lock');

async function succeeds(process: Process): Promise<void> {
  expect([await process.exited, process.out(), process.err()]).toEqual([0, 'started\n', '']);
}

describe('npm start builds', () => {
  it('once, however many start at the same time', async () => {
    const root = makePackage();
    await Promise.all([start(root), start(root), start(root)].map(succeeds));
    expect(builds(root)).toBe(1);
    expect(existsSync(lockOf(root))).toBe(false);
  });

  it('only when a source was changed, added or removed', async () => {
    const root = makePackage();
    await succeeds(start(root));
    await succeeds(start(root));
    expect(builds(root)).toBe(1);
    utimesSync(join(root, 'src/a.ts'), 1_000, 1_000);
    await succeeds(start(root));
    expect(builds(root)).toBe(2);
    rmSync(join(root, 'src/b.ts'));
    await succeeds(start(root));
    expect(builds(root)).toBe(3);
    writeFileSync(join(root, 'tsconfig.json'), '{}');
    await succeeds(start(root));
    expect(builds(root)).toBe(4);
    await succeeds(start(root));
    expect(builds(root)).toBe(4);
  });

  it('in spite of the lock of a process that is gone', async () => {
    const root = makePackage();
    const gone = run(root, process.execPath, ['-e', '']);
    await gone.exited;
    mkdirSync(lockOf(root));
    writeFileSync(join(lockOf(root), 'pid'), String(gone.child.pid));
    await Promise.all([start(root), start(root)].map(succeeds));
    expect(builds(root)).toBe(1);
  });

  it('and says what the compiler says when it fails, again at the next start', async () => {
    const root = makePackage();
    writeFileSync(join(root, 'broken'), '');
    for (let round = 1; round <= 2; round += 1) {
      const failed = start(root);
      expect(await failed.exited).toBe(1);
      expect(failed.err()).toBe('src/a.ts(1,1): error TS1: broken\nbusiness-records: the build failed\n');
      expect(failed.out()).toBe('');
      expect(builds(root)).toBe(round);
    }
    rmSync(join(root, 'broken'));
    await succeeds(start(root));
  });

  it('and stops building when it is told to', async () => {
    const root = makePackage();
    writeFileSync(join(root, 'hang'), '');
    const interrupted = start(root);
    await until(() => existsSync(join(root, 'compiled.log')), 'the compiler runs');
    interrupted.child.kill('SIGTERM');
    expect(await interrupted.exited).toBe(0);
    expect(existsSync(lockOf(root))).toBe(false);
    rmSync(join(root, 'hang'));
    await succeeds(start(root));
  });

  it('not at all when there is nothing to build from', async () => {
    const root = makePackage();
    await succeeds(start(root));
    rmSync(join(root, 'tsconfig.build.json'));
    rmSync(join(root, 'src'), { recursive: true });
    await succeeds(start(root));
    expect(builds(root)).toBe(1);
  });

  it('and says in one line that the packages are not installed', async () => {
    const root = makePackage();
    rmSync(join(root, 'node_modules'), { recursive: true });
    const failed = start(root);
    expect([await failed.exited, failed.err()]).toEqual([
      1,
      'business-records: typescript is not installed: run npm ci\n',
    ]);
  });
});
