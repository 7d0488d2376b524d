import { parseTemplate, type Segment } from './route-template.js';

export interface Route<T> {
  readonly template: string;
  /** Upper or lower case; none means all. */
  readonly methods: readonly string[];
  readonly target: T;
}

export type RouteMatch<T> =
  | { readonly kind: 'found'; readonly target: T; readonly params: Readonly<Record<string, string>> }
  /** No route, or none for the method: Azure answers 404 to both. */
  | { readonly kind: 'none' }
  /** The path holds a percent-encoding that is not UTF-8, or a NUL. */
  | { readonly kind: 'malformed' };

export interface RouteTable<T> {
  match(method: string, pathname: string): RouteMatch<T>;
}

/** The order of ASP.NET: literal, constrained parameter, parameter, constrained catch-all, catch-all. */
function rank(segment: Segment): number {
  if (segment.kind === 'literal') return 1;
  const loose = segment.constraints.length === 0 ? 1 : 0;
  return (segment.kind === 'parameter' ? 2 : 4) + loose;
}

function compare(left: readonly Segment[], right: readonly Segment[]): number {
  for (let at = 0; at < Math.min(left.length, right.length); at += 1) {
    const difference = rank(left[at] as Segment) - rank(right[at] as Segment);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

function matchSegments(
  segments: readonly Segment[],
  parts: readonly string[],
): Record<string, string> | undefined {
  const params = Object.create(null) as Record<string, string>;
  for (const [at, segment] of segments.entries()) {
    const part = parts[at];
    if (segment.kind === 'rest') {
      const rest = parts.slice(at).join('/');
      if (!segment.constraints.every((holds) => holds(rest))) return undefined;
      if (rest !== '') params[segment.name] = rest;
      return params;
    }
    if (part === undefined) {
      if (segment.kind === 'parameter' && segment.optional) continue;
      return undefined;
    }
    if (segment.kind === 'literal') {
      if (part.toLowerCase() !== segment.text) return undefined;
      continue;
    }
    if (part === '' || !segment.constraints.every((holds) => holds(part))) return undefined;
    params[segment.name] = part;
  }
  return parts.length > segments.length ? undefined : params;
}

/** The decoded segments of a path, without the one trailing slash that routing ignores. */
function decodePath(pathname: string): string[] | undefined {
  const text = pathname.replace(/^\//, '').replace(/\/$/, '');
  if (text === '') return [];
  try {
    const parts = text.split('/').map(decodeURIComponent);
    return parts.some((part) => part.includes('\0')) ? undefined : parts;
  } catch {
    return undefined;
  }
}

/**
 * Builds the table of routes below `prefix`. Literals match without regard to case and win over parameters, segment
 * by segment; of two equal routes the first registered wins. Throws a StartError for a template it cannot honour.
 */
export function buildRouteTable<T>(prefix: string, routes: readonly Route<T>[]): RouteTable<T> {
  const entries = routes
    .map((route) => ({
      segments: parseTemplate(`${prefix}/${route.template.replace(/^\/+/, '')}`),
      methods: new Set(route.methods.map((method) => method.toUpperCase())),
      target: route.target,
    }))
    .sort((left, right) => compare(left.segments, right.segments));
  return {
    match(method, pathname) {
      const parts = decodePath(pathname);
      if (parts === undefined) return { kind: 'malformed' };
      for (const { segments, methods, target } of entries) {
        if (methods.size > 0 && !methods.has(method.toUpperCase())) continue;
        const params = matchSegments(segments, parts);
        if (params !== undefined) return { kind: 'found', target, params };
      }
      return { kind: 'none' };
    },
  };
}
