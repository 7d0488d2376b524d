import { describe, expect, it } from 'vitest';
import { caller, openStorage, STORAGES, testPlatform } from '../support/platform.js';

describe.each(STORAGES)('BusinessStorageManager $name', (kind) => {
  const call = caller();

  it('stores decisions one by one and in batches, and reads them back typed', async () => {
    const { manager } = testPlatform((await openStorage(kind)).ports);
    const id = await manager.storeDecision({ decision_type: 'financial', title: 'Lease or buy' }, call);
    const ids = await manager.batchStoreDecisions(
      Array.from({ length: 30 }, (_, at) => ({
        decision_type: 'technical' as const,
        title: `Item ${String(at)}`,
        created_at: new Date(Date.UTC(2026, at % 3, 1)).toISOString(),
      })),
      call,
    );
    expect(new Set([id, ...ids]).size).toBe(31);
    const titles = await Promise.all(
      ids.map(async (one) => (await manager.getDecision(one, call)).decision.title),
    );
    expect(titles).toEqual(Array.from({ length: 30 }, (_, at) => `Item ${String(at)}`));
    const page = await manager.listDecisions({ decisionType: 'technical', from: new Date(Date.UTC(2026, 1, 1)), to: new Date(Date.UTC(2026, 2, 1)) }, call); // prettier-ignore
    expect(page.items).toHaveLength(10);
  });

  it('takes votes and an outcome, and remembers what was before', async () => {
    const { manager } = testPlatform((await openStorage(kind)).ports);
    const id = await manager.storeDecision({ decision_type: 'financial', title: 'Lease or buy' }, call);
    const before = await manager.getDecision(id, call);
    await manager.voteOnDecision(id, { agent: 'cfo', vote: 'approve', confidence: 0.7 }, call);
    const decided = await manager.recordOutcome(id, { decision: 'lease', confidence: 0.9 }, call);
    expect(decided.decision.outcome?.decision).toBe('lease');
    expect(decided.revision).toBe(3);
    const stored = (await manager.getRevision((await import('../../src/records/decision.js')).decisionType, id, 1, call)).envelope.stored_at; // prettier-ignore
    expect((await manager.getDecisionAsOf(id, new Date(stored), call)).decision).toEqual(before.decision);
    await expect(manager.recordOutcome(id, { decision: 'buy', confidence: 1 }, call)).rejects.toMatchObject({ code: 'record-immutable' }); // prettier-ignore
  });

  it('tells a missing decision from one of another tenant no more than it must', async () => {
    const { manager } = testPlatform((await openStorage(kind)).ports);
    const id = await manager.storeDecision({ decision_type: 'financial', title: 'Lease or buy' }, call);
    const other = caller({ tenant: 'other' });
    expect(await manager.findDecision(id, other)).toBeUndefined();
    await expect(manager.getDecision(id, other)).rejects.toMatchObject({ code: 'record-not-found' });
    await expect(manager.getDecision('nonsense', call)).rejects.toMatchObject({ code: 'record-not-found' });
  });

  it('finds the state of a record at any moment of a long history', async () => {
    const { manager } = testPlatform((await openStorage(kind)).ports);
    const id = await manager.storeDecision({ decision_type: 'financial', title: 'Lease or buy' }, call);
    const times: string[] = [];
    for (let at = 0; at < 12; at += 1) {
      await manager.voteOnDecision(
        id,
        { agent: `agent-${String(at)}`, vote: 'abstain', confidence: 0 },
        call,
      );
    }
    const { decisionType } = await import('../../src/records/decision.js');
    const revisions = await manager.listRevisions(decisionType, id, { limit: 100 }, call);
    times.push(...revisions.items.map((head) => head.stored_at));
    for (const [at, time] of times.entries()) {
      expect((await manager.getAsOf(decisionType, id, time, call)).envelope.revision).toBe(at + 1);
      const justBefore = new Date(Date.parse(time) - 1).toISOString();
      const asOf = manager.getAsOf(decisionType, id, justBefore, call);
      if (at === 0) await expect(asOf).rejects.toMatchObject({ code: 'record-not-found' });
      else expect((await asOf).envelope.revision).toBe(at);
    }
  });

  it('stores the state of agents under role and name, and reads it back typed', async () => {
    const { manager } = testPlatform((await openStorage(kind)).ports);
    const state = { role: 'cfo', agent_id: 'cfo-1', status: 'busy', current_load: 0.5 };
    const id = await manager.storeAgentState(state, call);
    expect(await manager.storeAgentState({ ...state, status: 'idle' }, call)).toBe(id);
    const stored = await manager.getAgentState('cfo', 'cfo-1', call);
    expect(stored).toMatchObject({ id, revision: 2, state: { ...state, status: 'idle', tasks: [] } });
    const more = Array.from({ length: 3 }, (_, n) => ({ ...state, agent_id: `agent ${String(n)}` }));
    const ids = await manager.batchStoreAgentStates(more, call);
    expect((await manager.getAgentState('cfo', 'agent 2', call)).id).toBe(ids[2]);
    await expect(manager.getAgentState('coo', 'cfo-1', call)).rejects.toMatchObject({ code: 'record-not-found' }); // prettier-ignore
  });

  it('stores workflow executions and their steps, and reads them back typed', async () => {
    const { manager } = testPlatform((await openStorage(kind)).ports);
    const run = { workflow_name: 'invoice approval', version: '1' };
    const id = await manager.storeWorkflowExecution(run, call);
    await manager.recordStep(id, { step_id: 'check', status: 'running' }, call);
    const moved = await manager.recordStep(id, { step_id: 'check', status: 'completed', output: { ok: true } }, call); // prettier-ignore
    expect(moved.execution.step_results['check']?.output).toEqual({ ok: true });
    expect(await manager.getWorkflowExecution(id, call)).toEqual(moved);
    const ids = await manager.batchStoreWorkflowExecutions([run, { ...run, workflow_name: 'b' }], call);
    expect((await manager.getWorkflowExecution(ids[1] as string, call)).execution.workflow_name).toBe('b');
  });

  it('stores metrics and their values, and reads them back typed', async () => {
    const { manager } = testPlatform((await openStorage(kind)).ports);
    const metric = { name: 'Orders', metric_type: 'counter' as const, unit: 'orders', current_value: 1 };
    const id = await manager.storeBusinessMetric(metric, call);
    const added = await manager.recordMetricValues(id, [{ value: 5 }], call);
    expect(added.metric.current_value).toBe(5);
    expect(await manager.getBusinessMetric(id, call)).toEqual(added);
    const ids = await manager.batchStoreBusinessMetrics([metric, { ...metric, metric_type: 'gauge' }], call);
    expect((await manager.getBusinessMetric(ids[1] as string, call)).metric.metric_type).toBe('gauge');
  });

  it('stores conversations and their messages, and reads them back typed', async () => {
    const { manager } = testPlatform((await openStorage(kind)).ports);
    const talk = { conversation_type: 'boardroom' as const, participants: ['ceo', 'cfo'] };
    const id = await manager.storeConversation({ ...talk, messages: [{ message_id: 'a', sender: 'ceo', content: 'Now?', timestamp: '2026-01-01T00:00:00Z' }] }, call); // prettier-ignore
    await manager.addMessage(id, { message_id: 'b', sender: 'cfo', content: 'No.', timestamp: '2026-01-02T00:00:00Z' }, call); // prettier-ignore
    await manager.editMessage(id, { message_id: 'b', sender: 'cfo', content: 'Yes.' }, call);
    const last = await manager.reactToMessage(id, { message_id: 'b', sender: 'ceo', reaction: '+1' }, call);
    expect(last.conversation.messages.map(({ content, reactions }) => [content, reactions])).toEqual([['Now?', []], ['Yes.', ['+1']]]); // prettier-ignore
    expect(await manager.getConversation(id, call)).toEqual(last);
    const page = await manager.listMessages(id, { from: new Date(Date.UTC(2026, 0, 2)), limit: 2 }, call);
    expect(page.items.map(({ seq, change }) => [seq, change])).toEqual([[1, 'message'], [2, 'edit']]); // prettier-ignore
    const [, second] = await manager.batchStoreConversations([talk, { ...talk, metadata: { n: 2 } }], call);
    expect((await manager.getConversation(second as string, call)).conversation.metadata).toEqual({ n: 2 });
  });

  it('keeps covenants with their versions, amendments and recognitions', async () => {
    const { manager } = testPlatform((await openStorage(kind)).ports);
    const covenant = {
      organization: { name: 'Meridian Cooperative' },
      compliance_standard: 'BIC-1.0',
      principles: [{ name: 'Transparency' }],
      governance: { model: 'elected board' },
    };
    const id = await manager.storeCovenant({ ...covenant, status: 'active' }, call);
    const ids = await manager.batchStoreCovenants([covenant, { ...covenant, version: '3' }], call);
    const versions = await Promise.all(ids.map(async (one) => (await manager.getCovenant(one, call)).covenant.version)); // prettier-ignore
    expect(versions).toEqual(['1.0', '3']);
    const change = { title: 'Quorum', description: 'Raised', proposed_by: 'the board' };
    expect((await manager.amendCovenant(id, change, call)).covenant.status).toBe('amended');
    const second = await manager.publishCovenantVersion(id, { ...covenant, version: '2.0' }, call);
    expect([second.covenant.in_force_version, second.revision]).toEqual(['2.0', 3]);
    const recognized = await manager.recognizeCovenant(id, { peer: 'Oe' }, call);
    expect(recognized.covenant.peer_recognitions).toMatchObject([{ peer: 'Oe', covenant_version: '2.0' }]);
    const ledger = await manager.getCovenantLedger(id, call);
    expect([ledger.verified, ledger.head, ledger.entries.length]).toEqual([true, ledger.entries[0]?.hash, 1]);
    await expect(manager.getCovenantLedger('nonsense', call)).rejects.toMatchObject({ code: 'record-not-found' }); // prettier-ignore
    await expect(manager.publishCovenantVersion(id, { ...covenant, version: '1.5' }, call)).rejects.toMatchObject({ issues: [{ pointer: '/version' }] }); // prettier-ignore
  });
});
