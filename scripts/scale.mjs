/**
 * `npm run scale`: archives, disposes of and erases very many records, on a storage in memory that has a thread of its own
 * and on Azurite, and says what it took: calls of storage by kind, memory, time (docs/lifecycle-performance.md). It fails
 * where calls do not grow as records do, or memory grows with them.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');
// Inside node_modules, so that packages are found from there.
const folder = join(root, 'node_modules', '.cache', 'business-records', `scale-${process.pid}`);

process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

mkdirSync(folder, { recursive: true });
await build({
  absWorkingDir: root,
  entryPoints: ['bench/scale.ts', 'bench/memory-thread.ts'],
  outdir: folder,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  packages: 'external',
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: true,
  logLevel: 'error',
});
const { main } = await import(pathToFileURL(join(folder, 'scale.mjs')).href);
const thread = pathToFileURL(join(folder, 'memory-thread.mjs'));
process.exitCode = await main(process.argv.slice(2), thread);
