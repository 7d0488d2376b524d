import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../src/domain/audit-event.js';
import { EntraCallers } from '../../src/security/entra-caller.js';
import { fetchJsonWith } from '../../src/security/fetch-json.js';
import { partitionKey, prefixRange, SYSTEM_TENANT } from '../../src/storage/keys.js';
import type { StoragePorts } from '../../src/storage/ports.js';
import { readRange } from '../../src/storage/range.js';
import { badTokens } from '../support/bad-tokens.js';
import { countingPorts } from '../support/counting-ports.js';
import { MINIMAL } from '../support/decisions.js';
import { httpHost, type HttpHost, type Reply } from '../support/http-harness.js';
import { appClaims, AUDIENCE, CLIENT, LocalIssuer, newSigningKey, OID, OTHER_TID, signed, TID, userClaims, type SigningKey } from '../support/local-issuer.js'; // prettier-ignore
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';
import { realClock } from '../support/virtual-clock.js';

const DAY = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

let issuer: LocalIssuer;
let keys: readonly [SigningKey, SigningKey, SigningKey];

beforeAll(async () => {
  keys = (await Promise.all(['one', 'two', 'three'].map(newSigningKey))) as [
    SigningKey,
    SigningKey,
    SigningKey,
  ];
  issuer = await LocalIssuer.start(keys[0], keys[1]);
});
afterAll(() => issuer.stop());

/** A host that takes tokens of the local issuer; its tenants are of its own. */
function hostOn(ports: StoragePorts, tenant: string): HttpHost {
  const callers = new EntraCallers(
    { fetchJson: fetchJsonWith(fetch), clock: realClock, onError: () => undefined },
    { authority: issuer.authority, audiences: [AUDIENCE], tenants: new Map([[TID, [tenant]], [OTHER_TID, [`${tenant}-2`]]]), tenantClaim: undefined }, // prettier-ignore
  );
  return httpHost(ports, { authenticate: callers.authenticate.bind(callers) });
}

/** The events of a tenant that are stored, those of the last midnight included. */
async function eventsOf(ports: StoragePorts, tenant: string): Promise<readonly AuditEvent[]> {
  const days = new Set([DAY(Date.now() - 60_000), DAY(Date.now())]);
  const found: AuditEvent[] = [];
  for (const day of days) {
    const rows = await readRange(ports.tables, 'auditevents', partitionKey(tenant, day), prefixRange('r:'));
    found.push(...rows.map(({ properties }) => JSON.parse(String(properties['event'])) as AuditEvent));
  }
  return found;
}

const bearer = (token: string): { headers: Record<string, string> } => ({ headers: { authorization: `Bearer ${token}` } }); // prettier-ignore

/** What a refused caller sees, but for the id of the invocation. */
const seen = ({ status, headers, text }: Reply): readonly unknown[] => {
  const { instance, ...problem } = JSON.parse(text) as Record<string, unknown>;
  expect(instance).toMatch(/^[0-9a-f-]{36}$/);
  return [status, headers, problem];
};

