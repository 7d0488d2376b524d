import { beforeAll, describe, expect, it } from 'vitest';
import type { RecordType } from '../../src/domain/record-type.js';
import { addingsOf, viewsOf } from '../../src/http/openapi/abilities.js';
import { RECORD_TYPES } from '../../src/records/registry.js';
import { httpHost, ROUTES, type HttpHost, type Reply } from '../support/http-harness.js';
import { memoryPorts } from '../support/memory-ports.js';
import { bodyOf, putOf } from '../support/subjects.js';
import { realClock } from '../support/virtual-clock.js';

const READER = 'records.reader';
const SENSITIVE = 'records.sensitive-reader';
const WRITER = 'records.writer';
const AUDITOR = 'records.auditor';
const OPERATOR = 'records.operator';
const PRIVACY = 'records.privacy-officer';
const ROLES = [READER, SENSITIVE, WRITER, AUDITOR, OPERATOR, PRIVACY];
/** What no role grants: none, roles nobody knows, and ways of writing one that are not its name. */
const NOTHING = ['', 'records', 'admin', 'Records.Reader', 'records.reader;records.writer', 'records.*', '*', '__proto__', 'toString']; // prettier-ignore

/**
 * Who may, written down by hand from the design's table, whatever src/security/access-table.ts says. A new route fails
 * the walk until somebody has decided here who may ask for it.
 */
const MAY: Readonly<Record<string, readonly string[] | 'anybody'>> = {
  'POST {collection}': [WRITER],
  'GET {collection}': [READER, SENSITIVE],
  'POST {collection}/batch': [WRITER],
  'GET {collection}/{id}': [READER, SENSITIVE],
  'PATCH {collection}/{id}': [WRITER],
  'GET {collection}/{id}/{action}': [READER, SENSITIVE],
  'PUT {collection}/{id}/{action}': [WRITER],
  'POST {collection}/{id}/{action}': [WRITER],
  'GET {collection}/{id}/revisions': [READER, SENSITIVE],
  'GET {collection}/{id}/revisions/{revision}': [READER, SENSITIVE],
  'GET {collection}/{id}/lineage': [READER, SENSITIVE],
  'POST {collection}/{id}/rehydrate': [WRITER, OPERATOR],
  'POST inbox/{collection}': [WRITER],
  'GET operations/{id}': [READER, SENSITIVE, WRITER, OPERATOR],
  'POST audit-events': [WRITER],
  'GET audit-events': [AUDITOR],
  'GET audit-events/{id}': [AUDITOR],
  'GET audit-events/{id}/proof': [AUDITOR],
  'GET {collection}/{id}/proof': [AUDITOR],
  'GET audit/log/checkpoint': [AUDITOR],
  'GET audit/log/tile/{*path}': [AUDITOR],
  'GET audit/log/vkey': [AUDITOR],
  'GET audit/log/anchor': [AUDITOR],
  'GET audit/platform/checkpoint': [AUDITOR],
  'GET audit/platform/vkey': [AUDITOR],
  'GET configuration': [OPERATOR],
  'PUT configuration': [OPERATOR],
  'POST holds': [PRIVACY],
  'GET holds': [PRIVACY],
  'GET holds/{id}': [PRIVACY],
  'POST holds/{id}/release': [PRIVACY],
  'POST erasures': [PRIVACY],
  'GET erasures': [PRIVACY],
  'GET erasures/{id}': [PRIVACY],
  'POST subjects/{subject}/erasure': [PRIVACY],
  'GET jobs': [OPERATOR],
  'POST jobs/{name}/run': [OPERATOR],
  'POST jobs/{name}/pause': [OPERATOR],
  'POST jobs/{name}/resume': [OPERATOR],
  'POST jobs/pause': [OPERATOR],
  'POST jobs/resume': [OPERATOR],
  'GET health': 'anybody',
  'GET openapi.json': 'anybody',
  'GET docs': 'anybody',
  'GET docs/{file}': 'anybody',
  'GET {*path}': 'anybody',
  'POST {*path}': 'anybody',
  'PATCH {*path}': 'anybody',
};

/** Of a type that needs more than others, by collection and route: none does. */
const MAY_IN: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {};

const UUID = '01980000-0000-7000-8000-000000000000';

/** Every address of a type at `{collection}/{id}/{action}`, and one where nothing is. */
function actionsOf(type: RecordType, id: string): readonly string[] {
  const parts = type.parts === undefined ? [] : [type.parts.path];
  const segments = [
    ...Object.keys(type.actions),
    ...Object.keys(addingsOf(type)),
    ...viewsOf(type),
    ...parts,
  ];
  const below = [...new Set([...segments, 'nothing-known'])].map((segment) => `/${type.collection}/${id}/${segment}`); // prettier-ignore
  return type.named === undefined ? below : [...below, `/${type.collection}${putOf(type, 'somebody').path}`];
}

interface Address {
  readonly route: string;
  readonly method: string;
  readonly path: string;
  readonly collection: string | undefined;
}

/** Every method of every route, at every address that the record types give it; `idOf` names a record. */
function addresses(idOf: (type: RecordType) => string): readonly Address[] {
  return Object.entries(ROUTES).flatMap(([template, resource]) =>
    Object.keys(resource).flatMap((method): readonly Address[] => {
      const route = `${method} ${template}`;
      if (!template.includes('{collection}')) {
        const path = `/${template.replace('{id}', `evt_${UUID}`).replace('{name}', 'migrate').replace('{file}', 'start.js').replace('{*path}', 'no/where/at/all')}`; // prettier-ignore
        return [{ route, method, path, collection: undefined }];
      }
      return RECORD_TYPES.flatMap((type) => {
        const { collection } = type;
        const filled = `/${template}`.replace('{collection}', collection).replace('{id}', idOf(type)).replace('{revision}', '1'); // prettier-ignore
        const paths = template.endsWith('{action}') ? actionsOf(type, idOf(type)) : [filled];
        return paths.map((path) => ({ route, method, path, collection }));
      });
    }),
  );
}

