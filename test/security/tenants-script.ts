import fc from 'fast-check';
import { RECORD_TYPES } from '../../src/records/registry.js';
import type { RecordData, RecordType } from '../../src/domain/record-type.js';
import type { Reply } from '../support/http-harness.js';
import { additionsOf, bodyOf, patchOf, putOf } from '../support/subjects.js';
import type { Dropped, Happening, Sent } from './tenants-world.js';

/** Names of which one begins with another: whoever asks for a range must not get his neighbour's. */
export const TENANTS = ['acme', 'acm', 'acme-2'] as const;

/** One step of a script before it is known what there is to ask for. */
export interface Draw {
  readonly tenant: number;
  readonly what: number;
  readonly pick: number;
  readonly other: number;
  /** Asks for what another tenant has, where there is any. */
  readonly foreign: boolean;
}

export const script = (length: number): fc.Arbitrary<readonly Draw[]> =>
  fc.array(
    fc.record({
      tenant: fc.nat(TENANTS.length - 1),
      what: fc.nat(9_999),
      pick: fc.nat(9_999),
      other: fc.nat(9_999),
      foreign: fc.boolean(),
    }),
    { minLength: length, maxLength: length, size: 'max' },
  );

/**
 * Every way to ask, in turn, by one who has something and then by one who asks for that of the first and has nothing of
 * its own yet: so that each route has answered and each leak had its chance, whatever else is drawn.
 */
export function inTurn(): readonly Draw[] {
  const kinds = Array.from({ length: WAYS.length + HAPPENINGS.length + 1 }, (_, what) => what);
  const draw = (tenant: number, what: number, n: number, foreign: boolean): Draw => ({ tenant, what, pick: n, other: n, foreign }); // prettier-ignore
  const all = (tenant: number, n: number, foreign: boolean): readonly Draw[] =>
    kinds.map((what) => draw(tenant, what, n, foreign));
  const created = RECORD_TYPES.flatMap((_, n) => [0, 0].map((what) => draw(0, what, n, false)));
  return [
    ...created,
    ...all(0, 2, false),
    ...all(0, 4, false),
    ...all(1, 4, true),
    ...all(1, 2, true),
    ...all(1, 2, false),
  ];
}

interface Known {
  readonly tenant: string;
  readonly type: RecordType;
  readonly id: string;
  readonly etag: string;
  readonly data: RecordData;
}
interface Cursor {
  readonly tenant: string;
  readonly path: string;
}
interface Named {
  readonly tenant: string;
  readonly id: string;
}

const NEVER = '01980000-0000-7000-8000-00000000000';
const TIME = '2026-01-01T00:01:00.000Z';
const COLLECTIONS = RECORD_TYPES.map(({ collection }) => collection);
const NAMED = RECORD_TYPES.filter(({ named }) => named !== undefined);

/** What the tenants have been told so far: what a later request may ask for, its own or another's. */
export class Told {
  readonly #records: Known[] = [];
  readonly #cursors: Cursor[] = [];
  readonly #operations: Named[] = [];
  readonly #events: Named[] = [];
  readonly #holds: Named[] = [];
  readonly #erasures: Named[] = [];

