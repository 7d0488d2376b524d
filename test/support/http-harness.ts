import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type * as functions from '@azure/functions';
import type { HttpRequestInit, InvocationContextInit } from '@azure/functions';
import { httpServicesOf } from '../../src/composition.js';
import type { Authenticate } from '../../src/security/caller.js';
import { developmentCaller } from '../../src/security/development-caller.js';
import type { Envelope, EnvelopeHead } from '../../src/domain/envelope.js';
import type { ErrorCode } from '../../src/domain/errors.js';
import { handle } from '../../src/http/handle.js';
import type { Problem } from '../../src/http/problem.js';
import type { Resource } from '../../src/http/resource.js';
import { auditEventResource, auditEventsResource } from '../../src/http/resources/audit-events.js';
import {
  anchorResource,
  platformCheckpointResource,
  platformVkeyResource,
} from '../../src/http/resources/anchors.js';
import { checkpointResource, tileResource, vkeyResource } from '../../src/http/resources/audit-log.js';
import { configurationResource } from '../../src/http/resources/configuration.js';
import { collectionBatchResource } from '../../src/http/resources/collection-batch.js';
import { collectionResource } from '../../src/http/resources/collection.js';
import { docsFileResource, docsResource } from '../../src/http/resources/docs.js';
import { healthResource } from '../../src/http/resources/health.js';
import { erasureResource, erasuresResource, subjectErasureResource } from '../../src/http/resources/erasures.js'; // prettier-ignore
import { holdReleaseResource, holdResource, holdsResource } from '../../src/http/resources/holds.js';
import { inboxResource, operationResource } from '../../src/http/resources/inbox.js';
import { lineageResource } from '../../src/http/resources/lineage.js';
import { rehydrateResource } from '../../src/http/resources/rehydrate.js';
import {
  jobPauseResource,
  jobResumeResource,
  jobRunResource,
  jobsResource,
} from '../../src/http/resources/jobs.js';
import { nowhereResource } from '../../src/http/resources/nowhere.js';
import { openapiResource } from '../../src/http/resources/openapi.js';
import { eventProofResource, recordProofResource } from '../../src/http/resources/proofs.js';
import { recordActionResource } from '../../src/http/resources/record-action.js';
import { recordResource } from '../../src/http/resources/record.js';
import { revisionResource, revisionsResource } from '../../src/http/resources/revisions.js';
import { buildRouteTable } from '../../src/local/routes.js';
import type { Platform } from '../../src/platform.js';
import type { StoragePorts } from '../../src/storage/ports.js';
import type { Summary } from '../../src/storage/record-row.js';
import { createLog } from '../../src/telemetry/log.js';
import { contractOf } from './api-contract.js';
import { testPlatform, type TestPlatformOptions } from './platform.js';

/** The classes of the worker; the package offers them to CommonJS alone. */
const worker = createRequire(import.meta.url)('@azure/functions') as typeof functions;

/** The context of an invocation, silent. */
export function invocation(init: InvocationContextInit = {}): functions.InvocationContext {
  return new worker.InvocationContext({ invocationId: randomUUID(), logHandler: () => undefined, ...init });
}

/** Routes as `functions/` registers them; test/http/routes.test.ts holds the two against each other. */
export const ROUTES: Readonly<Record<string, Resource>> = {
  '{collection}': collectionResource,
  '{collection}/batch': collectionBatchResource,
  '{collection}/{id}': recordResource,
  '{collection}/{id}/{action}': recordActionResource,
  '{collection}/{id}/revisions': revisionsResource,
  '{collection}/{id}/revisions/{revision}': revisionResource,
  '{collection}/{id}/lineage': lineageResource,
  '{collection}/{id}/rehydrate': rehydrateResource,
  '{collection}/{id}/proof': recordProofResource,
  'inbox/{collection}': inboxResource,
  'operations/{id}': operationResource,
  'audit-events': auditEventsResource,
  'audit-events/{id}': auditEventResource,
  'audit-events/{id}/proof': eventProofResource,
  'audit/log/checkpoint': checkpointResource,
  'audit/log/tile/{*path}': tileResource,
  'audit/log/vkey': vkeyResource,
  'audit/log/anchor': anchorResource,
  'audit/platform/checkpoint': platformCheckpointResource,
  'audit/platform/vkey': platformVkeyResource,
  configuration: configurationResource,
  holds: holdsResource,
  'holds/{id}': holdResource,
  'holds/{id}/release': holdReleaseResource,
  erasures: erasuresResource,
  'erasures/{id}': erasureResource,
  'subjects/{subject}/erasure': subjectErasureResource,
  health: healthResource,
  jobs: jobsResource,
  'jobs/{name}/run': jobRunResource,
  'jobs/{name}/pause': jobPauseResource,
  'jobs/{name}/resume': jobResumeResource,
  'jobs/pause': jobPauseResource,
  'jobs/resume': jobResumeResource,
  'openapi.json': openapiResource,
  docs: docsResource,
  'docs/{file}': docsFileResource,
  '{*path}': nowhereResource,
};