describe.each(STORAGES)('sign-in $name', (kind) => {
  let storage: StorageUnderTest;
  let host: HttpHost;
  let tenant: string;
  beforeAll(async () => {
    storage = await openStorage(kind);
  });
  afterAll(() => storage.close());
  beforeEach(() => {
    tenant = `t${Math.random().toString(36).slice(2)}`;
    host = hostOn(storage.ports, tenant);
  });

  it('lets a person write and an application read, in the tenant of their token, under their own names', async () => {
    const roles = ['records.reader', 'records.writer', 'records.sensitive-reader'];
    const person = await signed(userClaims(issuer.authority, Date.now(), { roles }), keys[0]);
    const stored = await host.post('/decisions', MINIMAL, bearer(person));
    expect(stored.status).toBe(201);
    const { id, data } = stored.envelope;
    expect([stored.envelope.tenant, data['created_by']]).toEqual([tenant, `user:${OID}`]);
    const app = await signed(appClaims(issuer.authority, Date.now()), keys[1]);
    expect((await host.get(`/decisions/${id}`, bearer(app))).status).toBe(200);
    const other = userClaims(issuer.authority, Date.now(), { tid: OTHER_TID, iss: `${issuer.authority}/${OTHER_TID}/v2.0` }); // prettier-ignore
    expect((await host.get(`/decisions/${id}`, bearer(await signed(other, keys[0])))).status).toBe(404);
  });

  it('is not fooled by the headers of development', async () => {
    const headers = { 'x-dev-tenant': tenant, 'x-dev-roles': 'records.reader', 'x-dev-actor': 'ada' };
    expect((await host.get('/decisions', { headers })).status).toBe(401);
    const reader = await signed(
      userClaims(issuer.authority, Date.now(), { roles: ['records.reader'] }),
      keys[0],
    );
    const more = { 'x-dev-roles': 'records.writer', ...bearer(reader).headers };
    expect((await host.post('/decisions', MINIMAL, { headers: more })).status).toBe(403);
  });

  it('needs none for health and the description', async () => {
    for (const path of ['/health', '/openapi.json', '/docs'])
      expect((await host.get(path, bearer('nonsense'))).status).toBe(200);
  });

  it('answers every bad token alike, and puts the reason into the audit trail alone', async () => {
    const table = await badTokens({
      issuer,
      key: keys[0],
      second: keys[1],
      foreign: keys[2],
      nowMs: Date.now(),
    });
    const before = new Set((await eventsOf(storage.ports, SYSTEM_TENANT)).map(({ event_id }) => event_id));
    const answers = new Set<string>();
    for (const [n, { header }] of table.entries()) {
      const headers = { 'x-forwarded-for': `198.51.100.${String(n)}`, ...(header === undefined ? {} : { authorization: header }) }; // prettier-ignore
      answers.add(JSON.stringify(seen(await host.get('/decisions', { headers }))));
    }
    expect(answers.size).toBe(1);
    expect(JSON.parse([...answers][0] ?? '')).toEqual([
      401,
      {
        'content-type': 'application/problem+json; charset=utf-8',
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'www-authenticate': 'Bearer',
      },
      {
        type: 'urn:business-records:errors#unauthenticated',
        title: 'Nobody was authenticated',
        status: 401,
        detail: 'The request carries no valid credentials.',
      },
    ]);
    await host.platform.refusals.flush();
    const own = await eventsOf(storage.ports, tenant);
    const system = (await eventsOf(storage.ports, SYSTEM_TENANT)).filter(
      ({ event_id }) => !before.has(event_id),
    );
    const reasons = (events: readonly AuditEvent[]): unknown[] => events.map(({ details }) => details['reason']).sort(); // prettier-ignore
    expect(reasons(own)).toEqual(table.filter(({ proven }) => proven).map(({ reason }) => reason).sort()); // prettier-ignore
    expect(reasons(system)).toEqual(table.filter(({ proven }) => !proven).map(({ reason }) => reason).sort()); // prettier-ignore
    for (const event of [...own, ...system]) {
      expect(event).toMatchObject({ event_type: 'access.refused', action: 'GET collection', resource_type: 'decision', resource_id: '-', details: { code: 'unauthenticated', count: 1 } }); // prettier-ignore
      // Nothing of a token: neither names nor ids nor pieces of it.
      expect(JSON.stringify(event)).not.toMatch(/198\.51\.100|eyJ|example\.com|attacker/);
      for (const id of [TID, OTHER_TID, CLIENT, OID, AUDIENCE])
        expect(JSON.stringify(event)).not.toContain(id);
    }
  });

  it('costs no call of storage', async () => {
    const counted = countingPorts(storage.ports);
    const counting = hostOn(counted.ports, tenant);
    const none = await signed(userClaims(issuer.authority, Date.now(), { roles: [] }), keys[0]);
    for (let n = 0; n < 3; n += 1) {
      expect((await counting.get('/decisions', bearer(none))).status).toBe(403);
      expect((await counting.get('/decisions', bearer('x.y.z'))).status).toBe(401);
    }
    expect(counted.counts()).toEqual({});
  });

  it('says that it cannot tell, when no key was ever had, and calls that no refusal', async () => {
    issuer.mood = 'down';
    try {
      const token = await signed(userClaims(issuer.authority, Date.now()), keys[0]);
      const reply = await host.get('/decisions', bearer(token));
      expect([reply.status, reply.code, reply.headers['retry-after']]).toEqual([
        503,
        'storage-unavailable',
        '5',
      ]);
      expect(host.platform.refusals.waiting).toBe(0);
    } finally {
      issuer.mood = 'well';
    }
  });
});
