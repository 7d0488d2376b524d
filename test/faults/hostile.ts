import type { RecordData, RecordType } from '../../src/domain/record-type.js';
import { additionsOf, bodyOf, patchOf, putOf } from '../support/subjects.js';
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

export interface KnownRecord {
  readonly tenant: string;
  readonly recordType: string;
  readonly id: string;
  readonly etag: string;
  readonly data: RecordData;
}

/** What a client has learnt from earlier answers. */
export interface Known {
  readonly records: KnownRecord[];
  readonly operations: string[];
  readonly cursors: string[];
  readonly events: string[];
}

export const TENANTS = ['default', 'acme', 'initech', 'a'] as const;
const ACTORS = ['ada', 'developer', 'Grace Hopper', 'x'] as const;
const COLLECTIONS = ['decisions', 'Decisions', 'agents', '__proto__', 'constructor', 'audit-events', 'inbox'] as const; // prettier-ignore
const METHODS = ['GET', 'POST', 'PATCH', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PROPFIND'] as const;

const EVENT = { event_type: 'crm.login', action: 'login', resource_type: 'account', resource_id: 'acc-7', outcome: 'success', details: { device: 'tablet' } }; // prettier-ignore

const HOLD = { scope: { subject: 'Zoë' }, reason: 'A case.' };

/** A body that a create takes: names come again, times lie in any month. */
function createBody(random: Random, type: RecordType): RecordData {
  const body = bodyOf(type, `name ${random.below(20)}`);
  const dated = { ...body, [type.orderedBy ?? '']: `20${random.between(10, 25)}-0${random.between(1, 9)}-01T00:00:00Z` }; // prettier-ignore
  return type.orderedBy !== undefined && random.chance(0.3) ? dated : body;
}

const LATER = Date.UTC(2030, 0, 1);

/** A patch that makes sense, or one that only the record's state may refuse. */
function patchBody(random: Random, type: RecordType, record: KnownRecord | undefined): unknown {
  const { transitions } = type;
  if (transitions !== undefined && random.chance(0.5)) return { [transitions.field]: random.pick(Object.keys(transitions.moves)) }; // prettier-ignore
  return (record === undefined ? undefined : patchOf(type, record.data, LATER)) ?? type.example;
}

/** What an addition takes; what parts are named by is often another name. */
function additionBody(random: Random, type: RecordType, example: unknown): unknown {
  const member = type.parts?.nameMember;
  if (member === undefined || random.chance(0.5) || !Object.hasOwn(example as object, member)) return example;
  return { ...(example as object), [member]: `name ${random.below(50)}` };
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
  readonly type: RecordType;
  readonly etag: string | undefined;
  /** Undefined where none is taken. */
  readonly body: unknown;
}

function targetOf(random: Random, known: Known, types: readonly RecordType[], marker: string): Target {
  const type = random.pick(types);
  const own = known.records.filter(({ recordType }) => recordType === type.recordType);
  const record = own.length > 0 && random.chance(0.85) ? random.pick(own) : undefined;
  const id = record?.id ?? segment(random, marker);
  const one = (ids: readonly string[]): string => (ids.length > 0 && random.chance(0.7) ? random.pick(ids) : segment(random, marker)); // prettier-ignore
  const collection = random.chance(0.93) ? type.collection : random.pick(COLLECTIONS);
  const revision = random.pick(['1', '2', '0', '-1', '9999999999', '1e3', '%31', marker]);
  const body = createBody(random, type);
  type Route = readonly [
    method: Target['method'],
    path: string,
    body?: unknown,
    of?: KnownRecord | undefined,
  ];
  const ways = additionsOf(type).flatMap(({ path, example }): (() => Route)[] => [
    () => ['POST', `/${collection}/${id}/${path}`, additionBody(random, type, example)],
    () => ['POST', `/${collection}/${id}/${path}`, additionBody(random, type, example)],
    () => ['GET', `/${collection}/${id}/${path}`],
  ]);
  const put = type.named === undefined ? undefined : putOf(type, random.chance(0.7) ? `name ${random.below(20)}` : nastyText(random, 200).toWellFormed()); // prettier-ignore
  // Some types take a patch in few of their states.
  const patching = (): Route => {
    const taking = own.findLast(({ data }) => patchOf(type, data, LATER) !== undefined) ?? record;
    return ['PATCH', `/${collection}/${taking?.id ?? id}`, patchBody(random, type, taking), taking];
  };
  const [method, path, valid, of = record] = random.pick<() => Route>([
    () => ['POST', `/${collection}`, body],
    () => ['POST', `/${collection}`, body],
    () => ['GET', `/${collection}`],
    () => ['POST', `/${collection}/batch`, { items: Array.from({ length: random.pick([1, 2, 100, 101]) }, () => bodyOf(type)) }], // prettier-ignore
    () => ['GET', `/${collection}/${id}`],
    () => ['PATCH', `/${collection}/${id}`, patchBody(random, type, record)],
    patching,
    patching,
    // A type with many ways is not asked for them alone.
    ...(Array(Math.min(ways.length, 8)).fill(() => random.pick(ways)()) as (() => Route)[]),
    ...(put === undefined ? [] : [(): Route => ['PUT', `/${collection}${put.path}`, put.body], (): Route => ['GET', `/${collection}${put.path}`]]), // prettier-ignore
    () => ['POST', `/${collection}/${id}/${segment(random, marker)}`, body],
    () => ['GET', `/${collection}/${id}/revisions`],
    () => ['GET', `/${collection}/${id}/revisions/${revision}`],
    () => ['GET', `/${collection}/${id}/lineage`],
    () => ['POST', `/inbox/${collection}`, body],
    () => ['POST', random.pick(['/audit-events', '/inbox/audit-events']), EVENT],
    () => ['GET', `/operations/${one(known.operations)}`],
    () => ['GET', '/audit-events'],
    () => ['GET', `/audit-events/${one(known.events)}`],
    () => ['POST', '/holds', HOLD],
    () => ['GET', '/holds'],
    () => ['GET', `/holds/hold_${segment(random, marker)}`],
    () => ['POST', `/holds/${segment(random, marker)}/release`, { reason: 'x' }],
    () => ['GET', '/configuration'],
    () => ['PUT', '/configuration'],
    () => ['GET', '/health'],
    () => ['GET', `/${segment(random, marker)}`],
    () => ['POST', `/${segment(random, marker)}/${segment(random, marker)}/${segment(random, marker)}`, body],
  ])();
  const tenant = of?.tenant ?? (put === undefined ? undefined : TENANTS[0]);
  return {
    method,
    path: random.chance(0.05) ? `${path}/` : path,
    tenant,
    type,
    etag: of?.etag,
    body: valid ?? type.example,
  };
}

const PARAMETERS = ['limit', 'cursor', 'from', 'to', 'as_of', 'resolution', 'resource_id', 'event_type', 'actor', 'fields', 'direction', 'depth'] as const; // prettier-ignore

function queryOf(random: Random, known: Known, { filters }: RecordType, marker: string): string {
  const value = (): string => {
    const from = random.below(8);
    if (from === 0) return marker;
    if (from === 1 && known.cursors.length > 0) return random.pick(known.cursors);
    if (from === 2) return random.pick(['1', '1000', '1001', '0', '00', '2026-01-01T00:00:00Z', '2999-01-01T00:00:00+01:00', 'queued', 'title,status', 'down']); // prettier-ignore
    return nastyText(random, 6_000).toWellFormed();
  };
  const one = (): string => {
    const name = random.chance(0.9)
      ? random.pick([...PARAMETERS, ...filters])
      : nastyName(random).toWellFormed();
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
function headersOf(
  random: Random,
  known: Known,
  { method, tenant, etag = known.records.at(-1)?.etag }: Target,
): Record<string, string> {
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
export function hostileRequest(
  random: Random,
  known: Known,
  types: readonly RecordType[],
  number: number,
): HostileRequest {
  const marker = `hunter2-${number}-zq`;
  const target = targetOf(random, known, types, marker);
  const method = random.chance(0.9) ? target.method : random.pick(METHODS);
  const body = random.chance(0.4) ? marked(random, target.body, marker) : target.body;
  const wanted = !['GET', 'HEAD'].includes(method) || random.chance(0.05);
  const raw = random.chance(0.6) ? rawBody(random, body) : JSON.stringify(body);
  const query = random.chance(method === 'GET' ? 0.5 : 0.05)
    ? queryOf(random, known, target.type, marker)
    : '';
  return {
    method,
    path: `${target.path}${query}`,
    headers: { ...headersOf(random, known, target), ...(random.chance(0.25) ? hostileHeaders(random, marker) : {}) }, // prettier-ignore
    raw: wanted ? raw : undefined,
    marker,
  };
}

/** The text of a message of `records-inbox`. */
export function hostileMessage(
  random: Random,
  known: Known,
  types: readonly RecordType[],
): string | Uint8Array {
  const type = random.pick(types);
  const [own, valid] = random.chance(0.9)
    ? [type.collection, createBody(random, type)]
    : ['audit-events', EVENT];
  const tenant = random.pick(TENANTS);
  const operation = known.operations.length > 0 ? random.pick(known.operations) : 'op_none';
  const message: Record<string, unknown> = {
    schema_version: '1.0',
    tenant,
    collection: random.chance(0.9) ? own : random.pick(COLLECTIONS),
    idempotency_key: `key-${random.below(200)}`,
    actor: random.chance(0.9) ? random.pick(ACTORS) : nastyText(random, 300),
    data: random.chance(0.5) ? valid : mutated(random, valid),
  };
  if (random.chance(0.2)) message['operation_id'] = random.chance(0.7) ? operation : nastyValue(random);
  if (random.chance(0.1)) {
    message['data_ref'] = random.chance(0.5) ? `${tenant}/_inbox/${nastyText(random, 1_100)}` : nastyValue(random); // prettier-ignore
    if (random.chance(0.8)) delete message['data'];
  }
  return random.chance(0.4) ? JSON.stringify(message) : rawBody(random, message);
}
