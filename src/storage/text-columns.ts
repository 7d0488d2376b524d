import type { Properties } from './ports.js';

/** Of a property's 32,768 UTF-16 code units. */
const CHUNK = 32_000;

/** A long text as properties of a row. */
export function textColumns(name: string, text: string): Properties {
  const columns: Record<string, string> = {};
  for (let from = 0, at = 0; from < text.length || at === 0; at += 1) {
    let to = Math.min(from + CHUNK, text.length);
    // Half a surrogate pair has no UTF-8.
    if (to < text.length && /[\uD800-\uDBFF]/.test(text[to - 1] as string)) to -= 1;
    columns[`${name}_${String(at)}`] = text.slice(from, to);
    from = to;
  }
  return columns;
}

/** The text that `textColumns` wrote; empty where there is none. */
export function textOf(name: string, properties: Properties): string {
  let text = '';
  for (let at = 0; ; at += 1) {
    const chunk = properties[`${name}_${String(at)}`];
    if (typeof chunk !== 'string') return text;
    text += chunk;
  }
}
