import { describe, expect, it } from 'vitest';
import { MINIMAL, newTenant } from '../support/decisions.js';
import { type RequestOptions } from '../support/http-harness.js';
import { STORAGES } from '../support/platform.js';
import { useHttpHost } from '../support/use-http-host.js';

describe.each(STORAGES)('what a body claims about who wrote it $name', (kind) => {
  const { host } = useHttpHost(kind);

  /** Pseudonyms in the events of one record. */
  const actorsOf = async (id: string, tenant: string): Promise<readonly unknown[]> => {
    const { json } = await host.get(`/audit-events?resource_id=${id}`, { tenant });
    return (json['items'] as Record<string, unknown>[]).map(({ actor }) => actor);
  };

  it('stays a claim: the event says who called', async () => {
    const tenant = newTenant();
    const as = (actor: string): RequestOptions => ({ tenant, actor });
    const own = (await host.post('/decisions', MINIMAL, as('mallory'))).envelope;
    const claimed = (await host.post('/decisions', { ...MINIMAL, created_by: 'ada' }, as('mallory')))
      .envelope;
    const hers = (await host.post('/decisions', MINIMAL, as('ada'))).envelope;
    expect([own, claimed, hers].map(({ data }) => data['created_by'])).toEqual(['mallory', 'ada', 'ada']);
    await host.platform.sealer.sealTenant(tenant);
    const [mallory] = await actorsOf(own.id, tenant);
    const [claimant] = await actorsOf(claimed.id, tenant);
    const [ada] = await actorsOf(hers.id, tenant);
    expect(mallory).toMatch(/^act_/);
    expect(claimant).toBe(mallory);
    expect(ada).not.toBe(mallory);
  });
});
