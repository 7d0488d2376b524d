import { describe, expect, it } from 'vitest';
import { checksumOf, type Json } from '../../src/domain/canonical-json.js';
import { conversationType } from '../../src/records/conversation.js';
import { decisionType } from '../../src/records/decision.js';
import { committedOf } from '../support/committed.js';
import { testKeyRing } from '../support/key-ring.js';
import { caller, openStorage, STORAGES, testPlatform } from '../support/platform.js';

const COMMITMENT = { $commitment: expect.stringMatching(/^[0-9a-f]{64}$/) as string };
const BODY = { decision_type: 'strategic', title: 'T', created_by: 'Ada', inputs: { salary: 1 } };
const VOTE = { vote: 'approve', confidence: 1 };

/** A value whose key is gone stays a commitment for ever, and the record goes on. */
describe.each(STORAGES)('a record with erased values $name', (kind) => {
  const call = caller();
  const isSound = (envelope: Parameters<typeof committedOf>[0] & { readonly checksum: string }): boolean =>
    checksumOf(committedOf(envelope) as Json) === envelope.checksum;

  it('is read, changed and voted on, and carries the commitments on to where their values would be', async () => {
    const { ports, close } = await openStorage(kind);
    const first = testPlatform(ports).manager;
    const { id } = (await first.create(decisionType, { ...BODY, metadata: { subject_id: 'p-1' } }, call)).envelope; // prettier-ignore
    for (const agent of ['cfo', 'cto'])
      await first.act(decisionType, id, 'votes', { ...VOTE, agent, reasoning: `by ${agent}` }, undefined, call); // prettier-ignore
    const before = (await first.get(decisionType, id, { ...call, maySeeSensitive: false })).envelope.data;
    await testKeyRing(ports).dataKeys.destroySubject(call.tenant, 'p-1');

    const { manager } = testPlatform(ports);
    const read = await manager.get(decisionType, id, call);
    expect(read.envelope.data).toEqual(before);
    expect(isSound(read.envelope)).toBe(true);
    // The first vote moves to the end, and the other one's reasoning is in another place.
    const voted = await manager.act(decisionType, id, 'votes', { ...VOTE, agent: 'cfo' }, undefined, call);
    const [cto] = (before['agent_votes'] as unknown[]).slice(1);
    expect(voted.envelope.data).toMatchObject({ created_by: before['created_by'], inputs: before['inputs'], agent_votes: [cto, { agent: 'cfo' }] }); // prettier-ignore
    const patch = { title: 'U', inputs: { horizon: 3 }, metadata: { subject_id: null } };
    const patched = await manager.patch(decisionType, id, patch, voted.etag, call);
    expect(patched.envelope.data).toMatchObject({ title: 'U', inputs: { horizon: 3 }, agent_votes: [cto, {}] }); // prettier-ignore
    expect(Object.keys(patched.envelope.data['inputs'] as object)).toEqual(['horizon']);
    for (const on of [manager, testPlatform(ports).manager]) {
      const again = await on.get(decisionType, id, call);
      expect(again.envelope).toEqual(patched.envelope);
      expect(isSound(again.envelope)).toBe(true);
      expect((await on.list(decisionType, { filters: { created_by: 'Ada' }, limit: 5 }, call)).items).toEqual([]); // prettier-ignore
    }
    close();
  });

  it('is read by a process that still remembers the key, after another has carried the commitments on', async () => {
    const { ports, close } = await openStorage(kind);
    const [first, other] = [testPlatform(ports).manager, testPlatform(ports).manager];
    const { id } = (await first.create(decisionType, BODY, call)).envelope;
    expect((await other.get(decisionType, id, call)).envelope.data).toMatchObject({ created_by: 'Ada' });
    await testKeyRing(ports).dataKeys.destroySubject(call.tenant, 'Ada');

    const { manager } = testPlatform(ports);
    const changed = await manager.patch(decisionType, id, { title: 'U' }, (await manager.get(decisionType, id, call)).etag, call); // prettier-ignore
    expect(changed.envelope.data).toMatchObject({ title: 'U', created_by: COMMITMENT });
    expect((await other.get(decisionType, id, call)).envelope).toEqual(changed.envelope);
    const voted = await other.act(decisionType, id, 'votes', { ...VOTE, agent: 'cfo' }, undefined, call);
    expect(voted.envelope.data).toMatchObject({ created_by: COMMITMENT });
    close();
  });

  it('does not get them back from a process that had read them, under the next key of whom they were about', async () => {
    const { ports, close } = await openStorage(kind);
    const { id } = (await testPlatform(ports).manager.create(decisionType, BODY, call)).envelope;
    const { manager } = testPlatform(ports);
    const read = await manager.get(decisionType, id, call);
    expect(read.envelope.data).toMatchObject({ created_by: 'Ada' });
    await testKeyRing(ports).dataKeys.destroySubject(call.tenant, 'Ada');

    const patch = () => manager.patch(decisionType, id, { title: 'U' }, read.etag, call);
    await expect(patch()).rejects.toMatchObject({ code: 'storage-unavailable', retryAfterS: 1 });
    expect((await patch()).envelope.data).toMatchObject({ title: 'U', created_by: COMMITMENT });
    expect((await manager.create(decisionType, BODY, call)).envelope.data).toMatchObject({ created_by: 'Ada' }); // prettier-ignore
    close();
  });

  it('keeps rules that compare its values: two people of a list who are gone are still two', async () => {
    const { ports, close } = await openStorage(kind);
    const body = { conversation_type: 'boardroom', participants: ['Ada', 'Eve', 'Bob'] };
    const { id } = (await testPlatform(ports).manager.create(conversationType, body, call)).envelope;
    for (const name of ['Ada', 'Eve']) await testKeyRing(ports).dataKeys.destroySubject(call.tenant, name);
    const { manager } = testPlatform(ports);
    const read = await manager.get(conversationType, id, call);
    expect(read.envelope.data['participants']).toEqual([COMMITMENT, COMMITMENT, 'Bob']);
    const patched = await manager.patch(conversationType, id, { metadata: { topic: 'x' } }, read.etag, call);
    expect(patched.envelope.data['participants']).toEqual(read.envelope.data['participants']);
    const twice = manager.patch(conversationType, id, { participants: ['Bob', 'Bob'] }, patched.etag, call);
    await expect(twice).rejects.toMatchObject({ code: 'record-invalid' });
    close();
  });
});
