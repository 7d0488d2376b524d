import type { HttpHandler, HttpRequest, HttpResponseInit, InvocationContext } from '@azure/functions';
import { AppError } from '../domain/errors.js';
import { LIMITS } from '../domain/limits.js';
import { namedVersion } from '../domain/versions.js';
import type { Caller } from '../security/caller.js';
import type { Admission } from '../security/rate-limiter.js';
import { isOpen } from '../security/access-table.js';
import type { CallContext } from '../storage/manager-types.js';
import { assertMay, serve } from './access.js';
import { readJson } from './body.js';
import { wantsFresh } from './cache-headers.js';
import { deprecationHeaders } from './deprecation.js';
import { idempotencyOf } from './idempotency-header.js';
import { networkAddress } from './network-address.js';
import { patienceOf, receiptHeaders } from './prefer.js';
import { problemOf, toAppError } from './problem.js';
import { assertKnown } from './query.js';
import { assertAdmitted, rateHeaders } from './rate-headers.js';
import { onRefused, type Seen } from './refusal.js';
import type { Answer, HttpServices, Input, Operation, Resource } from './resource.js';

/** Every method is routed to us, so that a wrong one gets a problem document and not the host's bare 404. */
export const ALL_METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE'] as const;

/**
 * The one way into every HTTP function: method, caller, rate, permission, body, query, then the operation; whatever is
 * thrown becomes a problem document. The order of the checks is the contract's: 401, 403, 415, 413, 400, then the rest.
 * The contract does not place 429; it comes right after 401, before anything of the request costs us more.
 * Throws TypeError, at registration, for a method without a row in the access table.
 */
export function handle(resource: Resource, services: () => Promise<HttpServices>): HttpHandler {
  serve(resource);
  return async (request, context) => {
    let announced: Answer['headers'] = {};
    let seen: Seen = {};
    try {
      const operation = operationOf(resource, request.method);
      const platform = await services();
      seen = { platform };
      const caller = isOpen(operation.permission) ? NOBODY : await platform.authenticate(request);
      seen = { platform, caller };
      const admission = admit(caller, request, platform);
      const rate = rateHeaders(admission);
      announced = rate;
      assertAdmitted(admission);
      const patience = patienceOf(request, platform);
      const input = await inputOf(operation, request, context, platform, caller);
      const type = platform.types.findByCollection(request.params['collection'] ?? '');
      const created = operation.creates?.(input.body) ?? [];
      const named = type === undefined ? [] : created.map((body) => namedVersion(type, body));
      announced = { ...rate, ...deprecationHeaders(type, named) };
      const answer = await operation.run(input);
      const receipt = await receiptHeaders(answer, patience, input);
      if (answer.read !== undefined) platform.readAuditor.note(answer.read, input.call);
      const own = isOpen(operation.permission) ? {} : PERSONAL;
      const deprecation = deprecationHeaders(type, [...named, ...(answer.shows ?? [])]);
      return respond(answer, { ...own, ...rate, ...deprecation, ...receipt });
    } catch (thrown) {
      const error = toAppError(thrown);
      onRefused(error, seen, request, context);
      await logFailure(services, error, context);
      return refuse(error, context.invocationId, announced);
    }
  };
}

function operationOf(resource: Resource, method: string): Operation {
  const operation = Object.entries(resource).find(([name]) => name === method)?.[1];
  if (operation === undefined) {
    throw new AppError('method-not-allowed', 'This resource does not take this method.', { allow: Object.keys(resource) }); // prettier-ignore
  }
  return operation;
}

/** Who was authenticated is counted by name and tenant, anybody else by where the request comes from. */
function admit(caller: Caller, request: HttpRequest, { rateLimiter }: HttpServices): Admission {
  if (caller !== NOBODY) return rateLimiter.admitCaller(caller);
  return rateLimiter.admitAddress(networkAddress(request.headers.get('x-forwarded-for')));
}