  hear({ tenant, path }: Sent, reply: Reply): void {
    if (reply.status >= 400 || reply.status === 304) return;
    if (reply.headers['content-type']?.includes('json') !== true) return;
    const body = reply.json;
    const type = RECORD_TYPES.find(({ recordType }) => recordType === body['record_type']);
    if (type !== undefined && body['data'] !== undefined)
      this.#records.push({
        tenant,
        type,
        id: String(body['id']),
        etag: reply.etag,
        data: reply.envelope.data,
      });
    if (typeof body['operation_id'] === 'string') this.#operations.push({ tenant, id: body['operation_id'] });
    if (typeof body['event_id'] === 'string') this.#events.push({ tenant, id: body['event_id'] });
    if (typeof body['hold_id'] === 'string') this.#holds.push({ tenant, id: body['hold_id'] });
    if (typeof body['erasure_id'] === 'string') this.#erasures.push({ tenant, id: body['erasure_id'] });
    if (typeof body['next_cursor'] === 'string') {
      const at = path.replace(/[?&]cursor=[^&]*/, '');
      const cursor = `cursor=${encodeURIComponent(body['next_cursor'])}`;
      this.#cursors.push({ tenant, path: `${at}${at.includes('?') ? '&' : '?'}${cursor}` });
    }
    if (path.startsWith('/audit-events') && Array.isArray(body['items']))
      for (const { event_id } of body['items'] as { event_id: string }[])
        this.#events.push({ tenant, id: event_id });
  }

  record(draw: Draw, only: readonly RecordType[] = RECORD_TYPES): Known {
    const all = this.#records.filter(({ type }) => only.includes(type));
    const type = only[draw.pick % only.length] as RecordType;
    const none = {
      tenant: '',
      type,
      id: `${type.idPrefix}_${NEVER}${draw.other % 10}`,
      etag: '"1-0"',
      data: {},
    };
    return chosen(all, draw) ?? none;
  }
  cursor = (draw: Draw): string => chosen(this.#cursors, draw)?.path ?? '/decisions?cursor=bm9uZQ.AAAA';
  operation = (draw: Draw): string => chosen(this.#operations, draw)?.id ?? `op_${NEVER}0`;
  hold = (draw: Draw): string => chosen(this.#holds, draw)?.id ?? `hold_${NEVER}0`;
  erasure = (draw: Draw): string => chosen(this.#erasures, draw)?.id ?? `era_${NEVER}0`;
  event = (draw: Draw): string => chosen(this.#events, draw)?.id ?? `evt_${NEVER}0`;
}

/** Mostly what is the latest: old ones are of no interest to anybody. */
function chosen<T extends { readonly tenant: string }>(all: readonly T[], draw: Draw): T | undefined {
  const mine = TENANTS[draw.tenant];
  const fitting = all.filter(({ tenant }) => (tenant !== mine) === draw.foreign).slice(-12);
  return fitting[draw.other % Math.max(1, fitting.length)];
}

export type Act =
  | { readonly kind: 'send'; readonly sent: Sent }
  | { readonly kind: 'drop'; readonly dropped: Dropped }
  | { readonly kind: 'happen'; readonly step: number; readonly what: Happening };

type Request = Omit<Sent, 'step' | 'tenant'>;
type Way = (draw: Draw, told: Told) => Request | undefined;

const of = <T>(list: readonly T[], n: number): T => list[n % list.length] as T;
const get = (path: string, headers: Readonly<Record<string, string>> = {}): Request => ({ method: 'GET', path, options: { headers } }); // prettier-ignore
/** Few keys for all, so that several tenants use the same one for the same thing. */
const keyed = ({ pick, other }: Draw): { key?: string } =>
  other % 3 === 0 ? {} : { key: `key-${pick % 2}` };
const post = (path: string, body: unknown, draw: Draw): Request => ({ method: 'POST', path, options: { body, ...keyed(draw) } }); // prettier-ignore
const bodyFor = (type: RecordType, { other }: Draw): RecordData => bodyOf(type, `name-${other % 2}`);
const query = (values: Readonly<Record<string, string>>): string => new URLSearchParams(values).toString();

/** Every way to ask the platform for something; what they ask for is of the asking tenant or of another. */
const WAYS: readonly Way[] = [
  (draw) => post(`/${of(COLLECTIONS, draw.pick)}`, bodyFor(of(RECORD_TYPES, draw.pick), draw), draw),
  (draw) => post(`/${of(COLLECTIONS, draw.pick)}`, bodyFor(of(RECORD_TYPES, draw.pick), draw), draw),
  (draw, told) => post('/decisions', { decision_type: 'strategic', title: 'Linked', metadata: { derived_from: [told.record(draw).id] } }, draw), // prettier-ignore
  (draw, told) => post('/decisions', { decision_type: 'strategic', title: 'Linked', metadata: { derived_from: [told.record(draw).id] } }, draw), // prettier-ignore
  (draw, told) => post('/decisions', { decision_type: 'strategic', title: 'Linked', metadata: { derived_from: [told.record(draw).id] } }, draw), // prettier-ignore
  (draw) => post(`/${of(COLLECTIONS, draw.pick)}/batch`, { items: [0, 1].map((other) => bodyFor(of(RECORD_TYPES, draw.pick), { ...draw, other })) }, draw), // prettier-ignore
  (draw) => post(`/inbox/${of(COLLECTIONS, draw.pick)}`, bodyFor(of(RECORD_TYPES, draw.pick), draw), draw),
  (draw, told) => get(`/operations/${told.operation(draw)}`),
  (draw, told) => recordPath(told.record(draw), (path) => get(path)),
  (draw, told) => recordPath(told.record(draw), (path) => get(path)),
  (draw, told) => recordPath(told.record(draw), (path, { etag }) => get(path, { 'if-none-match': etag })),
  (draw, told) => recordPath(told.record(draw), (path) => get(path, { 'cache-control': 'no-cache' })),
  (draw, told) => recordPath(told.record(draw), (path) => get(`${path}?as_of=${TIME}`)),
  (draw, told) => recordPath(told.record(draw), (path) => get(`${path}/revisions?limit=1`)),
  (draw, told) => recordPath(told.record(draw), (path) => get(`${path}/revisions/${1 + (draw.other % 2)}`)),
  (draw, told) => recordPath(told.record(draw), (path) => get(`${path}/lineage?direction=${draw.other % 2 === 0 ? 'up' : 'down'}`)), // prettier-ignore
  (draw, told) => recordPath(told.record(draw), (path) => get(`${path}/lineage?direction=${draw.other % 2 === 0 ? 'up' : 'down'}`)), // prettier-ignore
  (draw, told) => recordPath(told.record(draw), (path) => get(`${path}/lineage?direction=${draw.other % 2 === 0 ? 'up' : 'down'}`)), // prettier-ignore
  (draw, told) => recordPath(told.record(draw), (path, { type }) => (type.parts === undefined ? undefined : get(`${path}/${type.parts.path}?limit=1`))), // prettier-ignore
  (draw, told) => recordPath(told.record(draw), (path, { type }) => get(`${path}/${of([...Object.keys(type.views ?? {}), 'nothing'], draw.pick)}`)), // prettier-ignore
  (draw, told) => recordPath(told.record(draw), (path, { type }) => { const ways = additionsOf(type); return ways.length === 0 ? undefined : post(`${path}/${of(ways, draw.pick).path}`, of(ways, draw.pick).example, draw); }), // prettier-ignore
  (draw, told) => recordPath(told.record(draw), (path, { type }) => { const ways = additionsOf(type); return ways.length === 0 ? undefined : post(`${path}/${of(ways, draw.pick).path}`, of(ways, draw.pick).example, draw); }), // prettier-ignore
  (draw, told) => recordPath(told.record(draw), (path, known) => patch(path, known, known.etag)),
  (draw, told) => recordPath(told.record(draw), (path, known) => patch(path, known, '*')),
  (draw, told) => recordPath(told.record(draw), (path, known) => patch(path, known, undefined)),
  (draw, told) => recordPath(told.record(draw), (path) => post(`${path}/rehydrate`, {}, draw)),
  (draw) => get(`/${of(COLLECTIONS, draw.pick)}?limit=${1 + (draw.other % 3)}`),
  (draw) => filtered(of(RECORD_TYPES, draw.pick), draw),
  (draw, told) => get(told.cursor(draw)),
  (draw, told) => get(told.cursor(draw)),
  (draw) => named(draw, (path) => get(path)),
  (draw, told) => named(draw, (path) => get(path, { 'if-none-match': told.record(draw, NAMED).etag })),
  (draw) => named(draw, (path, body) => ({ method: 'PUT', path, options: { body } })),
  (draw, told) => named(draw, (path, body) => ({ method: 'PUT', path, options: { body, ifMatch: told.record(draw, NAMED).etag } })), // prettier-ignore
  (draw, told) => get(`/audit-events?${query({ limit: '2', ...of([{}, { resource_id: told.record(draw).id }, { actor: 'ada' }, { event_type: 'record.created' }], draw.pick) })}`), // prettier-ignore
  (draw, told) => get(`/audit-events/${told.event(draw)}`),
  (draw, told) => get(`/audit-events/${told.event(draw)}`),
  () => get('/audit-events'),
  (draw, told) => recordPath(told.record({ ...draw, foreign: false }), (path) => get(path, { 'if-none-match': told.record({ ...draw, foreign: true }).etag })), // prettier-ignore
  (draw, told) => recordPath(told.record({ ...draw, foreign: false }), (path, known) => patch(path, known, told.record({ ...draw, foreign: true }).etag)), // prettier-ignore
  (draw, told) => post('/audit-events', { event_type: 'login', action: 'login', resource_type: 'session', resource_id: told.record(draw).id, outcome: 'success' }, draw), // prettier-ignore
  (draw, told) => get(`/audit-events/${told.event(draw)}/proof`),
  (draw, told) => get(`/audit-events/${told.event(draw)}/proof`),
  (draw, told) => recordPath(told.record(draw), (path) => get(`${path}/proof`)),
  (draw, told) => recordPath(told.record(draw), (path) => get(`${path}/proof?revision=1`)),
  () => get('/audit/log/checkpoint'),
  () => get('/audit/log/vkey'),
  (draw) => get(`/audit/log/tile/${of(['0/000', 'entries/000', '0/000.p/1', 'entries/000.p/1'], draw.pick)}`),
  () => get('/audit/log/anchor'),
  () => get('/audit/platform/checkpoint'),
  () => get('/audit/platform/vkey'),
  (draw, told) => post('/holds', { scope: of<object>([{ subject: 'ada' }, { record: { collection: told.record(draw).type.collection, id: told.record(draw).id } }, { query: { collection: 'decisions', field: { created_by: 'ada' } } }], draw.other), reason: 'A case.' }, draw), // prettier-ignore
  (draw) => post('/holds', { scope: { subject: 'ada' }, reason: 'A case.' }, draw),
  (draw) => get(`/holds?state=${of(['active', 'released', 'all'], draw.pick)}&limit=${1 + (draw.other % 2)}`),
  (draw, told) => get(`/holds/${told.hold(draw)}`),
  (draw, told) => get(`/holds/${told.hold(draw)}`),
  (draw, told) => post(`/holds/${told.hold(draw)}/release`, { reason: 'It is over.' }, draw),
  (draw) => post('/erasures', { subject: of(['ada', 'nobody'], draw.pick), reason: 'A request.' }, draw),
  (draw) => post(`/subjects/${of(['grace', 'p%204711'], draw.pick)}/erasure`, { reason: 'A request.' }, draw),
  () => get('/erasures?limit=2'),
  (draw, told) => get(`/erasures/${told.erasure(draw)}`),
  () => get('/configuration'),
  (draw, told) => ({ method: 'PUT', path: '/configuration', options: { body: { list_limit_default: 1 + (draw.pick % 3) }, ...(draw.other % 2 === 0 ? {} : { ifMatch: told.record(draw).etag }) } }), // prettier-ignore
];

const HAPPENINGS: readonly Happening[] = ['seal', 'seal', 'seal', 'deliver', 'jobs'];

function recordPath(
  known: Known,
  make: (path: string, known: Known) => Request | undefined,
): Request | undefined {
  return make(`/${known.type.collection}/${known.id}`, known);
}

function patch(path: string, { type, data }: Known, ifMatch: string | undefined): Request {
  const body = patchOf(type, data, Date.parse(TIME)) ?? { metadata: { patched: true } };
  return { method: 'PATCH', path, options: { body, ...(ifMatch === undefined ? {} : { ifMatch }) } };
}

function filtered(type: RecordType, { other }: Draw): Request | undefined {
  const [name] = type.filters.slice(other % Math.max(1, type.filters.length));
  const value = name === undefined ? undefined : (type.example as RecordData)[name];
  if (name === undefined || typeof value !== 'string') return undefined;
  return get(`/${type.collection}?${query({ [name]: value, limit: '2' })}`);
}

function named(draw: Draw, make: (path: string, body: RecordData) => Request): Request | undefined {
  const type = of(NAMED, draw.pick);
  const { path, body } = putOf(type, `name-${draw.other % 2}`);
  return make(`/${type.collection}${path}`, body);
}

/** What a step of a script comes to, now that it is known what there is. */
export function actOf(draw: Draw, step: number, told: Told): Act | undefined {
  const tenant = of(TENANTS, draw.tenant);
  const kinds = WAYS.length + 1 + HAPPENINGS.length;
  const kind = draw.what % kinds;
  if (kind < WAYS.length) {
    const request = of(WAYS, kind)(draw, told);
    return request && { kind: 'send', sent: { step, tenant, ...request } };
  }
  if (kind === WAYS.length)
    return { kind: 'drop', dropped: { step, tenant, message: messageFor(tenant, draw, told) } };
  return {
    kind: 'happen',
    step,
    what: of(HAPPENINGS, kind - WAYS.length - 1),
  };
}

/** A message that claims what is another's: his operation, or a blob of his. */
function messageFor(tenant: string, draw: Draw, told: Told): Readonly<Record<string, unknown>> {
  const type = of(RECORD_TYPES, draw.pick);
  const head = { schema_version: '1.0', tenant, collection: type.collection, idempotency_key: `key-${draw.other % 2}`, actor: 'developer' }; // prettier-ignore
  const claims = [
    { data: bodyFor(type, draw) },
    { data: bodyFor(type, draw), operation_id: told.operation(draw) },
    { data_ref: `${of(TENANTS, draw.other)}/_inbox/${told.operation(draw)}.json` },
  ];
  return { ...head, ...of(claims, draw.other) };
}
