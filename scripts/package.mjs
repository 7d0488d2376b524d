/**
 * `npm run package`: makes the folder that is deployed, `dist-package/` unless `--out FOLDER` says otherwise. The app
 * and everything it imports become a few ES modules, so that a cold start reads a few files instead of a thousand:
 * nothing has to be installed where it runs. Azurite and the local host are not part of it.
 */
import { build } from 'esbuild';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const MAIN = 'functions/index.js';
/** What CommonJS packages expect of their surroundings; `@azure/functions` requires the worker's own module with it. */
const BANNER = `import { createRequire as createRequireForBundle } from 'node:module';
const require = createRequireForBundle(import.meta.url);`;

function refuse(why) {
  process.stderr.write(`package: ${why}\n`);
  process.exit(1);
}

function outFolder() {
  const args = process.argv.slice(2);
  if (args.length === 0) return join(root, 'dist-package');
  if (args.length !== 2 || args[0] !== '--out') refuse('usage: npm run package -- [--out FOLDER]');
  return resolve(args[1]);
}

/** Removes what an earlier run made; anything else in the way is somebody's. */
function clear(out) {
  if (!existsSync(out)) return;
  const ours = existsSync(join(out, MAIN)) && existsSync(join(out, 'host.json'));
  if (readdirSync(out).length > 0 && !ours) refuse(`${out} holds something that is not a package`);
  rmSync(out, { recursive: true });
}

async function bundle(out) {
  return build({
    absWorkingDir: root,
    entryPoints: { 'functions/index': 'functions/index.ts' },
    outdir: out,
    bundle: true,
    splitting: true,
    chunkNames: 'functions/chunks/[name]-[hash]',
    format: 'esm',
    platform: 'node',
    target: 'node20',
    // Names stay as they are: whoever reads a stack should find them in the sources.
    minifyWhitespace: true,
    minifySyntax: true,
    sourcemap: 'linked',
    sourcesContent: false,
    metafile: true,
    // The worker provides this module when it is required; there is no such package.
    external: ['@azure/functions-core'],
    banner: { js: BANNER },
    // Packages say their licences below, all in one file.
    legalComments: 'none',
    logLevel: 'warning',
  });
}

/** The files of `/docs` are served as they are, and looked for here (src/http/openapi/docs-files.ts). */
const DOCS_PACKAGE = 'node_modules/swagger-ui-dist';
const DOCS_FILES = [
  'swagger-ui.css',
  'swagger-ui-bundle.js',
  'favicon-32x32.png',
  'NOTICE',
  'swagger-ui-bundle.js.LICENSE.txt',
];

function copyDocs(out) {
  const folder = join(out, 'functions', 'swagger-ui');
  mkdirSync(folder);
  for (const name of DOCS_FILES) copyFileSync(join(root, DOCS_PACKAGE, name), join(folder, name));
}

/** Folders of the packages that went into the bundle, and of the one beside it, sorted. */
function bundledPackages(metafile) {
  const inputs = Object.keys(metafile.inputs).map(
    (input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0],
  );
  return [...new Set([...inputs.filter((folder) => folder !== undefined), DOCS_PACKAGE])].sort();
}

/** Name, version and licence text of every package in the bundle: most licences want to travel along. */
function licences(metafile) {
  const texts = bundledPackages(metafile).map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
    const file = readdirSync(join(root, folder)).find((entry) => /^licen[cs]e(\.|$)/i.test(entry));
    const text = file === undefined ? '' : readFileSync(join(root, folder, file), 'utf8').trim();
    return `${name} ${version}, ${license ?? 'licence not stated'}\n\n${text}`.trim();
  });
  return `${texts.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}

/** A package without dependencies whose main module is the app. */
function writeManifest(out) {
  const { name, version, license, engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const manifest = { name, version, license, private: true, type: 'module', main: MAIN, engines };
  writeFileSync(join(out, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** Source maps name sources as paths of this repository, wherever it lies. */
function nameSources(out) {
  for (const name of readdirSync(out, { recursive: true }).filter((file) => file.endsWith('.map'))) {
    const path = join(out, name);
    const map = JSON.parse(readFileSync(path, 'utf8'));
    const named = (source) =>
      relative(root, resolve(dirname(path), source))
        .split(sep)
        .join('/');
    writeFileSync(path, JSON.stringify({ ...map, sources: map.sources.map(named) }));
  }
}

/** Kibibytes of the files below a folder whose names end so, but for those of `/docs`, which nothing loads. */
function size(folder, ending) {
  return readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith(ending) && !name.includes('swagger-ui'))
    .reduce((sum, name) => sum + statSync(join(folder, name)).size / 1024, 0)
    .toFixed(0);
}

const out = outFolder();
clear(out);
mkdirSync(out, { recursive: true });
const { metafile } = await bundle(out);
nameSources(out);
copyDocs(out);
for (const name of ['host.json', 'LICENSE']) copyFileSync(join(root, name), join(out, name));
writeFileSync(join(out, 'THIRD-PARTY-LICENSES.txt'), licences(metafile));
writeManifest(out);
const shown = relative(process.cwd(), out) || '.';
process.stdout.write(`${shown}: ${size(out, '.js')} KiB of code, ${size(out, '.map')} KiB of source maps\n`);
