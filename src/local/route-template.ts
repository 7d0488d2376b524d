import { parseConstraint, type Constraint } from './route-constraints.js';
import { StartError } from './start-error.js';

export type Segment =
  | { readonly kind: 'literal'; readonly text: string }
  | {
      readonly kind: 'parameter';
      readonly name: string;
      readonly optional: boolean;
      readonly constraints: readonly Constraint[];
    }
  | { readonly kind: 'rest'; readonly name: string; readonly constraints: readonly Constraint[] };

/** Splits at `separator` where no bracket of `open` and `close` is open. */
function splitOutside(text: string, separator: string, open: string, close: string): string[] {
  const parts: string[] = [];
  let part = '';
  let depth = 0;
  for (const character of text) {
    if (character === open) depth += 1;
    if (character === close) depth -= 1;
    if (character === separator && depth === 0) {
      parts.push(part);
      part = '';
    } else part += character;
  }
  return [...parts, part];
}

function parseSegment(text: string, template: string): Segment {
  if (!/[{}]/.test(text)) return { kind: 'literal', text: text.toLowerCase() };
  const match = /^\{(\*{0,2})([A-Za-z_][\w-]*)((?::.+)?)\}$/s.exec(text.replace(/\?\}$/, '}'));
  if (match === null)
    throw new StartError(`the local host does not support the segment ${text} of route "${template}"`);
  const [, stars = '', name = '', tail = ''] = match;
  const constraints = splitOutside(tail, ':', '(', ')')
    .slice(1)
    .map((part) => {
      const constraint = parseConstraint(part);
      if (constraint === undefined)
        throw new StartError(`the local host does not support the constraint ${part} of route "${template}"`);
      return constraint;
    });
  const optional = text.endsWith('?}');
  return stars === ''
    ? { kind: 'parameter', name, optional, constraints }
    : { kind: 'rest', name, constraints };
}

/** Parses a route template, or refuses to start: an unsupported one must never match something else. */
export function parseTemplate(template: string): readonly Segment[] {
  const text = template.replace(/^\/+|\/+$/g, '');
  const segments =
    text === '' ? [] : splitOutside(text, '/', '{', '}').map((part) => parseSegment(part, template));
  const names = segments.flatMap((segment) =>
    segment.kind === 'literal' ? [] : [segment.name.toLowerCase()],
  );
  if (new Set(names).size < names.length)
    throw new StartError(`route "${template}" uses one parameter name twice`);
  segments.forEach((segment, at) => {
    const rest = segments.slice(at + 1);
    if (segment.kind === 'rest' && rest.length > 0)
      throw new StartError(`the catch-all of route "${template}" is not its last segment`);
    if (
      segment.kind === 'parameter' &&
      segment.optional &&
      rest.some((next) => next.kind === 'literal' || (next.kind === 'parameter' && !next.optional))
    )
      throw new StartError(`the optional parameter ${segment.name} of route "${template}" is not at its end`);
  });
  return segments;
}
