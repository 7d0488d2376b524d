/**
 * `npm run check:openapi`: builds the OpenAPI document from the record declarations and has redocly lint it; any
 * finding fails. `--print` writes the document instead, for clients that are generated without a running platform.
 */
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
/** Inside the package, where its dependencies are found. */
const scratch = join(root, 'node_modules', '.cache', 'business-records', `openapi-${process.pid}`);
const ENTRY = `
export { buildDocument } from './src/http/openapi/document.js';
export { RECORD_TYPES } from './src/records/registry.js';
`;

/** Compiled on the fly, so that no stale build changes the result. */
async function documentText() {
  const outfile = join(scratch, 'document.mjs');
  await build({
    stdin: { contents: ENTRY, resolveDir: root, loader: 'ts' },
    outfile,
    bundle: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    logLevel: 'warning',
  });
  const { buildDocument, RECORD_TYPES } = await import(pathToFileURL(outfile).href);
  return JSON.stringify(buildDocument(RECORD_TYPES), null, 2);
}

/** What redocly says, and whether it has nothing to complain about. It asks nothing of the network. */
function lint(file) {
  const cli = createRequire(import.meta.url).resolve('@redocly/cli/bin/cli.js');
  const args = [cli, 'lint', file, '--config', join(root, 'redocly.yaml'), '--format', 'stylish'];
  const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };
  return spawnSync(process.execPath, args, { cwd: scratch, env, encoding: 'utf8' });
}

try {
  mkdirSync(scratch, { recursive: true });
  const text = await documentText();
  if (process.argv.includes('--print')) process.stdout.write(`${text}\n`);
  else {
    const file = join(scratch, 'openapi.json');
    writeFileSync(file, text);
    const { status, stdout, stderr } = lint(file);
    if (status !== 0) {
      process.stderr.write(`${stdout}\n${stderr}`);
      process.exitCode = 1;
    }
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
