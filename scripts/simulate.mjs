/**
 * Runs schedules of the simulation (docs/testing.md): `npm run simulate -- --schedules N --seed S`. Schedules are
 * numbered from the seed on and shared among as many processes as there are cores; a schedule depends on its number
 * alone, so `--schedules 1 --seed F` runs schedule F again exactly, and `--trace` tells it call by call.
 */
import { fork } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
/** Inside the package, where its dependencies are found; each run has its own. */
const cache = join(root, 'node_modules', '.cache', 'business-records');
/** Schedules that a process takes at a time. */
const SHARE = 50;
const TOLD_EVERY = 10_000;
/** In fewer schedules than that, much never happens. */
const ENOUGH = 2000;
/** Of a line of the trace, so much is shown. */
const TRACE_CHARS = 400;

const options = {
  schedules: { type: 'string', default: '1000' },
  seed: { type: 'string', default: '1' },
  jobs: { type: 'string', default: String(availableParallelism()) },
  verbose: { type: 'boolean', default: false },
  trace: { type: 'boolean', default: false },
  /** Schedules in which years pass, instead of those of hours and days. */
  years: { type: 'boolean', default: false },
};

/** A process that runs what it is sent. */
async function work(bundle, trace, years) {
  const { simulate, simulateYears } = await import(pathToFileURL(bundle).href);
  const one = years ? simulateYears : simulate;
  const tell = trace ? (line) => console.log(line.slice(0, TRACE_CHARS)) : undefined;
  process.on('message', async ({ from, to }) => {
    const counts = {};
    for (let seed = from; seed < to; seed += 1) {
      const { violations, counters } = await one(seed, { tell });
      for (const [name, count] of counters.counts) counts[name] = (counts[name] ?? 0) + count;
      if (violations.length > 0) process.send({ failed: seed, violations });
    }
    process.send({ counts, done: to - from });
  });
  process.send({ done: 0, counts: {} });
}

async function lead() {
  const { values } = parseArgs({ options });
  const first = whole('seed', values.seed);
  const end = first + whole('schedules', values.schedules);
  const jobs = Math.min(whole('jobs', values.jobs), Math.ceil((end - first) / SHARE));
  mkdirSync(cache, { recursive: true });
  const bundle = join(cache, `simulation-${process.pid}.mjs`);
  process.once('exit', () => {
    for (const file of [bundle, `${bundle}.map`]) rmSync(file, { force: true });
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  const names = await bundled(bundle, values.years);
  await run({ bundle, names, first, end, jobs, ...values });
}

/** Bundles the simulation; resolves to the names of everything that it counts. */
async function bundled(bundle, years) {
  await build({
    stdin: {
      contents:
        "export * from './simulation.ts'; export * from './simulation-names.ts'; export * from './years.ts';",
      resolveDir: join(root, 'test', 'faults'),
    },
    outfile: bundle,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    sourcemap: true,
    alias: { 'lru-cache': join(root, 'test', 'support', 'small-caches.ts') },
    logLevel: 'error',
  });
  const { FAULTS, BRANCHES, LIVES } = await import(pathToFileURL(bundle).href);
  if (years) return Object.keys(LIVES).map((name) => `life: ${name}`);
  return [...FAULTS.map((name) => `fault: ${name}`), ...BRANCHES.map((name) => `branch: ${name}`)];
}

async function run({ bundle, names, first, end, jobs, verbose, trace, years }) {
  const started = performance.now();
  const totals = Object.fromEntries(names.map((name) => [name, 0]));
  let next = first;
  let done = 0;
  let failed = 0;
  const rate = () => Math.round((1000 * done) / (performance.now() - started));
  const worker = () =>
    new Promise((resolve, reject) => {
      const child = fork(
        fileURLToPath(import.meta.url),
        ['--worker', bundle, ...(trace ? ['--trace'] : []), ...(years ? ['--years'] : [])],
        {
          execArgv: ['--enable-source-maps'],
        },
      );
      child.on('message', (said) => {
        if (said.failed !== undefined) {
          failed += 1;
          tellFailure(said, years);
          return;
        }
        const before = Math.floor(done / TOLD_EVERY);
        done += said.done;
        for (const [name, count] of Object.entries(said.counts)) totals[name] = (totals[name] ?? 0) + count;
        if (Math.floor(done / TOLD_EVERY) > before && done < end - first)
          console.log(`${done} schedules, ${failed} failed, ${rate()} a second`);
        if (next >= end) {
          child.disconnect();
          return resolve();
        }
        const to = Math.min(end, next + SHARE);
        child.send({ from: next, to });
        next = to;
      });
      child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`a worker ended with ${code}`))));
    });
  await Promise.all(Array.from({ length: jobs }, worker));
  if (verbose)
    for (const [name, count] of Object.entries(totals).sort())
      console.log(`${String(count).padStart(9)}  ${name}`);
  tellTotals(totals, done >= ENOUGH);
  console.log(`${done} schedules from seed ${first}, ${failed} failed, ${rate()} a second`);
  process.exitCode = failed === 0 ? 0 : 1;
}

function tellFailure({ failed, violations }, years) {
  const again = `npm run simulate -- --schedules 1 --seed ${failed} --trace${years ? ' --years' : ''}`;
  console.log(`seed ${failed} fails; again with: ${again}`);
  for (const violation of violations) console.log(`  ${violation}`);
}

function tellTotals(totals, enough) {
  for (const [kind, what] of [
    ['fault', 'faults'],
    ['branch', 'recoveries'],
    ['life', 'steps of lives'],
  ]) {
    const counts = Object.entries(totals).filter(([name]) => name.startsWith(`${kind}: `));
    if (counts.length === 0) continue;
    const sum = counts.reduce((all, [, count]) => all + count, 0);
    const never = counts.filter(([, count]) => count === 0).map(([name]) => name.slice(kind.length + 2));
    const left = enough && never.length > 0 ? `; never: ${never.join(', ')}` : '';
    console.log(`${sum} ${what} of ${counts.length - never.length} kinds${left}`);
  }
}

/** A number of at least 1 from the command line. */
function whole(name, text) {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  console.error(`--${name} takes a whole number above 0, not "${text}"`);
  process.exit(2);
}

const [role, bundle, ...how] = process.argv.slice(2);
await (role === '--worker' ? work(bundle, how.includes('--trace'), how.includes('--years')) : lead());
