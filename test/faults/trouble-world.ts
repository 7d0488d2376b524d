import { expect } from 'vitest';
import { openAzureStorage } from '../../src/azure/index.js';
import { LIMITS } from '../../src/domain/limits.js';
import { storageNames } from '../../src/platform.js';
import { useAzurite } from '../support/azurite.js';
import { deliver, messageOf } from '../support/courier.js';
import { created, MINIMAL, newTenant, vote, walk } from '../support/decisions.js';
import { fastClock } from '../support/fast-clock.js';
import { httpHost, type HttpHost, type Reply } from '../support/http-harness.js';
import { TroubleMaker } from '../support/trouble.js';

/** For the hurried host a budget is spent in a tenth of its time. */
export const SPEED = 10;
/** Sent after the answer, and nobody waits for it. */
const SEALING = /\/seal-work\//;
/** A request that nobody answers costs this much; anything that is answered, on a busy machine too, takes less. */
const TRY_MS = LIMITS.storageTryMs / SPEED;

/** Hosts on one storage. */
export interface TroubleWorld {
  readonly trouble: TroubleMaker;
  /** Meets trouble, with the whole budget to get over it. */
  readonly patient: HttpHost;
  /** Meets trouble, with a budget that is spent in two seconds. */
  readonly hurried: HttpHost;
  /** Never meets trouble. */
  readonly calm: HttpHost;
  /** Neither does this one, and its time is a little more than the life of a reservation later. */
  readonly later: HttpHost;
  close(): void;
}

export async function openTroubleWorld(): Promise<TroubleWorld> {
  const trouble = new TroubleMaker(TRY_MS * 0.4, SEALING);
  const troubled = useAzurite({ additionalPolicies: [trouble.policy], tryMs: TRY_MS });
  const { connectionString } = troubled;
  const well = openAzureStorage({ connectionString });
  await well.provision(storageNames());
  return {
    trouble,
    patient: httpHost(troubled.ports, { clock: fastClock(1) }),
    hurried: httpHost(troubled.ports, { clock: fastClock(SPEED) }),
    calm: httpHost(well.ports),
    later: httpHost(well.ports, { clock: fastClock(1, LIMITS.idempotencyTakeoverMs + 1_000) }),
    close: () => {
      troubled.close();
      well.close();
    },
  };
}

/** One way to use the platform, prepared on a storage that is well. */
export interface Scenario {
  /** What is asked, on any host, any number of times. */
  readonly ask: (host: HttpHost) => Promise<Reply>;
  /** What may be the answer when it succeeds. */
  readonly success: number;
  /** Holds what is stored against the answers, once the request was repeated until it succeeded. */
  readonly settled: (host: HttpHost, answers: readonly Reply[]) => Promise<void>;
}

type Prepare = (world: TroubleWorld) => Promise<Scenario>;

const sameBody = (answers: readonly Reply[]): void => {
  for (const answer of answers) expect(answer.json).toEqual(answers[0]?.json);
};

/** Each on a tenant or a record of its own. */
export const SCENARIOS: Readonly<Record<string, Prepare>> = {
  'a create': async () => {
    const options = { tenant: newTenant(), key: 'k' };
    return {
      ask: (host) => host.post('/decisions', MINIMAL, options),
      success: 201,
      settled: async (host, answers) => {
        sameBody(answers);
        expect((await walk(host, '/decisions', options)).ids).toEqual([answers[0]?.envelope.id]);
      },
    };
  },
  'a batch': async () => {
    const options = { tenant: newTenant(), key: 'k' };
    // Two months and more than one transaction of one of them.
    const items = Array.from({ length: 14 }, (_, n) => ({ ...MINIMAL, title: `item ${n}`, created_at: `2024-0${n === 0 ? 1 : 2}-01T00:00:00Z` })); // prettier-ignore
    return {
      ask: (host) => host.post('/decisions/batch', { items }, options),
      success: 201,
      settled: async (host, answers) => {
        sameBody(answers);
        const { ids } = await walk(host, '/decisions', options);
        expect(ids.sort()).toEqual(answers[0]?.heads.map(({ id }) => id).sort());
      },
    };
  },
  'a vote': async ({ calm }) => {
    const record = await created(calm, {}, { tenant: newTenant() });
    const { id, tenant } = record.envelope;
    return {
      ask: (host) => host.post(`/decisions/${id}/votes`, vote('cfo'), { tenant, key: 'k' }),
      success: 200,
      settled: async (host, answers) => {
        sameBody(answers);
        expect((await host.get(`/decisions/${id}`, { tenant })).json).toEqual(answers[0]?.json);
        expect(answers[0]?.envelope.revision).toBe(2);
      },
    };
  },
  'a promise': async () => {
    const options = { tenant: newTenant(), key: 'k' };
    return {
      ask: (host) => host.post('/inbox/decisions', MINIMAL, options),
      success: 202,
      settled: async (host, answers) => {
        const ids = answers.map(({ json }) => json['operation_id']);
        expect(new Set(ids).size).toBe(1);
        const message = { schema_version: '1.0', tenant: options.tenant, collection: 'decisions', idempotency_key: ids[0], operation_id: ids[0], actor: 'developer', data: MINIMAL }; // prettier-ignore
        await deliver(host.platform, messageOf(message));
        expect((await host.get(`/operations/${String(ids[0])}`, options)).json['status']).toBe('succeeded');
        expect((await walk(host, '/decisions', options)).ids).toHaveLength(1);
      },
    };
  },
  'a patch': async ({ calm }) => {
    const record = await created(calm, {}, { tenant: newTenant() });
    const { id, tenant } = record.envelope;
    return {
      ask: async (host) => {
        const reply = await host.patch(`/decisions/${id}`, { title: 'Another' }, record.etag, { tenant });
        // A repeated PATCH has no key: its ETag tells that the first one was stored.
        if (reply.status !== 412) return reply;
        return host.get(`/decisions/${id}`, { tenant });
      },
      success: 200,
      settled: async (host, answers) => {
        sameBody(answers);
        const { envelope } = await host.get(`/decisions/${id}`, { tenant });
        expect([envelope.revision, envelope.data['title']]).toEqual([2, 'Another']);
      },
    };
  },
  ...Object.fromEntries(
    [
      ['a read', (id: string) => `/decisions/${id}`],
      ['a read as of a time', (id: string) => `/decisions/${id}?as_of=2999-01-01T00:00:00Z`],
      ['a list', () => '/decisions?status=queued'],
      ['a list of revisions', (id: string) => `/decisions/${id}/revisions`],
      ['a list of events', (id: string) => `/audit-events?resource_id=${id}`],
    ].map(([name, path]) => [name, reading(path as (id: string) => string)]),
  ),
};

/** A read of a record that has one sealed event. */
function reading(path: (id: string) => string): Prepare {
  return async ({ calm }) => {
    const record = await created(calm, {}, { tenant: newTenant() });
    const { id, tenant } = record.envelope;
    await calm.platform.sealer.sealTenant(tenant);
    const expected = await calm.get(path(id), { tenant });
    expect(expected.status).toBe(200);
    return {
      ask: (host) => host.get(path(id), { tenant }),
      success: 200,
      settled: async (_, answers) => {
        for (const answer of answers) expect(answer.json).toEqual(expected.json);
      },
    };
  };
}
