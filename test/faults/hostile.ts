import { decisionType } from '../../src/records/decision.js';
import { mutated, nastyName, nastyText, nastyValue, rawBody } from './hostile-values.js';
import type { Random } from './simulation-random.js';

export interface HostileRequest {
  readonly method: string;
  /** Below `/api`, as it is written into the request line. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly raw: string | Uint8Array | undefined;
  /** Stands in submitted values and must stand in no problem document. */
  readonly marker: string;
}

/** What a client has learnt from earlier answers. */
export interface Known {
  readonly records: { readonly tenant: string; readonly id: string; etag: string }[];
  readonly operations: string[];
  readonly cursors: string[];
  readonly events: string[];
}

export const TENANTS = ['default', 'acme', 'initech', 'a'] as const;
const ACTORS = ['ada', 'developer', 'Grace Hopper', 'x'] as const;
const COLLECTIONS = ['decisions', 'Decisions', 'metrics', '__proto__', 'constructor', 'audit-events', 'inbox'] as const; // prettier-ignore
const METHODS = ['GET', 'POST', 'PATCH', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PROPFIND'] as const;

const VOTE = { agent: 'cfo', vote: 'approve', confidence: 0.8, reasoning: 'it pays', conditions: [] };
const OUTCOME = { decision: 'Go', confidence: 0.9, action_items: ['sign'], impact_assessment: { eur: 1 } };
const PATCHES = [{ title: 'Another' }, { status: 'in_progress' }, { status: 'failed' }, { metadata: { a: null, b: [1] } }]; // prettier-ignore

/** The body a route takes. */
function validBody(random: Random, path: string, method: string): unknown {
  if (method === 'PATCH') return random.pick(PATCHES);
  if (path.endsWith('/votes')) return { ...VOTE, agent: `agent ${random.below(50)}` };
  if (path.endsWith('/outcome')) return OUTCOME;
  if (path.endsWith('/batch')) return { items: Array.from({ length: random.pick([1, 2, 100, 101]) }, () => decisionType.example) }; // prettier-ignore
  return random.chance(0.3)
    ? { ...(decisionType.example as object), agent_votes: [VOTE], created_at: `20${random.between(10, 25)}-0${random.between(1, 9)}-01T00:00:00Z` } // prettier-ignore
    : decisionType.example;
}

function segment(random: Random, marker: string): string {
  const text = random.chance(0.3) ? marker : nastyText(random, 2_000);
  return random.chance(0.8) ? encodeURIComponent(text.toWellFormed()) : text.replaceAll(/[\s?#\\]/g, '');
}

/** Where a request goes, and how it would have to be made to get anywhere. */
interface Target {
  readonly method: (typeof METHODS)[number];
  readonly path: string;
  readonly tenant: string | undefined;
}

function targetOf(random: Random, known: Known, marker: string): Target {
  const record = known.records.length > 0 && random.chance(0.85) ? random.pick(known.records) : undefined;
  const id = record?.id ?? segment(random, marker);
  const one = (ids: readonly string[]): string => (ids.length > 0 && random.chance(0.7) ? random.pick(ids) : segment(random, marker)); // prettier-ignore
  const collection = random.chance(0.93) ? 'decisions' : random.pick(COLLECTIONS);
  const revision = random.pick(['1', '2', '0', '-1', '9999999999', '1e3', '%31', marker]);
  const [method, path] = random.pick<() => readonly [Target['method'], string]>([
    () => ['POST', `/${collection}`],
    () => ['POST', `/${collection}`],
    () => ['GET', `/${collection}`],
    () => ['POST', `/${collection}/batch`],
    () => ['GET', `/${collection}/${id}`],
    () => ['PATCH', `/${collection}/${id}`],
    () => ['PATCH', `/${collection}/${id}`],
    () => ['POST', `/${collection}/${id}/votes`],
    () => ['POST', `/${collection}/${id}/votes`],
    () => ['POST', `/${collection}/${id}/outcome`],
    () => ['POST', `/${collection}/${id}/${segment(random, marker)}`],
    () => ['GET', `/${collection}/${id}/revisions`],
    () => ['GET', `/${collection}/${id}/revisions/${revision}`],
    () => ['GET', `/${collection}/${id}/lineage`],
    () => ['POST', `/inbox/${collection}`],
    () => ['GET', `/operations/${one(known.operations)}`],
    () => ['GET', '/audit-events'],
    () => ['GET', `/audit-events/${one(known.events)}`],
    () => ['GET', '/configuration'],
    () => ['PUT', '/configuration'],
    () => ['GET', '/health'],
    () => ['GET', `/${segment(random, marker)}`],
    () => ['POST', `/${segment(random, marker)}/${segment(random, marker)}/${segment(random, marker)}`],
  ])();
  return { method, path: random.chance(0.05) ? `${path}/` : path, tenant: record?.tenant };
}

const PARAMETERS = ['limit', 'cursor', 'from', 'to', 'as_of', 'status', 'decision_type', 'created_by', 'resource_id', 'event_type', 'actor', 'fields', 'direction', 'depth'] as const; // prettier-ignore

function queryOf(random: Random, known: Known, marker: string): string {
  const value = (): string => {
    const from = random.below(8);
    if (from === 0) return marker;
    if (from === 1 && known.cursors.length > 0) return random.pick(known.cursors);
    if (from === 2) return random.pick(['1', '1000', '1001', '0', '00', '2026-01-01T00:00:00Z', '2999-01-01T00:00:00+01:00', 'queued', 'title,status', 'down']); // prettier-ignore
    return nastyText(random, 6_000).toWellFormed();
  };
  const one = (): string => {
    const name = random.chance(0.9) ? random.pick(PARAMETERS) : nastyName(random).toWellFormed();
    return `${encodeURIComponent(name)}=${random.chance(0.9) ? encodeURIComponent(value()) : '%ff%+'}`;
  };
  return `?${Array.from({ length: random.between(1, 3) }, one).join('&')}`;
}

/** Any text that a header can carry. */
function headerText(random: Random, longest = 400): string {
  return nastyText(random, longest).replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '?');
}

const TYPES = ['text/plain', 'application/json; charset=latin1', 'application/xml', 'multipart/form-data; boundary=x', '', 'application/json;;;=', 'application/merge-patch+json'] as const; // prettier-ignore

/** Headers as a client in good order sends them, with conditions and keys here and there. */
function headersOf(random: Random, known: Known, { method, tenant }: Target): Record<string, string> {
  const etag = known.records.at(-1)?.etag;
  return {
    'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
    'x-dev-tenant': tenant ?? random.pick(TENANTS),
    'x-dev-actor': random.pick(ACTORS),
    ...(random.chance(0.3) ? { 'idempotency-key': `key-${random.below(40)}` } : {}),
    ...(random.chance(method === 'PATCH' ? 0.9 : 0.1) ? { 'if-match': random.chance(0.5) ? '*' : (etag ?? '"1"') } : {}), // prettier-ignore
    ...(random.chance(0.1) ? { 'if-none-match': random.chance(0.5) ? '*' : (etag ?? '*') } : {}),
  };
}

/** Headers that mean something, and what may come in them. */
const HEADERS: Readonly<Record<string, (random: Random, marker: string) => string>> = {
  'content-type': (random) => random.pick(TYPES),
  'content-encoding': (random, marker) => random.pick(['gzip', 'identity', marker]),
  'x-dev-tenant': (random, marker) => random.pick(['ACME', '_system', '..', '', 'a'.repeat(64), marker.toUpperCase()]), // prettier-ignore
  'x-dev-actor': (random, marker) => random.pick([marker, '', 'y'.repeat(256), 'y'.repeat(257)]),
  'x-dev-roles': (random, marker) => random.pick(['records.reader', 'records.writer', 'records.auditor,', '', marker]), // prettier-ignore
  'idempotency-key': (random, marker) => random.pick([marker, `${marker} x`, '', 'k'.repeat(255), 'k'.repeat(256)]), // prettier-ignore
  'if-match': (_, marker) => `"${marker}"`,
  'if-none-match': (_, marker) => `W/"${marker}", *, "`,
  'x-correlation-id': (random, marker) => random.pick([marker, 'z'.repeat(256), 'z'.repeat(257)]),
  'x-session-id': (_, marker) => marker,
  'cache-control': (random, marker) => random.pick(['no-cache', 'max-age=0', `x="${marker}, no-store`]),
  'x-forwarded-for': () => '10.0.0.1, ::1, nobody',
  host: () => 'evil.example',
  'transfer-encoding': () => 'chunked',
  traceparent: () => '00-0-0-0',
};

function hostileHeaders(random: Random, marker: string): Record<string, string> {
  const one = (): [string, string] => {
    const [name, made] = random.pick(Object.entries(HEADERS));
    return [name, random.chance(0.6) ? made(random, marker) : headerText(random)];
  };
  return Object.fromEntries(Array.from({ length: random.between(1, 3) }, one));
}

/** Puts the marker into a text somewhere in a body. */
function marked(random: Random, body: unknown, marker: string): unknown {
  if (typeof body === 'string') return random.chance(0.3) ? `${marker}${body}` : body;
  if (typeof body !== 'object' || body === null) return body;
  if (Array.isArray(body)) return body.length > 20 ? body : body.map((item) => marked(random, item, marker));
  return Object.fromEntries(
    Object.entries(body).map(([name, value]) => [name, marked(random, value, marker)]),
  );
}

/** One request of any kind; what it is follows from the random numbers and from what is known. */
export function hostileRequest(random: Random, known: Known, number: number): HostileRequest {
  const marker = `hunter2-${number}-zq`;
  const target = targetOf(random, known, marker);
  const method = random.chance(0.9) ? target.method : random.pick(METHODS);
  const valid = validBody(random, target.path, method);
  const body = random.chance(0.4) ? marked(random, valid, marker) : valid;
  const wanted = !['GET', 'HEAD'].includes(method) || random.chance(0.05);
  const raw = random.chance(0.6) ? rawBody(random, body) : JSON.stringify(body);
  const query = random.chance(method === 'GET' ? 0.5 : 0.05) ? queryOf(random, known, marker) : '';
  return {
    method,
    path: `${target.path}${query}`,
    headers: { ...headersOf(random, known, target), ...(random.chance(0.25) ? hostileHeaders(random, marker) : {}) }, // prettier-ignore
    raw: wanted ? raw : undefined,
    marker,
  };
}

/** The text of a message of `records-inbox`. */
export function hostileMessage(random: Random, known: Known): string | Uint8Array {
  const tenant = random.pick(TENANTS);
  const operation = known.operations.length > 0 ? random.pick(known.operations) : 'op_none';
  const message: Record<string, unknown> = {
    schema_version: '1.0',
    tenant,
    collection: random.chance(0.9) ? 'decisions' : random.pick(COLLECTIONS),
    idempotency_key: `key-${random.below(200)}`,
    actor: random.chance(0.9) ? random.pick(ACTORS) : nastyText(random, 300),
    data: random.chance(0.5) ? decisionType.example : mutated(random, decisionType.example),
  };
  if (random.chance(0.2)) message['operation_id'] = random.chance(0.7) ? operation : nastyValue(random);
  if (random.chance(0.1)) {
    message['data_ref'] = random.chance(0.5) ? `${tenant}/_inbox/${nastyText(random, 1_100)}` : nastyValue(random); // prettier-ignore
    if (random.chance(0.8)) delete message['data'];
  }
  return random.chance(0.4) ? JSON.stringify(message) : rawBody(random, message);
}
