import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { read, ROOT } from './support.js';

interface Locked {
  readonly version: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly license?: string;
  readonly hasInstallScript?: boolean;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
}

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly scarfSettings?: { readonly enabled: boolean };
}

const MANIFEST = JSON.parse(read('package.json')) as Manifest;
const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, Locked> };
const LOCKED = Object.entries(packages).filter(([path]) => path !== '');
const PRODUCTION = LOCKED.filter(([, { dev, devOptional }]) => dev !== true && devOptional !== true);

const nameOf = (path: string): string => path.replace(/^.*node_modules\//, '');

/** Licences that ask for no more than to be named with the code, which `npm run package` does. */
const LICENCES = [
  'MIT',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  '0BSD',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'Python-2.0',
  'Unlicense',
];

/** Production packages whose manifest does not say an SPDX id, and what their licence is found to be. */
const OTHER_LICENCES: Readonly<Record<string, { readonly said: string; readonly is: string }>> = {
  // Of Azurite. Its README: public domain, to modify and re-license for any purpose, without restriction.
  'uri-templates': { said: 'http://geraintluff.github.io/tv4/LICENSE.txt', is: 'public domain' },
};

/** Production packages that run a program when they are installed, and why that is borne. */
const INSTALL_SCRIPTS: Readonly<Record<string, string>> = {
  '@scarf/scarf': 'counts installs of swagger-ui-dist; scarfSettings in package.json switches it off',
};

/** What a package says its licence is, in the lock or else where it is installed. */
function licenceOf(path: string, { license }: Locked): string {
  if (license !== undefined) return license;
  const file = join(ROOT, path, 'package.json');
  if (!existsSync(file)) return 'not stated, and not installed here';
  return (JSON.parse(readFileSync(file, 'utf8')) as Manifest).license ?? 'not stated';
}

describe('what is installed', () => {
  it('is named exactly: every direct dependency is one version', () => {
    const direct = Object.entries({ ...MANIFEST.dependencies, ...MANIFEST.devDependencies });
    expect(direct.length).toBeGreaterThan(20);
    expect(direct.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([]);
    const other = direct.filter(([name, version]) => packages[`node_modules/${name}`]?.version !== version);
    expect(other).toEqual([]);
  });

  it('is locked by its content and not by where it came from', () => {
    expect(LOCKED.length).toBeGreaterThan(PRODUCTION.length);
    expect(LOCKED.filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
    const weak = LOCKED.filter(([, { integrity = '' }]) => !/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity));
    expect(weak).toEqual([]);
  });

  it('has in production a licence that we may distribute under', () => {
    const others = PRODUCTION.map(([path, locked]) => [nameOf(path), licenceOf(path, locked)] as const)
      .filter(([, licence]) => !LICENCES.includes(licence))
      .filter(([name, licence]) => OTHER_LICENCES[name]?.said !== licence);
    expect(others).toEqual([]);
  });

  it('runs no program in production when it is installed, but those that are known', () => {
    const scripts = PRODUCTION.filter(([, { hasInstallScript }]) => hasInstallScript === true);
    expect(scripts.map(([path]) => nameOf(path)).sort()).toEqual(Object.keys(INSTALL_SCRIPTS).sort());
    expect(MANIFEST.scarfSettings).toEqual({ enabled: false });
  });

  it('has no exception that nobody needs', () => {
    const names = PRODUCTION.map(([path]) => nameOf(path));
    expect(Object.keys(OTHER_LICENCES).filter((name) => !names.includes(name))).toEqual([]);
  });
});

/** Of the CycloneDX 1.6 JSON schema: the members we write, what each must have and may be. */
const LICENCE_CHOICE = {
  type: 'array',
  minItems: 1,
  items: {
    oneOf: [
      {
        type: 'object',
        required: ['license'],
        additionalProperties: false,
        properties: {
          license: {
            type: 'object',
            oneOf: [{ required: ['id'] }, { required: ['name'] }],
            additionalProperties: false,
            properties: { id: { enum: LICENCES }, name: { type: 'string' } },
          },
        },
      },
      {
        type: 'object',
        required: ['expression'],
        additionalProperties: false,
        properties: { expression: { type: 'string' } },
      },
    ],
  },
};
const COMPONENT = {
  type: 'object',
  required: ['type', 'name', 'version', 'bom-ref', 'purl', 'licenses'],
  additionalProperties: false,
  properties: {
    type: { enum: ['application', 'library'] },
    'bom-ref': { type: 'string', minLength: 1 },
    group: { type: 'string', pattern: '^@' },
    name: { type: 'string', pattern: '^[^@/]+$' },
    version: { type: 'string', pattern: '^\\d+\\.\\d+\\.\\d+' },
    scope: { enum: ['required', 'optional', 'excluded'] },
    hashes: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        required: ['alg', 'content'],
        additionalProperties: false,
        properties: { alg: { const: 'SHA-512' }, content: { type: 'string', pattern: '^[0-9a-f]{128}$' } },
      },
    },
    licenses: LICENCE_CHOICE,
    purl: { type: 'string', pattern: '^pkg:npm/(%40[^/@]+/)?[^/@]+@[^/@]+$' },
  },
};
const BILL = {
  type: 'object',
  required: ['bomFormat', 'specVersion', 'serialNumber', 'version', 'metadata', 'components', 'dependencies'],
  additionalProperties: false,
  properties: {
    $schema: { const: 'http://cyclonedx.org/schema/bom-1.6.schema.json' },
    bomFormat: { const: 'CycloneDX' },
    specVersion: { const: '1.6' },
    serialNumber: { type: 'string', pattern: '^urn:uuid:[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' },
    version: { type: 'integer', minimum: 1 },
    metadata: {
      type: 'object',
      required: ['component'],
      additionalProperties: false,
      properties: { component: COMPONENT },
    },
    components: {
      type: 'array',
      uniqueItems: true,
      items: { ...COMPONENT, required: [...COMPONENT.required, 'hashes', 'scope'] },
    },
    dependencies: {
      type: 'array',
      uniqueItems: true,
      items: {
        type: 'object',
        required: ['ref', 'dependsOn'],
        additionalProperties: false,
        properties: {
          ref: { type: 'string', minLength: 1 },
          dependsOn: { type: 'array', uniqueItems: true, items: { type: 'string', minLength: 1 } },
        },
      },
    },
  },
};

