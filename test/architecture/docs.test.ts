import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { codeLines, filesBelow, fromRoot, lineCount, quoted, read, ROOT, tableRows } from './support.js';

const PAGES = [...filesBelow('docs'), 'README.md', 'CHANGELOG.md', 'SECURITY.md'].filter((path) =>
  path.endsWith('.md'),
);
const TEXT =
  /\.(ts|mjs|cjs|js|json|jsonc|md|yml|yaml|bicep|html)$|(^|\/)\.(gitignore|funcignore|prettierrc.*)$|^\.ci\//;

/** The anchors that a renderer makes of a page's headings. */
function anchors(path: string): readonly string[] {
  return [...read(path).matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    (heading ?? '')
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** Relative links of a page that lead nowhere. */
function brokenLinks(page: string): readonly string[] {
  const text = read(page).replace(/```[\s\S]*?```/g, '');
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link]) => link ?? '')
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? page : fromRoot(join(ROOT, dirname(page), path));
      if (!existsSync(join(ROOT, target))) return true;
      return anchor !== undefined && !anchors(target).includes(anchor);
    });
}

/** Names of the settings the app reads: the members of the schema of its environment. */
function appSettings(): readonly string[] {
  const schema = /const environment = z\.object\(\{([\s\S]*?)\n\}\);/.exec(read('src/config.ts'))?.[1] ?? '';
  return [...schema.matchAll(/^ {2}([A-Za-z_]+):/gm)].map(([, name]) => name ?? '');
}

/** Names of the settings the local host reads itself. What it hands to Azurite's own process is Azurite's. */
function localSettings(): readonly string[] {
  return filesBelow('src/local')
    .filter((path) => path !== 'src/local/azurite.ts')
    .flatMap(codeLines)
    .flatMap(({ code }) => [...code.matchAll(/\b(?:settingOf\(env, |env\[)'([A-Za-z_]+)'/g)])
    .map(([, name]) => name ?? '');
}

describe('documentation', () => {
  it.each(PAGES)('%s links only to what is there', (page) => {
    expect(brokenLinks(page)).toEqual([]);
  });

  it('keeps every page short', () => {
    expect(PAGES.filter((page) => lineCount(page) > 160)).toEqual([]);
  });

  it('leads to every page from the README or from another page', () => {
    const linked = PAGES.flatMap((page) =>
      [...read(page).matchAll(/\]\(([^)#\s]+)/g)].map(([, link]) =>
        fromRoot(join(ROOT, dirname(page), link ?? '')),
      ),
    );
    expect(PAGES.filter((page) => page !== 'README.md' && !linked.includes(page))).toEqual([]);
  });

  it('names in the threat model a test for every line, and only tests that there are', () => {
    const [, guarded = '', not = ''] =
      /^([\s\S]*)## Not protected([\s\S]*)$/.exec(read('docs/security.md')) ?? [];
    const rows = tableRows(guarded).filter(([first = '']) => !/^-+$/.test(first));
    const lines = rows.filter((cells) => cells.at(-1) !== 'test');
    expect(lines.length).toBeGreaterThan(20);
    const tests = (cell = ''): readonly string[] => [...cell.matchAll(/`(test\/[^`]+\.test\.ts)`/g)].map(([, path = '']) => path); // prettier-ignore
    expect(lines.filter((cells) => tests(cells.at(-1)).length === 0)).toEqual([]);
    const named = [...guarded.matchAll(/`(test\/[^`]+)`/g)].map(([, path = '']) => path);
    expect([...new Set(named)].filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
    expect(not.trim()).not.toBe('');
  });

  it('lists exactly the settings that are read', () => {
    const inCode = new Set([...appSettings(), ...localSettings()]);
    const listed = tableRows(read('docs/settings.md')).flatMap(([cell]) => quoted(cell) ?? []);
    expect(listed.length).toBeGreaterThan(8);
    expect([...listed].sort()).toEqual([...inCode].sort());
  });

  it('shows in local.settings.example.json only settings that exist', () => {
    const { Values } = JSON.parse(read('local.settings.example.json')) as { Values: Record<string, string> };
    const host = ['FUNCTIONS_WORKER_RUNTIME'];
    expect(Object.keys(Values).filter((name) => ![...appSettings(), ...host].includes(name))).toEqual([]);
  });

  it('names only scripts that package.json has', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const named = PAGES.flatMap((page) =>
      [...read(page).matchAll(/npm run ([a-z]+(?:[:-][a-z]+)*)/g)].map(([, name]) => name),
    );
    expect(named.filter((name) => name === undefined || scripts[name] === undefined)).toEqual([]);
  });

  it('mentions no path of anybody’s machine and no private registry', () => {
    const folders = ['home', 'root', 'Users', 'work', 'mnt', 'workspace'].join('|');
    const machine = new RegExp(`(^|[\\s"'\`(=:])/(${folders})/[\\w.-]`);
    const found = filesBelow('.')
      .filter((path) => TEXT.test(path))
      .flatMap((path) =>
        read(path)
          .split('\n')
          .flatMap((line, at) => (machine.test(line) ? [`${path}:${at + 1}`] : [])),
      );
    expect(found).toEqual([]);
    // A lock file without addresses leaves it to whoever installs where packages come from.
    expect(read('package-lock.json')).not.toMatch(/"resolved": "https?:/);
  });
});
