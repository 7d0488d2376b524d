/**
 * What `npm start` runs: builds if the sources changed since the last build, then runs the platform in this very
 * process, so that signals reach it. Plain JavaScript, because it runs before there is a build.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(root, 'dist');
const entry = join(dist, 'src', 'local', 'main.js');
const stamp = join(dist, '.build-stamp');
const lock = join(root, '.build-lock');
const LOCK_WAIT_MS = 120_000;

// npm runs a script in a shell, and on many systems that shell does not pass a signal on: it dies of it, and all we
// see is that we have become somebody else's child. Not watched outside npm, where a parent may leave us running.
if (process.env.npm_lifecycle_event !== undefined) {
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    process.kill(process.pid, 'SIGTERM');
  }, 200);
  watch.unref();
}

/** Says why in one line and ends. */
function refuse(why) {
  process.stderr.write(`business-records: ${why}\n`);
  process.exit(1);
}

/** Path, time and size of every file below a path, one a line. */
function listing(path) {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return '';
  if (!found.isDirectory()) return `${path} ${found.mtimeMs} ${found.size}\n`;
  return readdirSync(path)
    .sort()
    .map((name) => listing(join(path, name)))
    .join('');
}

/** What the build depends on, as one comparable text; a deleted or restored file changes it too. */
function sources() {
  const configs = readdirSync(root).filter((name) => /^(?:package|tsconfig.*)\.json$/.test(name));
  const files = ['src', 'functions', ...configs].map((name) => listing(join(root, name)));
  return createHash('sha256').update(files.join('')).digest('hex');
}

function isFresh() {
  // A package that came without its sources has nothing to build from.
  if (!existsSync(join(root, 'tsconfig.build.json'))) return existsSync(entry);
  return existsSync(entry) && existsSync(stamp) && readFileSync(stamp, 'utf8') === sources();
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Makes the lock folder together with its owner's pid in one step; false when somebody has it. */
function tryLock() {
  const draft = join(dist, `.build-lock-${process.pid}`);
  mkdirSync(draft, { recursive: true });
  writeFileSync(join(draft, 'pid'), String(process.pid));
  try {
    renameSync(draft, lock);
    return true;
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    if (!['ENOTEMPTY', 'EEXIST', 'EPERM'].includes(error.code)) throw error;
    return false;
  }
}

function ownerOf(folder) {
  try {
    return Number(readFileSync(join(folder, 'pid'), 'utf8'));
  } catch {
    return undefined;
  }
}

/** The living process that holds the lock; a dead one's lock is moved away first, so that only one takes it over. */
function holder() {
  const pid = ownerOf(lock);
  if (pid === undefined || isAlive(pid)) return pid;
  const aside = join(dist, `.build-lock-stale-${process.pid}`);
  try {
    renameSync(lock, aside);
    // Between our look and our move somebody may have taken it over: give it back.
    if (ownerOf(aside) !== pid) renameSync(aside, lock);
    rmSync(aside, { recursive: true, force: true });
  } catch {
    // Somebody else was faster.
  }
  return undefined;
}

/** Runs the compiler; a signal ends it, and us. */
async function compile() {
  // Without the entry the compiler's memory of what it wrote is wrong.
  if (!existsSync(entry)) rmSync(join(dist, '.tsbuildinfo'), { force: true });
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  if (!existsSync(tsc)) return 'typescript is not installed: run npm ci';
  const child = spawn(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--pretty', 'false'], {
    cwd: root,
    // What the compiler says about the sources belongs to the failure, not to the output of the platform.
    stdio: ['ignore', process.stderr, process.stderr],
  });
  let interrupted = false;
  const stop = () => {
    interrupted = true;
    child.kill();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  const code = await new Promise((resolve) => child.once('error', () => resolve(1)).once('exit', resolve));
  process.off('SIGINT', stop).off('SIGTERM', stop);
  if (interrupted) return 'interrupted';
  return code === 0 ? undefined : 'the build failed';
}

/** Builds once, however many start at the same time. */
async function build() {
  const end = Date.now() + LOCK_WAIT_MS;
  while (!isFresh()) {
    if (!tryLock()) {
      const pid = holder();
      if (Date.now() > end) refuse(`process ${pid} has been building for too long: remove ${lock}`);
      await sleep(100);
      continue;
    }
    // Read before the compiler reads: a change made while it runs makes the next start build again.
    const built = sources();
    let failure;
    try {
      if (isFresh()) continue;
      failure = await compile();
      if (failure === undefined) writeFileSync(stamp, built);
    } finally {
      rmSync(lock, { recursive: true, force: true });
    }
    if (failure === 'interrupted') process.exit(0);
    if (failure !== undefined) refuse(failure);
    return;
  }
}

try {
  await build();
} catch (error) {
  refuse(`the build failed: ${error.message}`);
}
let platform;
try {
  platform = await import(pathToFileURL(entry).href);
} catch (error) {
  refuse(`the build cannot be loaded: ${error.message.split('\n')[0]}`);
}
await platform.main(root);
