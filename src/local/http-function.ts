import { format } from 'node:util';
import type { RpcHttpCookie, RpcHttpData, RpcInvocationResponse, RpcTraceContext } from './core-types.js';
import type { RegisteredFunction } from './functions-core.js';
import type { BodyHandler, Answer, Dispatch, RequestHead } from './http-types.js';
import { emptyAnswer } from './http-types.js';
import { newTraceContext, triggerOf, type Invoke } from './invocation.js';
import { problemAnswer } from './problem-answer.js';
import { buildRouteTable } from './routes.js';
import { StartError } from './start-error.js';

/** Azure hands a function one value per key: keys differ without regard to case, repeated values are joined. */
function queryOf(url: URL): Record<string, string> {
  const query = new Map<string, [key: string, value: string]>();
  for (const [key, value] of url.searchParams) {
    const known = query.get(key.toLowerCase());
    query.set(key.toLowerCase(), known === undefined ? [key, value] : [known[0], `${known[1]},${value}`]);
  }
  return Object.fromEntries(query.values());
}

function traceOf(head: RequestHead): RpcTraceContext {
  const traceParent = head.headers['traceparent'];
  if (traceParent === undefined || !/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(traceParent))
    return newTraceContext();
  const traceState = head.headers['tracestate'];
  return traceState === undefined ? { traceParent } : { traceParent, traceState };
}

function toRpc(head: RequestHead, params: Readonly<Record<string, string>>, body: Uint8Array): RpcHttpData {
  return {
    method: head.method,
    url: head.url.href,
    headers: head.headers,
    query: queryOf(head.url),
    params,
    ...(body.length > 0 && !['GET', 'HEAD'].includes(head.method) ? { body: { bytes: body } } : {}),
  };
}

function toSetCookie(cookie: RpcHttpCookie): string {
  const parts = [`${cookie.name}=${encodeURIComponent(cookie.value)}`];
  if (cookie.expires) parts.push(`Expires=${new Date(cookie.expires.value.seconds * 1000).toUTCString()}`);
  if (cookie.maxAge) parts.push(`Max-Age=${cookie.maxAge.value}`);
  if (cookie.domain) parts.push(`Domain=${cookie.domain.value}`);
  if (cookie.path) parts.push(`Path=${cookie.path.value}`);
  if (cookie.secure?.value) parts.push('Secure');
  if (cookie.httpOnly?.value) parts.push('HttpOnly');
  const sameSite = { none: undefined, lax: 'Lax', strict: 'Strict', explicitNone: 'None' }[
    cookie.sameSite ?? 'none'
  ];
  if (sameSite !== undefined) parts.push(`SameSite=${sameSite}`);
  return parts.join('; ');
}

function fromRpc(response: RpcInvocationResponse): Answer {
  const http = response.returnValue?.http;
  // A function that returns nothing has nothing to say: 204, as in Azure.
  if (http === undefined) return emptyAnswer(204);
  return {
    status: Number(http.statusCode ?? 200),
    headers: [
      ...Object.entries(http.headers ?? {}),
      ...(http.cookies ?? []).map((cookie): [string, string] => ['set-cookie', toSetCookie(cookie)]),
    ],
    body: http.body?.bytes ?? Buffer.from(http.body?.string ?? ''),
  };
}

/** The route of a function with an HTTP trigger: its name, when it declares none. */
function routeOf(fn: RegisteredFunction): {
  template: string;
  methods: string[];
  target: RegisteredFunction;
} {
  const { binding } = triggerOf(fn);
  const { authLevel, route, methods } = binding;
  // A key that nobody checks would be worse than no key.
  const level = authLevel === undefined ? 'anonymous' : format(authLevel);
  if (level.toLowerCase() !== 'anonymous')
    throw new StartError(
      `function "${fn.metadata.name}" has authLevel "${level}"; the local host supports anonymous only`,
    );
  return {
    template: typeof route === 'string' ? route : fn.metadata.name,
    methods: Array.isArray(methods) ? methods.map(String) : [],
    target: fn,
  };
}

/** Routes requests to the HTTP functions of an app. Throws a StartError for one it cannot serve faithfully. */
export function createDispatch(
  prefix: string,
  functions: readonly RegisteredFunction[],
  invoke: Invoke,
): Dispatch {
  const table = buildRouteTable(prefix, functions.map(routeOf));
  return (head) => {
    const match = table.match(head.method, head.url.pathname);
    if (match.kind === 'malformed')
      return problemAnswer('request-malformed', 'The path holds a percent-encoding that is not UTF-8 text.');
    if (match.kind === 'none') return emptyAnswer(404);
    const handler: BodyHandler = async (body) =>
      fromRpc(
        await invoke(match.target, {
          data: { http: toRpc(head, match.params, body) },
          traceContext: traceOf(head),
        }),
      );
    return handler;
  };
}
