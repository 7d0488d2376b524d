import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../local/support.js';

/** A command that a page shows. */
export interface Example {
  /** As it is written, without its `$`; it may have several lines. */
  readonly command: string;
  /** Lines of what it prints, as the page has them. */
  readonly shown: readonly string[];
}

/** Commands of a page's console blocks, each with what it shows. */
export function examples(page: string): readonly Example[] {
  const text = readFileSync(join(ROOT, page), 'utf8');
  const found: Example[] = [];
  for (const [, block = ''] of text.matchAll(/^```console\n(.*?)^```/gms)) {
    for (const part of block.split(/^\$ /m).slice(1)) {
      const [, command = '', output = ''] = /^((?:[^\n]*\\\n)*[^\n]*\n)(.*)$/s.exec(part) ?? [];
      found.push({ command, shown: output.split('\n').filter((line) => line.trim() !== '') });
    }
  }
  return found;
}

/** A line with what differs from run to run made equal: ids, times, hashes. */
const masked = (line: string): string =>
  line
    .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<uuid>')
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, '<time>')
    .replaceAll(/[0-9a-f]{24,64}/g, '<hash>')
    .replaceAll(/[A-Za-z0-9+/]{43}=/g, '<hash>')
    .trim();

/** True when a line of an answer is what is shown, where an ellipsis stands for anything. */
export function isShown(line: string, shown: string): boolean {
  const parts = masked(shown).split('…');
  const escaped = parts.map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${escaped.join('.*')}$`, 'i').test(masked(line));
}
