/**
 * `npm run bench`: transpiles the sources file by file, as the build does, into a folder of its own and runs the bench
 * there, so that it works on Node 20, offline, and beside any build. What it measures is that copy: in this process, and
 * in child processes that are started from it.
 */
import { build } from 'esbuild';
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const root = join(import.meta.dirname, '..');
// Inside node_modules, so that packages are found from there and nothing that watches or lints looks at it.
const folder = join(root, 'node_modules', '.cache', 'business-records', `bench-${process.pid}`);

/** A package of its own, laid out like this one, whose main module is the function app. */
async function prepare() {
  mkdirSync(folder, { recursive: true });
  await build({
    absWorkingDir: root,
    entryPoints: ['bench/**/*.ts', 'src/**/*.ts', 'functions/**/*.ts', 'test/support/*.ts'],
    outdir: folder,
    outbase: '.',
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'warning',
  });
  copyFileSync(join(root, 'host.json'), join(folder, 'host.json'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module", "main": "functions/index.js" }\n');
}

process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

await prepare();
if (!existsSync(join(folder, 'bench', 'main.js'))) throw new Error('the bench was not built');
const { main } = await import(pathToFileURL(join(folder, 'bench', 'main.js')).href);
process.exitCode = await main({ root, folder, args: process.argv.slice(2) });