interface Bill {
  readonly metadata: { readonly component: { readonly 'bom-ref': string; readonly version: string } };
  readonly components: readonly {
    readonly 'bom-ref': string;
    readonly purl: string;
    readonly version: string;
    readonly hashes: readonly { readonly content: string }[];
    readonly licenses: readonly unknown[];
  }[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

const SCRIPT = join(ROOT, 'scripts', 'sbom.mjs');

function run(...args: readonly string[]) {
  // Elsewhere and without an environment: it reads the lock and nothing besides.
  return spawnSync(process.execPath, [SCRIPT, ...args], { cwd: tmpdir(), env: {}, encoding: 'utf8' });
}

describe('npm run sbom', () => {
  const text = run('--print').stdout;
  const bill = JSON.parse(text) as Bill;
  const refs = bill.components.map((component) => component['bom-ref']);

  it('writes what CycloneDX 1.6 asks for', () => {
    const ajv = new Ajv2020({ allErrors: true, strictRequired: false });
    expect(ajv.validate(BILL, bill) ? [] : ajv.errors).toEqual([]);
  });

  it('names every package that is installed for production, once for each version, and no other', () => {
    const expected = PRODUCTION.map(
      ([path, { version }]) => `pkg:npm/${nameOf(path).replace('@', '%40')}@${version}`,
    );
    expect(refs).toEqual([...new Set(expected)].sort());
    expect(bill.components.map(({ purl }) => purl)).toEqual(refs);
  });

  it('has the hash and the licence of the lock', () => {
    const zod = packages['node_modules/zod'];
    const component = bill.components.find(({ purl }) => purl.startsWith('pkg:npm/zod@'));
    expect(component).toMatchObject({ version: zod?.version, licenses: [{ license: { id: 'MIT' } }] });
    const [hash] = component?.hashes ?? [];
    expect(`sha512-${Buffer.from(hash?.content ?? '', 'hex').toString('base64')}`).toBe(zod?.integrity);
  });

  it('tells what needs what: everything is needed by something that the app needs', () => {
    const needs = new Map(bill.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
    const app = bill.metadata.component['bom-ref'];
    expect([...needs.keys()].sort()).toEqual([...refs, app].sort());
    const direct = Object.entries(MANIFEST.dependencies).map(
      ([name, version]) => `pkg:npm/${name.replace('@', '%40')}@${version}`,
    );
    expect(needs.get(app)).toEqual(direct.sort());
    const reached = new Set<string>();
    const left = [app];
    for (let ref = left.pop(); ref !== undefined; ref = left.pop()) {
      if (reached.has(ref)) continue;
      reached.add(ref);
      left.push(...(needs.get(ref) ?? []));
    }
    expect([...reached].sort()).toEqual([...refs, app].sort());
  });

  it('writes the same bytes from the same lock, to the file that is named', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sbom-'));
    try {
      const file = join(folder, 'bill.json');
      expect(run('--out', file).status).toBe(0);
      expect(readFileSync(file, 'utf8')).toBe(text);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('refuses an argument it does not know', () => {
    const { status, stderr } = run('--fast');
    expect([status, stderr]).toEqual([1, 'sbom: usage: npm run sbom -- [--print | --out FILE]\n']);
  });
});
