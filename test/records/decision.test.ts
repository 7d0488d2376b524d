import { describe, expect, it } from 'vitest';
import { acceptCreate, actOn, createData, patchData } from '../../src/domain/apply-change.js';
import { AppError, type ErrorCode } from '../../src/domain/errors.js';
import type { RecordData } from '../../src/domain/record-type.js';
import { decisionType } from '../../src/records/decision.js';

const NOW = Date.parse('2026-11-21T08:00:00.000Z');
const ID = 'dec_01980000-0000-7000-8000-000000000000';
const context = { id: ID, nowMs: NOW, actor: 'ada' };
const minimal = { decision_type: 'strategic', title: 'Open a second warehouse' };

function create(body: unknown): RecordData {
  return createData(decisionType, acceptCreate(decisionType, body, NOW), context);
}

function fault(work: () => unknown): { code: ErrorCode; pointers: string[] } {
  try {
    work();
  } catch (error) {
    if (error instanceof AppError)
      return { code: error.code, pointers: error.issues.map((issue) => issue.pointer) };
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('creating a decision', () => {
  it('needs a type and a title and fills in the rest', () => {
    expect(create(minimal)).toEqual({
      ...minimal,
      decision_id: ID,
      status: 'queued',
      created_at: '2026-11-21T08:00:00.000Z',
      created_by: 'ada',
      inputs: {},
      agent_votes: [],
      metadata: {},
    });
  });

  it.each([
    [{}, ['/decision_type', '/title']],
    [{ ...minimal, decision_type: 'moral' }, ['/decision_type']],
    [{ ...minimal, title: '  ' }, ['/title']],
    [{ ...minimal, title: 'x'.repeat(1001) }, ['/title']],
    [{ ...minimal, decision_id: ID }, ['/decision_id']],
    [{ ...minimal, surprise: 1 }, ['/surprise']],
    [{ ...minimal, inputs: [] }, ['/inputs']],
    [{ ...minimal, inputs: { a: 1e999 } }, ['/inputs/a']],
    [{ ...minimal, created_at: 'yesterday' }, ['/created_at']],
    [{ ...minimal, created_at: '1969-12-31T23:59:59Z' }, ['/created_at']],
    [{ ...minimal, created_at: '2026-11-21T08:05:01Z' }, ['/created_at']],
    [{ ...minimal, completed_at: '2026-11-21T08:00:00Z' }, ['/completed_at']],
    [{ ...minimal, status: 'completed', created_at: '2026-11-20T08:00:00Z', completed_at: '2026-11-19T08:00:00Z' }, ['/completed_at']], // prettier-ignore
    [
      { ...minimal, agent_votes: [{ agent: 'cfo', vote: 'approve', confidence: 1.1 }] },
      ['/agent_votes/0/confidence'],
    ],
    [{ ...minimal, agent_votes: [{ agent: 'cfo', vote: 'approve_with_conditions', confidence: 1 }] }, ['/agent_votes/0/conditions']], // prettier-ignore
    [{ ...minimal, agent_votes: [1, 2].map(() => ({ agent: 'cfo', vote: 'approve', confidence: 1 })) }, ['/agent_votes/1/agent']], // prettier-ignore
    [{ ...minimal, outcome: { decision: 'go' } }, ['/outcome/confidence']],
    [{ ...minimal, provenance: { source: 's', derived_from: ['nonsense'] } }, ['/provenance/derived_from/0']],
    [{ ...minimal, provenance: { derived_from: [] } }, ['/provenance/source']],
    [[], ['']],
    [null, ['']],
    ['text', ['']],
  ])('refuses %j and points at %j', (body, pointers) => {
    expect(fault(() => create(body))).toEqual({ code: 'record-invalid', pointers });
  });

  it('takes created_at up to five minutes ahead and normalises it to UTC', () => {
    expect(create({ ...minimal, created_at: '2026-11-21T09:05:00+01:00' })['created_at']).toBe(
      '2026-11-21T08:05:00.000Z',
    );
  });

  it('takes an import with its votes, outcome and completion', () => {
    const data = create({
      ...minimal,
      status: 'completed',
      created_at: '2024-01-01T00:00:00Z',
      completed_at: '2024-02-01T00:00:00Z',
      agent_votes: [{ agent: 'cfo', vote: 'approve', confidence: 0.5, timestamp: '2024-01-15T00:00:00Z' }],
      outcome: { decision: 'go', confidence: 1 },
      provenance: {
        source: 'import',
        derived_from: [ID],
        inputs_checksum: 'a'.repeat(64),
        approved_by: 'board',
      },
    });
    expect(data).toMatchObject({
      completed_at: '2024-02-01T00:00:00.000Z',
      agent_votes: [{ agent: 'cfo', conditions: [], timestamp: '2024-01-15T00:00:00.000Z' }],
      outcome: { action_items: [], impact_assessment: {} },
    });
  });

  it('says when an import is completed if the import does not', () => {
    expect(create({ ...minimal, status: 'failed' })['completed_at']).toBe('2026-11-21T08:00:00.000Z');
  });
});

describe('patching a decision', () => {
  const queued = create({ ...minimal, inputs: { a: 1, b: { c: 2 } }, metadata: { k: 'v' } });
  const patch = (current: RecordData, body: unknown) => patchData(decisionType, current, body, context);

  it('merges as RFC 7396 says and falls back to empty dictionaries', () => {
    expect(patch(queued, { inputs: { a: null, b: { d: 3 } }, metadata: null })).toMatchObject({
      inputs: { b: { c: 2, d: 3 } },
      metadata: {},
    });
  });

  it.each([
    [{ title: null }, ['/title']],
    [{ status: 'open' }, ['/status']],
    [{ colour: 'red' }, ['/colour']],
    [[], ['']],
    ['x', ['']],
    [{ metadata: { $commitment: 'x' } }, ['/metadata/$commitment']],
  ])('refuses %j and points at %j', (body, pointers) => {
    expect(fault(() => patch(queued, body))).toEqual({ code: 'record-invalid', pointers });
  });

  it.each([
    'decision_id',
    'created_at',
    'created_by',
    'completed_at',
    'agent_votes',
    'outcome',
    'provenance',
  ])('refuses to name %s', (member) => {
    expect(fault(() => patch(queued, { [member]: null })).code).toBe('record-immutable');
    expect(fault(() => patch(queued, { [member]: 17 })).code).toBe('record-immutable');
    expect(fault(() => patch(queued, { [member]: 17, title: null })).code).toBe('record-invalid');
    const whole = create({ ...minimal, status: 'completed', outcome: { decision: 'd', confidence: 1 }, provenance: { source: 's' } }); // prettier-ignore
    expect(fault(() => patch(whole, { [member]: whole[member] })).code).toBe('record-immutable');
  });

  it('sets completed_at on the move to a final state, never before created_at', () => {
    const running = patch(queued, { status: 'in_progress' });
    expect(running['completed_at']).toBeUndefined();
    expect(patch(running, { status: 'completed' })['completed_at']).toBe('2026-11-21T08:00:00.000Z');
    const ahead = create({ ...minimal, created_at: '2026-11-21T08:04:00Z' });
    expect(patch(ahead, { status: 'failed' })['completed_at']).toBe('2026-11-21T08:04:00.000Z');
  });

  it.each([
    ['queued', 'completed'],
    ['in_progress', 'queued'],
    ['completed', 'in_progress'],
    ['failed', 'queued'],
  ])('does not let a decision that is %s become %s', (from, to) => {
    const current = { ...queued, status: from, ...(['completed', 'failed'].includes(from) ? { completed_at: queued['created_at'] } : {}) }; // prettier-ignore
    expect(fault(() => patch(current, { status: to })).code).toBe('transition-not-allowed');
  });

  it('lets only metadata change once it is final', () => {
    const done = create({ ...minimal, status: 'completed' });
    expect(patch(done, { metadata: { note: 1 } })['metadata']).toEqual({ note: 1 });
    expect(fault(() => patch(done, { title: 'another' })).code).toBe('record-immutable');
    expect(fault(() => patch(done, { title: 'another', metadata: {} })).code).toBe('record-immutable');
  });
});

describe('voting', () => {
  const queued = create(minimal);
  const vote = (current: RecordData, body: unknown) => actOn(decisionType, 'votes', current, body, context);

  it('keeps one standing vote an agent', () => {
    const first = vote(queued, { agent: 'cfo', vote: 'approve', confidence: 0.9 });
    const second = vote(first, { agent: 'cto', vote: 'reject', confidence: 0.4, reasoning: 'cost' });
    const third = vote(second, { agent: 'cfo', vote: 'abstain', confidence: 0 });
    expect(third['agent_votes']).toMatchObject([
      { agent: 'cto', vote: 'reject' },
      { agent: 'cfo', vote: 'abstain', timestamp: '2026-11-21T08:00:00.000Z' },
    ]);
  });

  it('points into the vote, not into the decision', () => {
    expect(fault(() => vote(queued, { agent: 'cfo', vote: 'approve', confidence: 2 })).pointers).toEqual([
      '/confidence',
    ]);
    expect(fault(() => vote(queued, { agent: 'cfo', vote: 'approve_with_conditions', confidence: 1, conditions: [] })).pointers).toEqual(['/conditions']); // prettier-ignore
  });

  it('is over once the decision is final', () => {
    const done = create({ ...minimal, status: 'failed' });
    expect(fault(() => vote(done, { agent: 'cfo', vote: 'approve', confidence: 1 })).code).toBe(
      'transition-not-allowed',
    );
  });
});

describe('the outcome', () => {
  const act = (current: RecordData, body: unknown) => actOn(decisionType, 'outcome', current, body, context);

  it('is recorded once and does not move the status', () => {
    const decided = act(create(minimal), { decision: 'go', confidence: 0.8 });
    expect(decided).toMatchObject({ status: 'queued', outcome: { decision: 'go', action_items: [] } });
    expect(fault(() => act(decided, { decision: 'stop', confidence: 1 })).code).toBe('record-immutable');
  });

  it('is refused after the decision is final', () => {
    expect(
      fault(() => act(create({ ...minimal, status: 'failed' }), { decision: 'go', confidence: 1 })).code,
    ).toBe('record-immutable');
  });
});
