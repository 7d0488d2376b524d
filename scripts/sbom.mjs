/**
 * `npm run sbom`: writes `sbom.cdx.json`, or what `--out FILE` names, a CycloneDX 1.6 bill of what is installed for
 * production; `--print` writes it to standard output. Made from `package-lock.json` alone, without a network, and from
 * the same lock the same bytes, which is why it has no timestamp.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

function refuse(why) {
  process.stderr.write(`sbom: ${why}\n`);
  process.exit(1);
}

/** Undefined: standard output. */
function outFile() {
  const args = process.argv.slice(2);
  if (args.length === 0) return join(root, 'sbom.cdx.json');
  if (args.length === 1 && args[0] === '--print') return undefined;
  if (args.length !== 2 || args[0] !== '--out') refuse('usage: npm run sbom -- [--print | --out FILE]');
  return resolve(args[1]);
}

const lockText = readFileSync(join(root, 'package-lock.json'), 'utf8');
const { packages } = JSON.parse(lockText);

/** `node_modules/a/node_modules/@b/c` is `@b/c`. */
const nameOf = (path) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
const byText = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

/** https://github.com/package-url/purl-spec, type npm: the `@` of a scope is encoded. */
const purlOf = (name, version) => `pkg:npm/${name.replace(/^@/, '%40')}@${version}`;

/** `sha512-<base64>` of the lock, as the specification writes hashes. */
function hashesOf(path, integrity) {
  if (integrity === undefined) refuse(`the lock has no integrity of ${path}`);
  return integrity.split(/\s+/).map((one) => {
    const [, bits, base64] = /^sha(256|384|512)-(.+)$/.exec(one) ?? refuse(`an unknown hash of ${path}`);
    return { alg: `SHA-${bits}`, content: Buffer.from(base64, 'base64').toString('hex') };
  });
}

/** An SPDX id, an SPDX expression, or whatever a package calls its licence. */
function licencesOf(licence) {
  if (licence === undefined) return [];
  if (/^[A-Za-z0-9.-]+$/.test(licence)) return [{ license: { id: licence } }];
  if (/ (OR|AND|WITH) /.test(licence)) return [{ expression: licence.replace(/^\((.*)\)$/, '$1') }];
  return [{ license: { name: licence } }];
}

function componentOf(path) {
  const { version, integrity, license, optional } = packages[path];
  const name = nameOf(path);
  const purl = purlOf(name, version);
  const [group, bare] = name.startsWith('@') ? name.split('/') : [undefined, name];
  return {
    type: 'library',
    'bom-ref': purl,
    ...(group === undefined ? {} : { group }),
    name: bare,
    version,
    scope: optional ? 'optional' : 'required',
    hashes: hashesOf(path, integrity),
    licenses: licencesOf(license),
    purl,
  };
}

/** Where Node finds a package from one that is installed at `path`; undefined when it is not there. */
function found(path, name) {
  for (let from = path; ; from = from.slice(0, Math.max(0, from.lastIndexOf('/node_modules/')))) {
    const at = from === '' ? `node_modules/${name}` : `${from}/node_modules/${name}`;
    if (packages[at] !== undefined) return at;
    if (from === '') return undefined;
  }
}

const refOf = (path) =>
  path === ''
    ? purlOf(packages[''].name, packages[''].version)
    : purlOf(nameOf(path), packages[path].version);

/** Refs of what a package asks for and gets. Optional ones and peers may be missing, others not. */
function neededBy(path) {
  const { dependencies = {}, optionalDependencies = {}, peerDependencies = {} } = packages[path];
  const maybe = { ...optionalDependencies, ...peerDependencies };
  return [...new Set([...Object.keys(dependencies), ...Object.keys(maybe)])].flatMap((name) => {
    const at = found(path, name);
    if (at === undefined && maybe[name] === undefined) refuse(`the lock has no ${name} for ${path}`);
    return at === undefined || packages[at].dev || packages[at].devOptional ? [] : [refOf(at)];
  });
}

/** One entry for each package and version, wherever and how often it is installed. */
function bill() {
  const paths = Object.keys(packages).filter((path) => path !== '' && !packages[path].dev && !packages[path].devOptional); // prettier-ignore
  const components = new Map();
  const needs = new Map();
  for (const path of ['', ...paths]) {
    const ref = refOf(path);
    if (path !== '') {
      const component = componentOf(path);
      const known = components.get(ref);
      if (known === undefined || component.scope === 'required') components.set(ref, component);
    }
    needs.set(ref, new Set([...(needs.get(ref) ?? []), ...neededBy(path)]));
  }
  const { name, version, license } = packages[''];
  const digest = createHash('sha256').update(lockText).digest('hex');
  // RFC 9562, version 8: of the lock's own digest.
  const uuid = [digest.slice(0, 8), digest.slice(8, 12), `8${digest.slice(13, 16)}`, `8${digest.slice(17, 20)}`, digest.slice(20, 32)].join('-'); // prettier-ignore
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuid}`,
    version: 1,
    metadata: {
      component: {
        type: 'application',
        'bom-ref': refOf(''),
        name,
        version,
        licenses: licencesOf(license),
        purl: refOf(''),
      },
    },
    components: [...components.values()].sort((a, b) => byText(a.purl, b.purl)),
    dependencies: [...needs]
      .map(([ref, refs]) => ({ ref, dependsOn: [...refs].sort(byText) }))
      .sort((a, b) => byText(a.ref, b.ref)),
  };
}

const out = outFile();
const text = `${JSON.stringify(bill(), null, 2)}\n`;
if (out === undefined) process.stdout.write(text);
else writeFileSync(out, text);
