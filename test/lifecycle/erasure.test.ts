import { describe, expect, it } from 'vitest';
import type { Erasure } from '../../src/domain/erasure.js';
import type { HttpHost } from '../support/http-harness.js';
import { held } from '../support/holds.js';
import { caller, STORAGES } from '../support/platform.js';
import { useHttpHost } from '../support/use-http-host.js';

const REASON = 'Request under article 17.';

async function erased(host: HttpHost, subject: string): Promise<Erasure> {
  const reply = await host.post('/erasures', { subject, reason: REASON, reference: '2026-E-1' });
  expect(reply.status, reply.text).toBe(202);
  return seen(host, (reply.json as unknown as Erasure).erasure_id);
}

async function seen(host: HttpHost, id: string): Promise<Erasure> {
  await host.platform.jobs.start('index-subjects');
  await host.platform.jobs.start('erase');
  const reply = await host.get(`/erasures/${id}`);
  expect(reply.status, reply.text).toBe(200);
  return reply.json as unknown as Erasure;
}

describe.each(STORAGES)('erasure $name', (kind) => {
  const { host } = useHttpHost(kind);

  it('destroys the key, says what it found, and is provisional', async () => {
    const body = { decision_type: 'strategic', title: 'T', metadata: { subject_id: 'p-1' } };
    const made = await host.platform.manager.create((await import('../../src/records/decision.js')).decisionType, body, caller());
    const erasure = await erased(host, 'p-1');
    expect(erasure).toMatchObject({ state: 'provisional', reason: REASON, certificate: { records: { decisions: 1 }, key: 'destroyed', actors: 0 } });
    expect(erasure.certified_by).toHaveLength(1);
    const read = await host.get(`/decisions/${made.envelope.id}`);
    expect(read.text).not.toContain('p-1');
    const again = await erased(host, 'p-1');
    expect(again).toMatchObject({ state: 'provisional', certificate: { records: {}, key: 'destroyed-before' } });
  });

  it('says of somebody whom nobody knows that he is unknown', async () => {
    expect(await erased(host, 'p-unknown')).toMatchObject({ state: 'unknown-subject' });
  });

  it('is refused while a hold is on the subject', async () => {
    await held(host, { subject: 'p-2' });
    const reply = await host.post('/erasures', { subject: 'p-2', reason: REASON });
    expect(reply.status, reply.text).toBe(409);
  });

  it('takes the subject from the address', async () => {
    const reply = await host.post('/subjects/p%20%C3%A9-3/erasure', { reason: REASON });
    expect(reply.status, reply.text).toBe(202);
  });
});
