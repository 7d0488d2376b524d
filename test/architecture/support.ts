import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

export const ROOT = join(import.meta.dirname, '..', '..');

const SKIPPED = new Set([
  'node_modules',
  'dist',
  'coverage',
  '.git',
  '.data',
  '.build-lock',
  'dist-package',
  '.stryker-tmp',
]);

/** Every file below a folder of the repository, as paths from its root with forward slashes, sorted. */
export function filesBelow(folder: string): readonly string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true })
    .filter((entry) => !SKIPPED.has(entry.name))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? filesBelow(path) : [path.split(sep).join('/')];
    })
    .sort();
}

/** The text of a file, its path given from the root. */
export function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

export function lineCount(path: string): number {
  return read(path).trimEnd().split('\n').length;
}

/** A path of the repository as it is written relative to its root. */
export function fromRoot(path: string): string {
  return relative(ROOT, path).split(sep).join('/');
}

/** A line of code and where it stands. */
export interface CodeLine {
  readonly path: string;
  readonly line: number;
  readonly code: string;
}

/** The lines of a source file without comments. Good enough for searching: strings that hold `//` lose their end. */
export function codeLines(path: string): readonly CodeLine[] {
  const blank = (text: string): string => text.replace(/[^\n]/g, ' ');
  const code = read(path)
    .replace(/\/\*[\s\S]*?\*\//g, blank)
    .replace(/(?<!:)\/\/.*$/gm, '');
  return code.split('\n').map((text, at) => ({ path, line: at + 1, code: text }));
}

/** The cells of every row of every Markdown table in a text, back-ticks kept. */
export function tableRows(markdown: string): readonly (readonly string[])[] {
  return markdown
    .split('\n')
    .filter((line) => /^\|.*\|$/.test(line.trim()))
    .map((line) =>
      line
        .trim()
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim()),
    );
}

/** The text between back-ticks, or undefined. */
export function quoted(cell: string | undefined): string | undefined {
  return /`([^`]+)`/.exec(cell ?? '')?.[1];
}