const FUNCTIONS = join(import.meta.dirname, '..', '..', 'functions');
/** What the function of each route is called. */
const FUNCTION_NAMES: ReadonlyMap<string, string> = new Map(
  readdirSync(FUNCTIONS).flatMap((file) => {
    const text = readFileSync(join(FUNCTIONS, file), 'utf8');
    const route = /route: '(.+)'/.exec(text)?.[1];
    const name = /app\.http\('(.+)'/.exec(text)?.[1];
    return route === undefined || name === undefined ? [] : [[route, name] as const];
  }),
);

export interface RequestOptions {
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is, instead of `body`. */
  readonly raw?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly tenant?: string;
  readonly roles?: string;
  readonly actor?: string;
  /** Idempotency-Key. */
  readonly key?: string;
  readonly ifMatch?: string;
  /** Scheme and authority the platform is addressed by. */
  readonly origin?: string;
}

/** An answer; what is read as is said by who reads it. */
export class Reply {
  readonly #bytes: Uint8Array;

  constructor(
    readonly status: number,
    readonly headers: Readonly<Record<string, string>>,
    readonly text: string,
    bytes: Uint8Array = Buffer.from(text),
  ) {
    this.#bytes = bytes;
  }

  /** The body as it was sent; `text` is that read as UTF-8. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get json(): Record<string, unknown> {
    return JSON.parse(this.text) as Record<string, unknown>;
  }
  get envelope(): Envelope {
    return JSON.parse(this.text) as Envelope;
  }
  get problem(): Problem {
    return JSON.parse(this.text) as Problem;
  }
  /** The code of a problem document; undefined for any other answer. */
  get code(): ErrorCode | undefined {
    const isJson = this.text !== '' && this.headers['content-type']?.includes('json') === true;
    const type = isJson ? (this.json['type'] as string | undefined) : undefined;
    return type?.slice(type.indexOf('#') + 1) as ErrorCode | undefined;
  }
  get pointers(): readonly string[] {
    return (this.problem.errors ?? []).map(({ pointer }) => pointer);
  }
  get page(): { readonly items: readonly Summary[]; readonly next_cursor: string | null } {
    return JSON.parse(this.text) as { items: Summary[]; next_cursor: string | null };
  }
  get heads(): readonly EnvelopeHead[] {
    return (JSON.parse(this.text) as { items: EnvelopeHead[] }).items;
  }
  get etag(): string {
    return this.headers['etag'] ?? '';
  }
}

/** One host of the platform, asked through its HTTP handlers; every answer is held against /openapi.json. */
export interface HttpHost {
  readonly platform: Platform;
  request(method: string, path: string, options?: RequestOptions): Promise<Reply>;
  get(path: string, options?: RequestOptions): Promise<Reply>;
  post(path: string, body: unknown, options?: RequestOptions): Promise<Reply>;
  patch(path: string, body: unknown, ifMatch: string | undefined, options?: RequestOptions): Promise<Reply>;
}

export interface HttpHostOptions extends TestPlatformOptions {
  /** Who calls; by default who the headers of development say. */
  readonly authenticate?: Authenticate;
}

const ORIGIN = 'http://127.0.0.1:7071';

/** A host on any ports. Two of them on the same ports are two processes on one storage. */
export function httpHost(ports: StoragePorts, options: HttpHostOptions = {}): HttpHost {
  const platform = testPlatform(ports, options);
  const services = httpServicesOf(
    platform,
    ports,
    options.log ?? createLog('silent'),
    options.authenticate ?? developmentCaller,
  );
  const table = buildRouteTable(
    '/api',
    Object.entries(ROUTES).map(([template, resource]) => ({
      template,
      methods: [],
      target: {
        run: handle(resource, () => Promise.resolve(services)),
        functionName: FUNCTION_NAMES.get(template) ?? 'unknown',
      },
    })),
  );
  const request = async (method: string, path: string, sent: RequestOptions = {}): Promise<Reply> => {
    const init = requestOf(method, path, sent);
    const { pathname } = new URL(init.url ?? '');
    const match = table.match(method, pathname);
    if (match.kind !== 'found') throw new Error(`no route for ${path}`);
    const { run, functionName } = match.target;
    const answer = await run(
      new worker.HttpRequest({ ...init, params: match.params }),
      invocation({ functionName }),
    );
    const { status = 200, headers = {}, body = '' } = answer as functions.HttpResponseInit;
    const bytes = Buffer.from(body as Uint8Array);
    const reply = new Reply(status, headers as Record<string, string>, bytes.toString(), bytes);
    contractOf(options.types).check({ method, path: pathname.slice('/api'.length), ...reply });
    return reply;
  };
  return {
    platform,
    request,
    get: (path, more) => request('GET', path, more),
    post: (path, body, more) => request('POST', path, { body, ...more }),
    patch: (path, body, ifMatch, more) =>
      request('PATCH', path, { body, ...(ifMatch === undefined ? {} : { ifMatch }), ...more }),
  };
}

/** The request as the Functions host hands it on: one value for each query parameter, the body as bytes. */
function requestOf(method: string, path: string, sent: RequestOptions): HttpRequestInit {
  const url = new URL(`${sent.origin ?? ORIGIN}/api${path}`);
  const query: Record<string, string> = {};
  for (const [name, value] of url.searchParams)
    query[name] = query[name] === undefined ? value : `${query[name]},${value}`;
  const text = sent.raw ?? (sent.body === undefined ? undefined : JSON.stringify(sent.body));
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  return {
    method,
    url: url.href,
    query,
    headers: {
      'x-forwarded-for': '127.0.0.1',
      ...(text === undefined ? {} : { 'content-type': type }),
      ...(sent.tenant === undefined ? {} : { 'x-dev-tenant': sent.tenant }),
      ...(sent.roles === undefined ? {} : { 'x-dev-roles': sent.roles }),
      ...(sent.actor === undefined ? {} : { 'x-dev-actor': sent.actor }),
      ...(sent.key === undefined ? {} : { 'idempotency-key': sent.key }),
      ...(sent.ifMatch === undefined ? {} : { 'if-match': sent.ifMatch }),
      ...sent.headers,
    },
    ...(text === undefined ? {} : { body: { bytes: typeof text === 'string' ? Buffer.from(text) : text } }),
  };
}