async function inputOf(
  operation: Operation,
  request: HttpRequest,
  context: InvocationContext,
  services: HttpServices,
  caller: Caller,
): Promise<Input> {
  assertMay(
    caller,
    operation,
    services.types.findByCollection(request.params['collection'] ?? ''),
    request.params,
  );
  const body =
    operation.accepts === undefined
      ? undefined
      : await readJson(request, operation.accepts, operation.bodyLimit ?? LIMITS.bodyBytes);
  // Not `request.query`: the host joins the values of a parameter that is given twice.
  const query = new URL(request.url).searchParams;
  if (operation.query !== '*') assertKnown(query, operation.query ?? []);
  const call = callOf(request, context, caller, body);
  return { services, params: request.params, query, headers: request.headers, body, call };
}

/** What one caller is shown may be hidden from another: no cache that they share keeps it (RFC 9111, 5.2.2.7). */
const PERSONAL = { 'cache-control': 'private, no-cache', vary: 'authorization' };

/** The caller of a public route: health, and what describes the API. */
const NOBODY: Caller = { tenant: 'default', actor: 'anonymous', roles: [] };

function callOf(
  request: HttpRequest,
  context: InvocationContext,
  caller: Caller,
  body: unknown,
): CallContext {
  return {
    tenant: caller.tenant,
    actor: caller.actor,
    correlationId: shortHeader(request, 'x-correlation-id') ?? context.invocationId,
    // Set by the platform's front end, last hop last; the local host sets it from the socket.
    ipAddress: request.headers
      .get('x-forwarded-for')
      ?.split(',')
      .at(-1)
      ?.trim()
      .slice(0, LIMITS.headerValueChars),
    sessionId: shortHeader(request, 'x-session-id'),
    fresh: wantsFresh(request.headers),
    maySeeSensitive: caller.roles.includes('records.sensitive-reader'),
    idempotency: request.method === 'POST' ? idempotencyOf(request, caller.actor, body) : undefined,
  };
}

function shortHeader(request: HttpRequest, name: string): string | undefined {
  const value = request.headers.get(name);
  if (value === null || value === '') return undefined;
  if (value.length > LIMITS.headerValueChars || !/^[\x20-\x7e]+$/.test(value)) {
    throw new AppError('request-malformed', `${name} must be at most 256 visible ASCII characters.`);
  }
  return value;
}

function respond(answer: Answer, announced: Answer['headers']): HttpResponseInit {
  const headers = { 'cache-control': 'no-cache', 'x-content-type-options': 'nosniff', ...announced, ...answer.headers }; // prettier-ignore
  if (answer.content !== undefined) {
    const { type, bytes } = answer.content;
    return { status: answer.status, headers: { 'content-type': type, ...headers }, body: bytes };
  }
  if (answer.body === undefined) return { status: answer.status, headers };
  return {
    status: answer.status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
    body: JSON.stringify(answer.body),
  };
}

/** The answer to a failure. */
function refuse(error: AppError, invocationId: string, announced: Answer['headers']): HttpResponseInit {
  const problem = problemOf(error, invocationId);
  return {
    status: problem.status,
    headers: {
      'content-type': 'application/problem+json; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...announced,
      ...(error.retryAfterS === undefined
        ? {}
        : { 'retry-after': String(Math.max(1, Math.ceil(error.retryAfterS))) }),
      ...(error.allow.length === 0 ? {} : { allow: error.allow.join(', ') }),
      ...(error.code === 'unauthenticated' ? { 'www-authenticate': 'Bearer' } : {}),
    },
    body: JSON.stringify(problem),
  };
}

async function logFailure(
  services: () => Promise<HttpServices>,
  error: AppError,
  context: InvocationContext,
): Promise<void> {
  if (!['storage-unavailable', 'integrity-failure', 'internal-error'].includes(error.code)) return;
  try {
    (await services()).log.failure(error, {
      invocationId: context.invocationId,
      functionName: context.functionName,
    });
  } catch {
    // The platform itself could not start: the host's own log is all there is.
    context.error(`${error.code}: ${error.message}`);
  }
}
