/** JSON of a parsed value, however deep: `JSON.stringify` gives up some thousand levels down, a sender need not. */
export function jsonText(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    return deepText(value);
  }
}

function deepText(root: unknown): string {
  const written: string[] = [];
  /** What is left to write, the next at the end: text as it is, or a value. */
  const left: (readonly [text: string] | readonly [text: undefined, value: unknown])[] = [[undefined, root]];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const [text, value] = next;
    if (text !== undefined || typeof value !== 'object' || value === null) {
      written.push(text ?? JSON.stringify(value));
      continue;
    }
    const list = Array.isArray(value);
    written.push(list ? '[' : '{');
    left.push([list ? ']' : '}']);
    const members = Object.entries(value);
    for (let at = members.length - 1; at >= 0; at -= 1) {
      const [name, member] = members[at] as [string, unknown];
      left.push([undefined, member], [`${at === 0 ? '' : ','}${list ? '' : `${JSON.stringify(name)}:`}`]);
    }
  }
  return written.join('');
}