const absent = (type: RecordType): string => `${type.idPrefix}_${UUID}`;
const WALK = addresses(absent);

let host: HttpHost;
beforeAll(() => {
  const ports = memoryPorts({ clock: realClock });
  host = httpHost(ports, { rateLimits: { caller: undefined, tenant: undefined, address: undefined } });
});

const send = ({ method, path }: Address, roles: string, headers = {}): Promise<Reply> =>
  host.request(method, path, { ...(method === 'GET' ? {} : { body: {} }), roles, headers });

/** Whether somebody with these roles was refused for them. */
async function refused(address: Address, roles: string): Promise<boolean> {
  const reply = await send(address, roles);
  if (reply.status !== 403) return false;
  expect([address, reply.code]).toEqual([address, 'forbidden']);
  return true;
}

function mayOf({ route, collection }: Address): readonly string[] | 'anybody' | undefined {
  return MAY_IN[collection ?? '']?.[route] ?? MAY[route];
}

describe('who may', () => {
  it('is decided here for every method of every route, and for no other', () => {
    const routed = Object.entries(ROUTES).flatMap(([template, resource]) => Object.keys(resource).map((method) => `${method} ${template}`)); // prettier-ignore
    expect(Object.keys(MAY).sort()).toEqual(routed.sort());
    expect(new Set(WALK.map(({ route }) => route)).size).toBe(routed.length);
    const known = new Set(RECORD_TYPES.map(({ collection }) => collection));
    expect(Object.keys(MAY_IN).filter((collection) => !known.has(collection))).toEqual([]);
  });

  it.each([...ROLES, ...NOTHING].map((roles) => [roles]))('with the roles "%s" alone', async (roles) => {
    const said = await Promise.all(WALK.map(async (address) => [address, !(await refused(address, roles))]));
    const expected = WALK.map((address) => {
      const may = mayOf(address);
      return [address, may === 'anybody' || may?.includes(roles) === true];
    });
    expect(said).toEqual(expected);
  });

  it('with every role but one', async () => {
    for (const role of ROLES) {
      const others = ROLES.filter((other) => other !== role).join(',');
      for (const address of WALK) {
        const may = mayOf(address);
        const expected = may === 'anybody' || ROLES.some((other) => other !== role && may?.includes(other));
        expect([address, !(await refused(address, others))]).toEqual([address, expected]);
      }
    }
  });
});

describe('a refusal', () => {
  const guarded = WALK.filter((address) => mayOf(address) !== 'anybody');

  it('comes before whatever else is wrong with the request', async () => {
    for (const address of guarded) {
      const wrong = { ...address, path: `${address.path}?limit=nonsense&unknown=1&as_of=never` };
      const headers = { 'content-type': 'text/plain', 'idempotency-key': 'ä', 'x-session-id': 'ü', 'if-match': '?' }; // prettier-ignore
      const body = address.method === 'GET' ? {} : { raw: Buffer.alloc(1_200_000, 0x7b) };
      const roles = ROLES.find((role) => mayOf(address)?.includes(role) !== true) ?? '';
      const reply = await host.request(wrong.method, wrong.path, { ...body, headers, roles });
      expect([address, reply.status, reply.code]).toEqual([address, 403, 'forbidden']);
    }
  });

  it('is the same for a record that is there, one that is not, and an id that can be none', async () => {
    const all = ROLES.join(',');
    const made = new Map<string, string>();
    for (const type of RECORD_TYPES) {
      const { collection } = type;
      const put = type.named === undefined ? undefined : putOf(type, 'somebody');
      const reply =
        put === undefined
          ? await host.post(`/${collection}`, bodyOf(type), { roles: all })
          : await host.request('PUT', `/${collection}${put.path}`, { body: put.body, roles: all });
      expect([collection, reply.status], reply.text).toEqual([collection, 201]);
      made.set(collection, reply.envelope.id);
      expect((await host.get(`/${collection}/${reply.envelope.id}`, { roles: READER })).status).toBe(200);
    }
    const there = addresses((type) => made.get(type.collection) ?? '');
    const malformed = addresses(() => 'nonsense');
    let compared = 0;
    for (const [at, address] of WALK.entries()) {
      const may = mayOf(address);
      if (may === 'anybody') continue;
      const others = ROLES.filter((role) => may?.includes(role) !== true).join(',');
      const answers = await Promise.all(
        [address, there[at], malformed[at]].map((one) => send(one as Address, others)),
      );
      const seen = answers.map(({ status, headers, json }) => {
        const { ratelimit: _, ...rest } = headers;
        return [status, rest, { ...json, instance: 'any' }];
      });
      expect(seen[1]).toEqual(seen[0]);
      expect(seen[2]).toEqual(seen[0]);
      expect(seen[0]?.[0]).toBe(403);
      compared += 1;
    }
    expect(compared).toBeGreaterThan(60);
  });

  it('is what an unknown collection and a name that every object has come to as well', async () => {
    for (const collection of ['nothing', 'constructor', '__proto__', 'audit-events']) {
      for (const [method, path] of [['POST', `/${collection}/x/y`], ['GET', `/${collection}/x/constructor`], ['POST', `/inbox/${collection}`]] as const) // prettier-ignore
        expect([path, (await host.request(method, path, { roles: OPERATOR, ...(method === 'GET' ? {} : { body: {} }) })).status]).toEqual([path, 403]); // prettier-ignore
    }
  });
});
